-- What partners were sent, a row a report. `payload` is the exact bytes; `lag` is in seconds, NULL where it is not known; `as_of` is
-- log/partition/offset.index, empty where there was no usage. A report that is `sending` or `failed` may have been taken, or not.
CREATE OR REPLACE VIEW {{view "partner_reports"}} AS
SELECT
    installation_id, toString(r.target) AS target, eod, period_start, period_end, `timestamp`, sent_at, payload,
    if(payload = '', '', lower(hex(SHA256(payload)))) AS payload_sha256,
    if(as_of_log = 0, '', concat(toString(as_of_log), '/', toString(as_of_partition), '/', toString(as_of_offset), '.', toString(as_of_index))) AS as_of,
    inputs, attempt, toString(r.status) AS status, response, account_id, day_start, moment,
    if(lag_nanoseconds < 0, NULL, CAST(toDecimal128(lag_nanoseconds, 0) * toDecimal128('0.000000001', 9), 'Decimal(18, 9)')) AS lag,
    stale, rules, code, error, reporter
FROM reports AS r FINAL;

-- The parts of days, and the periods, that the partner takes no more, and what it was told of them last: the newest report
-- that it accepted, and the scope of the newest that was not superseded, `expired` included. Reports to another target are
-- not here: what is in a payload is read as Vercel has it.
{{define "closed"}}SELECT
        installation_id, {{.}} AS span, period_start, period_end, {{if eq . "'day'"}}day_start{{else}}period_start{{end}} AS start,
        {{if eq . "'day'"}}eod{{else}}period_end{{end}} AS end,
        argMax((account_id, scope_subscriptions, scope_starts, scope_ends), (`timestamp`, reporter)) AS newest,
        argMaxIf(payload, (`timestamp`, reporter), r.status = 'accepted') AS accepted
    FROM reports AS r FINAL
    WHERE r.target = 'vercel' AND r.status != 'superseded' AND {{if eq . "'day'"}}eod{{else}}period_end{{end}} < now64(9, 'UTC') - toIntervalHour(24)
    GROUP BY installation_id, period_start, period_end{{if eq . "'day'"}}, day_start, eod{{end}}{{end}}
-- Usage that came, or was taken back, after the partner took its last report of a day or a period: what it accepted last
-- (`reported`; 0 where it accepted nothing) beside what the totals come to over the same subscriptions (`actual`). Only what
-- differs is here. `day` is the UTC date on which the part began; a row of span `period` is about the whole period, and
-- its `day_start` and `eod` are those of the period. A level is the newest reading before the end, of each subscription
-- that was in scope then.
--
-- Numbers are taken from the payload's own bytes, which are canonical: the JSON functions read them as floats. A total is of
-- the later instant of its bucket and its period's start, as in reports.
CREATE OR REPLACE VIEW {{view "late_usage"}} AS
WITH
spans AS
(
    {{template "closed" "'day'"}}
    UNION ALL
    {{template "closed" "'period'"}}
),
scopes AS
(
    SELECT
        installation_id, newest.1 AS account_id, span, period_start, period_end, start, end, subscription_id,
        toUnixTimestamp64Nano(greatest(scope_start, start)) AS from, toUnixTimestamp64Nano(least(scope_end, end)) AS to,
        scope_start < end AND scope_end >= end AS holds_the_end
    FROM spans
    ARRAY JOIN newest.2 AS subscription_id, newest.3 AS scope_start, newest.4 AS scope_end
),
amounts AS
(
    SELECT
        account_id, subscription_id, toString(meter) AS meter, toString(t.meter_type) AS meter_type, quantity, last_use, reading_log,
        reading_offset, reading_index, greatest(toInt64(bucket) * 1000000000, toUnixTimestamp64Nano(period_start)) AS at,
        intDiv(at, 86400000000000) AS utc_day
    FROM totals AS t FINAL
)
SELECT
    installation_id, account_id, meter, meter_type, CAST(span, 'Enum8(\'day\' = 1, \'period\' = 2)') AS span, toDate32(start) AS day,
    start AS day_start, end AS eod, period_start, period_end, sum(told) AS reported, sum(used) AS actual, actual - reported AS difference
FROM
(
    SELECT
        installation_id, newest.1 AS account_id, JSONExtractString(concat('["', line[2], '"]'), 1) AS meter, line[3] AS meter_type, span, start, end,
        period_start, period_end, toDecimal128(if(span = 'day', line[4], line[5]), 3) AS told, toDecimal128(0, 3) AS used
    FROM spans
    ARRAY JOIN extractAllGroupsVertical(accepted,
        '\\{(?:"resourceId":"((?:[^"\\\\]|\\\\.)+)",)?"name":"((?:[^"\\\\]|\\\\.)*)","type":"(interval|total|rate)","units":"(?:[^"\\\\]|\\\\.)*","dayValue":([0-9.]+),"periodValue":([0-9.]+)'
        ) AS line
    WHERE line[1] = ''
    UNION ALL
    SELECT
        installation_id, account_id, meter, meter_type, span, start, end, period_start, period_end, toDecimal128(0, 3) AS told,
        if(meter_type = 'rate', max(quantity), sum(quantity)) AS used
    FROM (SELECT *, arrayJoin(range(intDiv(from, 86400000000000), intDiv(to - 1, 86400000000000) + 1)) AS utc_day FROM scopes WHERE from < to) AS s
    INNER JOIN (SELECT * FROM amounts WHERE meter_type != 'total') AS a
        ON s.account_id = a.account_id AND s.subscription_id = a.subscription_id AND s.utc_day = a.utc_day
    WHERE at >= from AND at < to
    GROUP BY installation_id, account_id, meter, meter_type, span, start, end, period_start, period_end
    UNION ALL
    SELECT
        installation_id, account_id, meter, 'total' AS meter_type, span, start, end, period_start, period_end, toDecimal128(0, 3) AS told,
        sum(level) AS used
    FROM
    (
        SELECT s.*, m.meter AS meter, toUnixTimestamp64Nano(end) AS until
        FROM (SELECT * FROM scopes WHERE holds_the_end) AS s
        INNER JOIN (SELECT DISTINCT account_id, subscription_id, meter FROM amounts WHERE meter_type = 'total') AS m
            ON s.account_id = m.account_id AND s.subscription_id = m.subscription_id
    ) AS w
    ASOF INNER JOIN
    (
        SELECT
            account_id, subscription_id, meter, at,
            argMax(quantity, (last_use, reading_log, reading_offset, reading_index)) OVER (PARTITION BY account_id, subscription_id, meter ORDER BY at) AS level
        FROM amounts
        WHERE meter_type = 'total'
    ) AS r ON w.account_id = r.account_id AND w.subscription_id = r.subscription_id AND w.meter = r.meter AND w.until > r.at
    GROUP BY installation_id, account_id, meter, span, start, end, period_start, period_end
)
GROUP BY installation_id, account_id, meter, meter_type, span, start, end, period_start, period_end
HAVING reported != actual;
