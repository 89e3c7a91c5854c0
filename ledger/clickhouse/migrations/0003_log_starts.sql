-- Where a log begins in each partition of its topic: a log that follows another one in the same topic does not begin at
-- offset 0. Empty: it does, everywhere.
ALTER TABLE {{global "logs"}} ADD COLUMN IF NOT EXISTS `starts` Array(Int64);
