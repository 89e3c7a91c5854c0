CREATE TABLE {{.Database}}.plain ENGINE = MergeTree ORDER BY (account_id, meter, bucket) SETTINGS index_granularity = 2048 AS
SELECT account_id, toString(meter) AS meter, bucket, quantity, events, reverts, first_use, last_use FROM {{.Database}}.totals FINAL
