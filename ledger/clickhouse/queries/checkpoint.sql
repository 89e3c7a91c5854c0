SELECT next_offset, entries, refusals, entries_digest, refusals_digest, rules, record_hash
FROM checkpoints FINAL
WHERE `log` = {log:UInt32} AND `partition` = {partition:Int32}
