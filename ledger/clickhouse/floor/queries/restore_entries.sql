SELECT
    `log`, `partition`, `offset`, `index`, account_id, organization_id, project_id, subscription_id,
    toString(meter) AS meter, toUInt8(meter_type) AS meter_type, event_id, toUInt8(kind) AS kind, toString(type) AS type,
    usage_id, toString(quantity) AS quantity, toString(requested) AS requested, toUInt8(outcome) AS outcome,
    period_start, period_end, bucket, usage_time, received_at, updated_at, toString(source) AS source, description,
    user_id, customer_id, metadata_keys, metadata_values, metadata_json, toString(usage_limit) AS usage_limit,
    fingerprint, rules
FROM entries FINAL
WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND `offset` < {below:Int64}
    AND account_id >= {after:String}
    AND (account_id, `offset`, `index`) > ({after:String}, {after_offset:Int64}, {after_index:Int32})
ORDER BY account_id, `offset`, `index`
SETTINGS do_not_merge_across_partitions_select_final = 1
