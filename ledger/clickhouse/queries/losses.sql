SELECT
    `log`, `partition`, first_offset, ifNull(next_offset, -1) AS `to`, ifNull(records, -1) AS lost, cause, accepted_at
FROM lost_records
ORDER BY `log`, `partition`
