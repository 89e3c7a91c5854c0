SELECT account_id, count() AS `rows`
FROM
(
    SELECT account_id
    FROM entries
    WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND account_id > {after:String}
    ORDER BY account_id
    LIMIT {limit:UInt64}
)
GROUP BY account_id
ORDER BY account_id
SETTINGS max_threads = 1, max_block_size = 8192, optimize_read_in_order = 1
