-- Lookups by what the sorting key does not begin with: an event by its id alone, the revert of a usage, the usages of a
-- subscription. All rows of one key are the same row, so an index never hides one that FINAL would have to see.
ALTER TABLE {{table "entries"}} ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.001) GRANULARITY 1;
ALTER TABLE {{table "entries"}} ADD INDEX IF NOT EXISTS usage_id_bloom usage_id TYPE bloom_filter(0.001) GRANULARITY 1;
ALTER TABLE {{table "entries"}} ADD INDEX IF NOT EXISTS subscription_id_bloom subscription_id TYPE bloom_filter(0.01) GRANULARITY 1;
ALTER TABLE {{table "refusals"}} ADD INDEX IF NOT EXISTS event_id_bloom event_id TYPE bloom_filter(0.001) GRANULARITY 1;

-- For what was written before, in the background.
ALTER TABLE {{table "entries"}} MATERIALIZE INDEX IF EXISTS event_id_bloom;
ALTER TABLE {{table "entries"}} MATERIALIZE INDEX IF EXISTS usage_id_bloom;
ALTER TABLE {{table "entries"}} MATERIALIZE INDEX IF EXISTS subscription_id_bloom;
ALTER TABLE {{table "refusals"}} MATERIALIZE INDEX IF EXISTS event_id_bloom;
