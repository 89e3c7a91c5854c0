SELECT
    slot, toInt64(0) AS slot_end, meter, meter_type, toString(quantity) AS quantity, events, reverts,
    as_of.1 AS as_of_log, as_of.4 AS as_of_partition, as_of.2 AS as_of_offset, as_of.3 AS as_of_index
FROM
(
    SELECT
        slot, meter, meter_type, if(meter_type = 'rate', max(level), sum(level)) AS quantity, sum(level_events) AS events,
        sum(level_reverts) AS reverts, max(max(level_last)) OVER () AS as_of
    FROM
    (
        SELECT
            slot, subscription_id, meter, meter_type, {{template "v1_level"}} AS level,
            sum(events) AS level_events, sum(reverts) AS level_reverts, max((`log`, `offset`, `index`, `partition`)) AS level_last
        FROM
        (
            SELECT
                if(inside, edge, -1) AS slot, if(inside, t.subscription_id, '') AS subscription_id,
                if(inside, toString(t.meter), '') AS meter, if(inside, toString(t.meter_type), '') AS meter_type,
                quantity, events, reverts, last_use, reading_log, reading_offset, reading_index, `log`, `partition`, `offset`, `index`
            FROM
            (
                SELECT
                    *, 1 AS one, intDiv(toInt64(bucket), 900) AS at, (at >= {from:Int64} AND at < {to:Int64}
                    {{- if .Meter}} AND meter = {meter:String}{{end}}
                    {{- if .Period}} AND toUnixTimestamp64Nano(period_start) = {period_start:Int64} AND toUnixTimestamp64Nano(period_end) = {period_end:Int64}{{end}}) AS inside
                FROM totals FINAL
                WHERE {{template "v1_subject" .}}
            ) AS t
            ASOF LEFT JOIN
            (
                SELECT 1 AS one, arrayJoin(arrayFlatten(arrayMap((start, step, n) -> arrayMap(i -> start + step * i, range(toUInt64(n))),
                    {starts:Array(Int64)}, {steps:Array(Int64)}, {counts:Array(Int64)}))) AS edge
            ) AS w ON t.one = w.one AND t.at >= w.edge
        )
        GROUP BY slot, subscription_id, meter, meter_type
    )
    GROUP BY slot, meter, meter_type
)
{{- if .After}}
WHERE slot = -1 OR (slot, meter, meter_type) >= ({after_start:Int64}, {after_meter:String}, {after_type:String})
{{- end}}
ORDER BY slot, meter, meter_type
LIMIT {limit:UInt64}
