INSERT INTO checkpoints (`log`, `partition`, next_offset, entries, refusals, entries_digest, refusals_digest, rules, record_hash)
