SELECT formatRow('RowBinary',
    `log`, `partition`, `offset`, `index`, account_id, event_id, kind, outcome, fingerprint, rules) AS packed
FROM refusals FINAL
WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32} AND `offset` < {below:Int64}
    AND account_id >= {after:String}
    AND (account_id, `offset`, `index`) > ({after:String}, {after_offset:Int64}, {after_index:Int32})
ORDER BY account_id, `offset`, `index`
SETTINGS do_not_merge_across_partitions_select_final = 1
