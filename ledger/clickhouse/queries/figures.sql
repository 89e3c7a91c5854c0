WITH max((u.`log`, u.`offset`, u.`index`, u.`partition`)) AS last
SELECT
    s.query AS query, e.slice AS slice, u.subscription_id AS subscription_id, toString(u.meter) AS meter_name, toUInt8(u.meter_type) AS kind,
    toString({{template "v1_level"}}) AS level, last.1 AS last_log, last.4 AS last_partition, last.2 AS last_offset, last.3 AS last_index
FROM {{template "figures_source" .}} AS u
INNER JOIN {{template "figures_subscriptions" .}} AS s ON u.account_id = s.account_id AND u.subscription_id = s.subscription_id
ASOF LEFT JOIN {{template "figures_edges" .}} AS e ON s.query = e.query AND u.at >= e.edge
WHERE (e.slice > 1 OR e.slice = 0 AND u.meter_type = 'total')
{{- if .Entries}} AND (u.`log`, u.`offset`, u.`index`) <= (s.as_of_log, s.as_of_offset, s.as_of_index){{end}}
GROUP BY s.query, e.slice, u.subscription_id, u.meter, u.meter_type
ORDER BY query, slice, subscription_id, meter_name, kind
SETTINGS join_use_nulls = 0{{if .Entries}}, do_not_merge_across_partitions_select_final = 1{{end}}
