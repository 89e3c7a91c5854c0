-- The views that analysts use. Each is exact whatever has been merged (FINAL), and a filter on account_id reaches the
-- primary key through all of them.

CREATE OR REPLACE VIEW {{view "usage_entries"}} AS
SELECT
    account_id, organization_id, project_id, subscription_id, meter, toString(e.meter_type) AS meter_type, event_id,
    toString(e.kind) AS kind, type, usage_id, quantity, ifNull(e.requested, toDecimal128(0, 3)) AS requested,
    toString(e.outcome) AS outcome, usage_time, received_at, updated_at, source, description, user_id, customer_id,
    mapFromArrays(metadata_keys, metadata_values) AS metadata, `log`, `partition`, `offset`, `index`
FROM entries AS e FINAL;

CREATE OR REPLACE VIEW {{view "usage_refusals"}} AS
SELECT
    account_id, organization_id, subscription_id, meter, event_id, toString(r.kind) AS kind, type, usage_id,
    ifNull(r.requested, toDecimal128(0, 3)) AS requested, toString(r.outcome) AS outcome, reason, usage_time,
    received_at, source, `log`, `partition`, `offset`, `index`
FROM refusals AS r FINAL;

{{define "level"}}multiIf(
            meter_type = 'interval', sum(quantity),
            meter_type = 'total', argMax(quantity, (last_use, reading_log, reading_offset, reading_index)),
            max(quantity)){{end}}
-- Folding by meter type: `interval` is the sum; `total` is the reading with the greatest (time of use, position) of
-- each subscription, and an account's level is the sum over its subscriptions; `rate` is the maximum.

CREATE OR REPLACE VIEW {{view "subscription_usage"}} AS
SELECT
    account_id, subscription_id, meter, toString(t.meter_type) AS meter_type, period_start, period_end, bucket,
    quantity, events
FROM totals AS t FINAL;

-- A level here is that of the bucket: the readings taken in it, the newest of each subscription (and period), added.
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

-- A level here is that of the period: a subscription without a reading in it adds nothing.
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

-- The hash of an entry is documented at ledger.EntryDigest, so that two parties can compare what they hold.
CREATE OR REPLACE VIEW {{view "account_digests"}} AS
SELECT account_id, period_start, count() AS entries, sum(
    reinterpretAsUInt64(substring(SHA256(concat(toString(e.kind), ':', toString(e.quantity), ':', e.event_id)), 1, 8))) AS digest
FROM entries AS e FINAL
GROUP BY account_id, period_start;
