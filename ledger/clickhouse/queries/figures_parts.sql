{{- define "figures_source" -}}
(
    SELECT
        account_id, subscription_id, meter, meter_type, quantity, `log`, `partition`, `offset`, `index`,
        greatest(toInt64(bucket) * 1000000000, toUnixTimestamp64Nano(period_start)) AS at,
    {{- if .Entries}}
        usage_time AS last_use, `log` AS reading_log, `offset` AS reading_offset, `index` AS reading_index
    FROM entries FINAL
    {{- else}}
        last_use, reading_log, reading_offset, reading_index
    FROM totals FINAL
    {{- end}}
    WHERE account_id IN (SELECT base64URLDecode(arrayJoin({{.List "accounts"}}))) AND at < {latest:Int64} AND (at >= {earliest:Int64} OR meter_type = 'total')
)
{{- end -}}
{{- define "figures_subscriptions" -}}
(
    SELECT
        toUInt32(fields[1]) AS query, base64URLDecode(fields[2]) AS account_id, base64URLDecode(fields[3]) AS subscription_id
        {{- if .Entries}}, toUInt32(fields[4]) AS as_of_log, toInt64(fields[5]) AS as_of_offset, toInt32(fields[6]) AS as_of_index{{end}}
    FROM (SELECT splitByChar('.', arrayJoin({{.List "subscriptions"}})) AS fields)
)
{{- end -}}
{{- define "figures_edges" -}}
(
    SELECT toUInt32(fields[1]) AS query, toInt64(fields[2]) AS edge, toUInt32(fields[3]) AS slice
    FROM (SELECT splitByChar('.', arrayJoin({{.List "edges"}})) AS fields)
)
{{- end -}}
