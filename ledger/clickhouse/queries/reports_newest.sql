SELECT DISTINCT installation_id, last.1 AS at, last.2 AS reporter
FROM
(
    SELECT installation_id, max((`timestamp`, reporter)) AS last
    FROM reports FINAL
    WHERE installation_id IN {installation_ids:Array(String)} AND status != 'superseded'
        AND toUnixTimestamp64Nano(eod) > {since:Int64} AND `timestamp` >= fromUnixTimestamp64Milli({made_since:Int64}, 'UTC')
    GROUP BY installation_id, period_start, period_end, day_start, eod
    UNION ALL
    SELECT installation_id, max((`timestamp`, reporter)) AS last
    FROM reports FINAL
    WHERE installation_id IN {installation_ids:Array(String)} AND status != 'superseded'
    GROUP BY installation_id
    UNION ALL
    SELECT installation_id, max((`timestamp`, reporter)) AS last
    FROM reports FINAL
    WHERE installation_id IN {installation_ids:Array(String)} AND status = 'accepted'
    GROUP BY installation_id
)
ORDER BY installation_id, at, reporter
SETTINGS do_not_merge_across_partitions_select_final = 1
