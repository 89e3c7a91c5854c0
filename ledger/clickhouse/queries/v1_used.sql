SELECT
    subscription_id, toString(meter) AS meter, period_start, period_end, toString(quantity) AS quantity,
    as_of.1 AS as_of_log, as_of.4 AS as_of_partition, as_of.2 AS as_of_offset, as_of.3 AS as_of_index
FROM
(
    SELECT
        subscription_id, meter, period_start, period_end, inside, sum(quantity) AS quantity,
        max(max((`log`, `offset`, `index`, `partition`))) OVER () AS as_of
    FROM
    (
        SELECT
            *, meter_type = 'interval' AND toUnixTimestamp64Nano(period_start) <= {at:Int64} AND toUnixTimestamp64Nano(period_end) > {at:Int64} AS inside
        FROM totals FINAL
        WHERE account_id = {account_id:String} AND subscription_id IN {subscription_ids:Array(String)}
    )
    GROUP BY subscription_id, meter, period_start, period_end, inside
)
WHERE inside
ORDER BY subscription_id, meter, period_start, period_end
