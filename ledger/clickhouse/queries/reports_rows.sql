SELECT
    {{template "reports_columns" .}}
FROM reports AS r FINAL
PREWHERE (installation_id, `timestamp`) IN
(
    SELECT key.1, fromUnixTimestamp64Milli(key.2, 'UTC')
    FROM (SELECT arrayJoin(arrayZip({installation_ids:Array(String)}, {timestamps:Array(Int64)})) AS key)
)
ORDER BY installation_id, `timestamp`, reporter
SETTINGS do_not_merge_across_partitions_select_final = 1
