SELECT installation_id, max(`timestamp`) AS last, true AS reported
FROM report_claims
WHERE installation_id IN {installation_ids:Array(String)} AND reporter != {reporter:String}
GROUP BY installation_id
