-- Reports to partners, a row each, as docs/adr/0019-reports.md has them. Of the revisions of a report the greatest is
-- true. A report is keyed by its timestamp and partitioned by the month of it, so it is always rewritten into the same month.
-- Small granules: what is looked for is the newest few rows of many installations, and a payload has kilobytes.
CREATE TABLE IF NOT EXISTS {{table "reports"}}
(
    `installation_id` String CODEC(ZSTD(1)),
    `target` LowCardinality(String),
    `account_id` String CODEC(ZSTD(1)),
    `timestamp` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    `reporter` String CODEC(ZSTD(1)),
    `moment` DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    `day_start` DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    `eod` DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    `period_start` DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    `period_end` DateTime64(9, 'UTC') CODEC(ZSTD(1)),
    `as_of_log` UInt32 CODEC(ZSTD(1)),
    `as_of_partition` Int32 CODEC(ZSTD(1)),
    `as_of_offset` Int64 CODEC(ZSTD(1)),
    `as_of_index` Int32 CODEC(ZSTD(1)),
    `lag_nanoseconds` Int64 CODEC(ZSTD(1)),
    `stale` Bool,
    `rules` UInt32 CODEC(ZSTD(1)),
    `inputs` String CODEC(ZSTD(3)),
    `scope_subscriptions` Array(String) CODEC(ZSTD(1)),
    `scope_starts` Array(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    `scope_ends` Array(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    `state` String CODEC(ZSTD(3)),
    `payload` String CODEC(ZSTD(3)),
    `figures` FixedString(32),
    `attempt` UInt32 CODEC(ZSTD(1)),
    `sent_at` Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    `status` Enum8('sending' = 1, 'accepted' = 2, 'failed' = 3, 'refused' = 4, 'superseded' = 5, 'expired' = 6),
    `code` Int32 CODEC(ZSTD(1)),
    `response` String CODEC(ZSTD(3)),
    `error` String CODEC(ZSTD(3)),
    `revision` UInt64 CODEC(ZSTD(1)),
    INDEX account_id_bloom account_id TYPE bloom_filter(0.01) GRANULARITY 8
)
ENGINE = {{replacing "sharded" "revision"}}
PARTITION BY toYYYYMM(`timestamp`)
PRIMARY KEY (installation_id, `timestamp`)
ORDER BY (installation_id, `timestamp`, reporter)
SETTINGS index_granularity = 128, {{settings}};

{{distributed "reports" "cityHash64(installation_id)"}}

-- Claims of timestamps: of a reporter and an installation the greatest. Never split over shards: each reporter looks at all
-- of them before it sends. A claim goes a week after it was made, since each run of a CronJob is a reporter of its own; what
-- was sent by it is in the reports.
CREATE TABLE IF NOT EXISTS {{global "report_claims"}}
(
    `installation_id` String CODEC(ZSTD(1)),
    `reporter` String CODEC(ZSTD(1)),
    `timestamp` DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    `claimed_at` DateTime('UTC') DEFAULT now()
)
ENGINE = {{replacing "global" "`timestamp`"}}
ORDER BY (installation_id, reporter)
TTL claimed_at + INTERVAL 7 DAY DELETE
SETTINGS index_granularity = 1024, {{settings}};
