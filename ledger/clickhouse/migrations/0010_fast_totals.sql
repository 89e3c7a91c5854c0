-- Reading totals. FINAL reads the sorting key, the version and the values of every row of an account, in all of its versions, and
-- what that costs is taking the columns apart: LZ4 does so at half the price of ZSTD, and totals are few beside entries.
-- What was written before keeps its form until it is merged.
ALTER TABLE {{table "totals"}} MODIFY COLUMN IF EXISTS account_id CODEC(LZ4),
    MODIFY COLUMN subscription_id CODEC(LZ4),
    MODIFY COLUMN period_start CODEC(LZ4), MODIFY COLUMN period_end CODEC(LZ4), MODIFY COLUMN bucket CODEC(Delta, LZ4),
    MODIFY COLUMN quantity CODEC(LZ4), MODIFY COLUMN events CODEC(LZ4), MODIFY COLUMN reverts CODEC(LZ4),
    MODIFY COLUMN first_use CODEC(Delta, LZ4), MODIFY COLUMN last_use CODEC(Delta, LZ4), MODIFY COLUMN reading_log CODEC(LZ4),
    MODIFY COLUMN reading_partition CODEC(LZ4), MODIFY COLUMN reading_offset CODEC(LZ4), MODIFY COLUMN reading_index CODEC(LZ4),
    MODIFY COLUMN `log` CODEC(LZ4), MODIFY COLUMN `partition` CODEC(LZ4), MODIFY COLUMN `offset` CODEC(LZ4),
    MODIFY COLUMN `index` CODEC(LZ4), MODIFY COLUMN version CODEC(LZ4);

-- The views of 0002 again, the same rows. Each meter type is folded by its own function alone: a level's reading is not looked
-- for among the rows of meters that are summed.
{{define "level"}}multiIf(
            meter_type = 'interval', sumIf(quantity, meter_type = 'interval'),
            meter_type = 'total', argMaxIf(quantity, (last_use, reading_log, reading_offset, reading_index), meter_type = 'total'),
            maxIf(quantity, meter_type = 'rate')){{end}}

CREATE OR REPLACE VIEW {{view "account_usage"}} AS
SELECT
    account_id, meter, toString(t.meter_type) AS meter_type, bucket,
    if(t.meter_type = 'rate', max(level), sum(level)) AS quantity, sum(bucket_events) AS events
FROM
(
    SELECT
        account_id, subscription_id, meter, meter_type, bucket, {{template "level"}} AS level, sum(events) AS bucket_events
    FROM totals FINAL
    GROUP BY account_id, subscription_id, meter, meter_type, bucket
) AS t
GROUP BY account_id, meter, t.meter_type, bucket;

CREATE OR REPLACE VIEW {{view "subscription_totals"}} AS
SELECT
    account_id, subscription_id, meter, toString(t.meter_type) AS meter_type, period_start, period_end,
    level AS quantity, period_events AS events, period_reverts AS reverts
FROM
(
    SELECT
        account_id, subscription_id, meter, meter_type, period_start, period_end, {{template "level"}} AS level,
        sum(events) AS period_events, sum(reverts) AS period_reverts
    FROM totals FINAL
    GROUP BY account_id, subscription_id, meter, meter_type, period_start, period_end
) AS t;

CREATE OR REPLACE VIEW {{view "account_period_totals"}} AS
SELECT
    account_id, meter, toString(t.meter_type) AS meter_type, period_start, period_end,
    if(t.meter_type = 'rate', max(level), sum(level)) AS quantity, sum(period_events) AS events,
    sum(period_reverts) AS reverts
FROM
(
    SELECT
        account_id, subscription_id, meter, meter_type, period_start, period_end, {{template "level"}} AS level,
        sum(events) AS period_events, sum(reverts) AS period_reverts
    FROM totals FINAL
    GROUP BY account_id, subscription_id, meter, meter_type, period_start, period_end
) AS t
GROUP BY account_id, meter, t.meter_type, period_start, period_end;

CREATE OR REPLACE VIEW {{view "account_totals"}} AS
SELECT
    account_id, meter, toString(t.meter_type) AS meter_type,
    if(t.meter_type = 'rate', max(level), sum(level)) AS quantity, sum(all_events) AS events,
    sum(all_reverts) AS reverts, min(first) AS first_use, max(last) AS last_use
FROM
(
    SELECT
        account_id, subscription_id, meter, meter_type, {{template "level"}} AS level, sum(events) AS all_events,
        sum(reverts) AS all_reverts, min(first_use) AS first, max(last_use) AS last
    FROM totals FINAL
    GROUP BY account_id, subscription_id, meter, meter_type
) AS t
GROUP BY account_id, meter, t.meter_type;
