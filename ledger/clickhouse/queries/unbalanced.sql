WITH sides AS
(
    SELECT
        account_id, subscription_id, meter, meter_type, period_start, period_end, bucket,
        multiIf(
            meter_type = 'interval', sum(quantity),
            meter_type = 'total', argMax(e.quantity, (usage_time, `log`, `offset`, `index`)),
            max(e.quantity)) AS level,
        countIf(kind = 'usage') AS usages, countIf(kind = 'revert') AS undone, min(usage_time) AS first, max(usage_time) AS last,
        max((`log`, `offset`, `index`)) AS position, 0 AS is_total
    FROM entries AS e FINAL
    WHERE (`log` = {log:UInt32} AND `partition` = {partition:Int32} AND `offset` < {below:Int64} OR `log` < {log:UInt32})
        AND account_id IN {accounts:Array(String)}
    GROUP BY account_id, subscription_id, meter, meter_type, period_start, period_end, bucket
    UNION ALL
    SELECT
        account_id, subscription_id, meter, meter_type, period_start, period_end, bucket,
        quantity AS level, events AS usages, reverts AS undone, first_use AS first, last_use AS last,
        (`log`, `offset`, `index`) AS position, 1 AS is_total
    FROM totals FINAL
    WHERE account_id IN {accounts:Array(String)}
        AND (`log` = {log:UInt32} AND `partition` = {partition:Int32} OR `log` < {log:UInt32})
)
SELECT DISTINCT account_id
FROM
(
    SELECT account_id
    FROM sides
    GROUP BY account_id, subscription_id, meter, meter_type, period_start, period_end, bucket
    HAVING NOT max(is_total = 1 AND position >= ({log:UInt32}, {below:Int64}, toInt32(0)))
        AND (count() != 2 OR uniqExact(level, usages, undone, first, last, position) != 1)
)
ORDER BY account_id
SETTINGS max_threads = 1, do_not_merge_across_partitions_select_final = 1
