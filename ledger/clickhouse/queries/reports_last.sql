SELECT installation_id, max(at) AS last
FROM
(
    SELECT installation_id, max(`timestamp`) AS at
    FROM report_claims
    WHERE installation_id IN {installation_ids:Array(String)}
    GROUP BY installation_id
    UNION ALL
    SELECT installation_id, max(`timestamp`) AS at
    FROM reports
    WHERE installation_id IN {installation_ids:Array(String)}
    GROUP BY installation_id
)
GROUP BY installation_id
