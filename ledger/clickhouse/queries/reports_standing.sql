WITH max((r.`timestamp`, r.reporter)) AS last
SELECT
    r.installation_id AS id, last.1 AS at, last.2 AS by, any(a.accepted) AS accepted_at, countIf(r.`timestamp` > a.accepted) AS failing
FROM
(
    SELECT installation_id, `timestamp`, reporter
    FROM reports FINAL
    WHERE status != 'superseded'
) AS r
LEFT ANY JOIN
(
    SELECT installation_id, max(`timestamp`) AS accepted
    FROM reports FINAL
    WHERE status = 'accepted'
    GROUP BY installation_id
) AS a ON r.installation_id = a.installation_id
GROUP BY r.installation_id
ORDER BY r.installation_id
SETTINGS join_use_nulls = 0, do_not_merge_across_partitions_select_final = 1
