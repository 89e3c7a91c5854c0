INSERT INTO {{.Database}}.totals
    (account_id, subscription_id, meter, meter_type, period_start, period_end, bucket, quantity, events, reverts, first_use, last_use,
    reading_log, reading_partition, reading_offset, reading_index, `log`, `partition`, `offset`, `index`)
SELECT
    account_id, subscription_id, meter, meter_type, period_start, period_end, bucket, sum(quantity), count(), 0, min(usage_time), max(usage_time),
    1, 0, max(e.`offset`), 0, 1, 0, max(e.`offset`), 0
FROM {{.Database}}.entries AS e
WHERE e.`offset` < {{.From}} + {{.Count}}
GROUP BY account_id, subscription_id, meter, meter_type, period_start, period_end, bucket
HAVING max(e.`offset`) >= {{.From}}
