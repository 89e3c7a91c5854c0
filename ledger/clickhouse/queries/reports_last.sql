SELECT installation_id, max(at) AS last, max(kept) AS reported
FROM
(
    SELECT installation_id, max(`timestamp`) AS at, false AS kept
    FROM report_claims
    WHERE installation_id IN {installation_ids:Array(String)}
    GROUP BY installation_id
    UNION ALL
    SELECT installation_id, max(`timestamp`) AS at, true AS kept
    FROM reports
    WHERE installation_id IN {installation_ids:Array(String)}{{if .Recent}} AND `timestamp` >= fromUnixTimestamp64Milli({made_since:Int64}, 'UTC'){{end}}
    GROUP BY installation_id
)
GROUP BY installation_id
