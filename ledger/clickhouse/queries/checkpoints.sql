SELECT `partition`, next_offset, entries, refusals, entries_digest, refusals_digest, rules, record_hash
FROM checkpoints FINAL
WHERE `log` = {log:UInt32}
SETTINGS max_threads = 1
