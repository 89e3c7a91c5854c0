{{- define "reports_made"}}{{if .Recent}}
        AND `timestamp` >= fromUnixTimestamp64Milli({made_since:Int64}, 'UTC'){{end}}{{end -}}
SELECT installation_id, last.1 AS at, last.2 AS reporter, what
FROM
(
{{- if .Recent}}
    SELECT installation_id, max((`timestamp`, reporter)) AS last, 0 AS what
    FROM reports FINAL
    WHERE installation_id IN {installation_ids:Array(String)} AND status != 'superseded'
        AND toUnixTimestamp64Nano(eod) > {since:Int64}
        {{- template "reports_made" .}}
    GROUP BY installation_id, period_start, period_end, day_start, eod
    UNION ALL
{{- end}}
    SELECT installation_id, max((`timestamp`, reporter)) AS last, 1 AS what
    FROM reports FINAL
    WHERE installation_id IN {installation_ids:Array(String)} AND status != 'superseded'
        {{- template "reports_made" .}}
    GROUP BY installation_id
    UNION ALL
    SELECT installation_id, max((`timestamp`, reporter)) AS last, 2 AS what
    FROM reports FINAL
    WHERE installation_id IN {installation_ids:Array(String)} AND status = 'accepted'
        {{- template "reports_made" .}}
    GROUP BY installation_id
)
SETTINGS do_not_merge_across_partitions_select_final = 1
