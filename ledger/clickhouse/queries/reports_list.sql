SELECT
    {{template "reports_columns" .}}
FROM reports AS r FINAL
WHERE 1
{{- if .InstallationID}} AND installation_id = {installation_id:String}{{end}}
{{- if not .EODFrom.IsZero}} AND toUnixTimestamp64Nano(eod) >= {eod_from:Int64} AND `timestamp` >= fromUnixTimestamp64Milli({made_since:Int64}, 'UTC'){{end}}
{{- if not .EODTo.IsZero}} AND toUnixTimestamp64Nano(eod) <= {eod_to:Int64}{{end}}
{{- if not .Since.IsZero}} AND `timestamp` >= fromUnixTimestamp64Milli({since:Int64}, 'UTC'){{end}}
ORDER BY installation_id, `timestamp`, reporter
SETTINGS do_not_merge_across_partitions_select_final = 1
