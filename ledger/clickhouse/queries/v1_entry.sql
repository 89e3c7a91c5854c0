{{- define "v1_entry" -}}
SELECT
    `log`, `partition`, `offset`, `index`, account_id, organization_id, project_id, subscription_id,
    toString(meter) AS meter, toUInt8(meter_type) AS meter_type, event_id, toUInt8(kind) AS kind, toString(type) AS type,
    usage_id, toString(quantity) AS quantity, toString(requested) AS requested, toUInt8(outcome) AS outcome,
    period_start, period_end, bucket, usage_time, received_at, updated_at, toString(source) AS source, description,
    user_id, customer_id, metadata_keys, metadata_values, metadata_json, toString(usage_limit) AS usage_limit,
    fingerprint, rules
FROM entries AS e FINAL
{{- end -}}
{{- define "v1_page" -}}
{{- if .After}} AND (`log`, `offset`, `index`, `partition`) > ({after_log:UInt32}, {after_offset:Int64}, {after_index:Int32}, {after_partition:Int32}){{end}}
ORDER BY `log`, `offset`, `index`, `partition`
LIMIT {limit:UInt64}
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1
{{- end -}}
