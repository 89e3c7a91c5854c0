-- What was given up of the log before, when a log was registered: one element of each array a partition, written with
-- the registration itself, so that no log can follow one that lost records without saying so. -1: nobody can tell.
ALTER TABLE {{global "logs"}} ADD COLUMN IF NOT EXISTS lost_partitions Array(Int32);
ALTER TABLE {{global "logs"}} ADD COLUMN IF NOT EXISTS lost_from Array(Int64);
ALTER TABLE {{global "logs"}} ADD COLUMN IF NOT EXISTS lost_to Array(Int64);
ALTER TABLE {{global "logs"}} ADD COLUMN IF NOT EXISTS lost_records Array(Int64);
ALTER TABLE {{global "logs"}} ADD COLUMN IF NOT EXISTS lost_causes Array(String);

-- The same, a row a partition: of the offsets from first_offset to before next_offset so many records were never
-- counted. Null: nobody can tell.
CREATE OR REPLACE VIEW {{view "lost_records"}} AS
SELECT
    toUInt32(`number` - 1) AS `log`, lost_partition AS `partition`, lost_first AS first_offset,
    nullIf(lost_next, -1) AS next_offset, nullIf(lost_count, -1) AS records, lost_cause AS cause, registered_at AS accepted_at
FROM logs FINAL
ARRAY JOIN lost_partitions AS lost_partition, lost_from AS lost_first, lost_to AS lost_next, lost_records AS lost_count, lost_causes AS lost_cause;
