-- The ledger: what counts, what does not, and the totals. docs/adr/0008-ledger-schema.md gives the reasons.
-- Every statement can be run again: two migrators at once, or one after a crash, end with the same schema.
-- A sorting key can never be changed later.

-- Entries: the events that count, keyed by position. Partitioned by the month of receipt, never of use: a row is
-- always rewritten into the same month, and a backfill over years stays in few parts.
CREATE TABLE IF NOT EXISTS {{table "entries"}}
(
    `log` UInt32 CODEC(ZSTD(1)),
    `partition` Int32 CODEC(ZSTD(1)),
    `offset` Int64 CODEC(ZSTD(1)),
    `index` Int32 CODEC(ZSTD(1)),
    `account_id` String CODEC(ZSTD(1)),
    `organization_id` String CODEC(ZSTD(1)),
    `project_id` String CODEC(ZSTD(1)),
    `subscription_id` String CODEC(ZSTD(1)),
    `meter` LowCardinality(String),
    `meter_type` Enum8('' = 0, 'interval' = 1, 'total' = 2, 'rate' = 3),
    `event_id` String CODEC(ZSTD(1)),
    `kind` Enum8('' = 0, 'usage' = 1, 'revert' = 2),
    `type` LowCardinality(String),
    `usage_id` String CODEC(ZSTD(1)),
    `quantity` Decimal(38, 3) CODEC(ZSTD(1)),
    `requested` Nullable(Decimal(38, 3)) CODEC(ZSTD(1)),
    `outcome` Enum8('applied' = 1, 'clipped' = 2, 'duplicate' = 3, 'conflict' = 4, 'limit_exceeded' = 5, 'reverted' = 6,
        'already_reverted' = 7, 'unknown_usage' = 8, 'exceeds_usage' = 9, 'not_revertable' = 10, 'misrouted' = 11, 'undecodable' = 12),
    `period_start` DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    `period_end` DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    `bucket` DateTime64(0, 'UTC') CODEC(ZSTD(1)),
    `usage_time` DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    `received_at` DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    `updated_at` Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    `source` LowCardinality(String),
    `description` String CODEC(ZSTD(1)),
    `user_id` String CODEC(ZSTD(1)),
    `customer_id` String CODEC(ZSTD(1)),
    `metadata_keys` Array(String) CODEC(ZSTD(1)),
    `metadata_values` Array(String) CODEC(ZSTD(1)),
    `metadata_json` Array(Bool) CODEC(ZSTD(1)),
    `usage_limit` Nullable(Decimal(38, 3)) CODEC(ZSTD(1)),
    `fingerprint` FixedString(16),
    `rules` UInt32 CODEC(ZSTD(1)),
    INDEX offset_range `offset` TYPE minmax GRANULARITY 1
)
ENGINE = {{replacing "sharded" ""}}
PARTITION BY toYYYYMM(received_at)
PRIMARY KEY (`log`, `partition`, account_id, event_id)
ORDER BY (`log`, `partition`, account_id, event_id, `offset`, `index`)
SETTINGS index_granularity = 2048, {{settings}};

{{distributed "entries" "cityHash64(account_id)"}}

-- Refusals: the events that do not count, and why. Keyed by position too.
CREATE TABLE IF NOT EXISTS {{table "refusals"}}
(
    `log` UInt32 CODEC(ZSTD(1)),
    `partition` Int32 CODEC(ZSTD(1)),
    `offset` Int64 CODEC(ZSTD(1)),
    `index` Int32 CODEC(ZSTD(1)),
    `account_id` String CODEC(ZSTD(1)),
    `organization_id` String CODEC(ZSTD(1)),
    `project_id` String CODEC(ZSTD(1)),
    `subscription_id` String CODEC(ZSTD(1)),
    `meter` LowCardinality(String),
    `meter_type` Enum8('' = 0, 'interval' = 1, 'total' = 2, 'rate' = 3),
    `event_id` String CODEC(ZSTD(1)),
    `kind` Enum8('' = 0, 'usage' = 1, 'revert' = 2),
    `type` LowCardinality(String),
    `usage_id` String CODEC(ZSTD(1)),
    `requested` Nullable(Decimal(38, 3)) CODEC(ZSTD(1)),
    `outcome` Enum8('applied' = 1, 'clipped' = 2, 'duplicate' = 3, 'conflict' = 4, 'limit_exceeded' = 5, 'reverted' = 6,
        'already_reverted' = 7, 'unknown_usage' = 8, 'exceeds_usage' = 9, 'not_revertable' = 10, 'misrouted' = 11, 'undecodable' = 12),
    `reason` String CODEC(ZSTD(1)),
    `usage_time` Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    `received_at` DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    `source` LowCardinality(String),
    `fingerprint` FixedString(16),
    `rules` UInt32 CODEC(ZSTD(1)),
    INDEX offset_range `offset` TYPE minmax GRANULARITY 1
)
ENGINE = {{replacing "sharded" ""}}
PARTITION BY toYYYYMM(received_at)
PRIMARY KEY (`log`, `partition`, account_id, event_id)
ORDER BY (`log`, `partition`, account_id, event_id, `offset`, `index`)
SETTINGS index_granularity = 2048, {{settings}};

