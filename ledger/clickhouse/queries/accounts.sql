SELECT account_id
FROM
(
    SELECT account_id
    FROM
    (
        SELECT DISTINCT account_id
        FROM entries
        WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND account_id > {after:String}
        ORDER BY account_id
        LIMIT {limit:UInt64}
    )
    UNION DISTINCT
    SELECT account_id
    FROM
    (
        SELECT DISTINCT account_id
        FROM totals
        WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND account_id > {after:String}
        ORDER BY account_id
        LIMIT {limit:UInt64}
    )
)
ORDER BY account_id
LIMIT {limit:UInt64}
SETTINGS max_threads = 1, optimize_distinct_in_order = 1, optimize_read_in_order = 1
