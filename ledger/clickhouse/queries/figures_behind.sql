SELECT *
FROM
(
    {{template "v1_entry"}}
    WHERE {{template "figures_of_one" .}} AND greatest(toInt64(bucket) * 1000000000, toUnixTimestamp64Nano(period_start)) BETWEEN {earliest:Int64} AND {latest:Int64} - 1
    UNION ALL
    (
        {{template "v1_entry"}}
        WHERE {{template "figures_of_one" .}} AND greatest(toInt64(bucket) * 1000000000, toUnixTimestamp64Nano(period_start)) < {earliest:Int64} AND e.meter_type = 'total'
        ORDER BY usage_time DESC, `log` DESC, `offset` DESC, `index` DESC
        LIMIT 1 BY subscription_id, e.meter
    )
)
ORDER BY subscription_id, meter, `log`, `offset`, `index`, `partition`
SETTINGS do_not_merge_across_partitions_select_final = 1
{{- define "figures_of_one" -}}
account_id IN (SELECT base64URLDecode(arrayJoin({{.List "accounts"}})))
        AND subscription_id IN (SELECT subscription_id FROM {{template "figures_subscriptions" .}})
        AND (`log`, `offset`, `index`) <= (SELECT (any(as_of_log), any(as_of_offset), any(as_of_index)) FROM {{template "figures_subscriptions" .}})
{{- end -}}