{{distributed "refusals" "cityHash64(account_id)"}}

-- Totals: absolute values, versioned by the position of the last event that changed them. `version` packs (log,
-- offset, index) into 128 bits, so that it orders as positions do. Not partitioned: rows of one key must always merge.
CREATE TABLE IF NOT EXISTS {{table "totals"}}
(
    `account_id` String CODEC(ZSTD(1)),
    `subscription_id` String CODEC(ZSTD(1)),
    `meter` LowCardinality(String),
    `meter_type` Enum8('' = 0, 'interval' = 1, 'total' = 2, 'rate' = 3),
    `period_start` DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    `period_end` DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    `bucket` DateTime64(0, 'UTC') CODEC(Delta, ZSTD(1)),
    `quantity` Decimal(38, 3) CODEC(ZSTD(1)),
    `events` UInt64 CODEC(ZSTD(1)),
    `reverts` UInt64 CODEC(ZSTD(1)),
    `first_use` DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    `last_use` DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    `reading_log` UInt32 CODEC(ZSTD(1)),
    `reading_partition` Int32 CODEC(ZSTD(1)),
    `reading_offset` Int64 CODEC(ZSTD(1)),
    `reading_index` Int32 CODEC(ZSTD(1)),
    `log` UInt32 CODEC(ZSTD(1)),
    `partition` Int32 CODEC(ZSTD(1)),
    `offset` Int64 CODEC(ZSTD(1)),
    `index` Int32 CODEC(ZSTD(1)),
    `version` UInt128 DEFAULT bitOr(bitOr(bitShiftLeft(toUInt128(`log`), 96), bitShiftLeft(toUInt128(`offset`), 32)), toUInt128(`index`)) CODEC(ZSTD(1))
)
ENGINE = {{replacing "sharded" "version"}}
PRIMARY KEY (account_id, subscription_id, meter)
ORDER BY (account_id, subscription_id, meter, meter_type, period_start, period_end, bucket)
SETTINGS index_granularity = 2048, {{settings}};

{{distributed "totals" "cityHash64(account_id)"}}

-- Checkpoints: below `next_offset` everything of a partition is stored. Never split over shards: the newest row decides.
CREATE TABLE IF NOT EXISTS {{global "checkpoints"}}
(
    `log` UInt32,
    `partition` Int32,
    `next_offset` UInt64,
    `entries` UInt64,
    `refusals` UInt64,
    `entries_digest` UInt64,
    `refusals_digest` UInt64,
    `rules` UInt32,
    `record_hash` UInt64
)
ENGINE = {{replacing "global" "next_offset"}}
ORDER BY (`log`, `partition`)
SETTINGS {{settings}};

-- Logs: the registered incarnations of the topic. All of a registration is in the key, so that a second one of other
-- values stays visible instead of replacing the first.
CREATE TABLE IF NOT EXISTS {{global "logs"}}
(
    `number` UInt32,
    `topic` String,
    `partitions` Int32,
    `registered_at` DateTime64(9, 'UTC')
)
ENGINE = {{replacing "global" ""}}
ORDER BY (`number`, `topic`, `partitions`)
SETTINGS {{settings}};
