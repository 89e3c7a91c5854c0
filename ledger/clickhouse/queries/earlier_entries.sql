SELECT formatRow('RowBinary',
    `log`, `partition`, `offset`, `index`, account_id, subscription_id, meter, meter_type, event_id, kind, type, usage_id, quantity,
    outcome, period_start, period_end, bucket, usage_time, fingerprint, rules) AS packed
FROM entries FINAL
WHERE `log` < {log:UInt32}
    AND bitAnd(kafkaMurmurHash(account_id), 2147483647) % {partitions:UInt32} = {partition:UInt32}
    AND account_id >= {after:String}
    AND (account_id, `log`, `offset`, `index`) > ({after:String}, {after_log:UInt32}, {after_offset:Int64}, {after_index:Int32})
ORDER BY account_id, `log`, `offset`, `index`
SETTINGS do_not_merge_across_partitions_select_final = 1
