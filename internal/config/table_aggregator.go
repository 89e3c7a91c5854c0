package config

import "time"

func aggregatorKeys() []key {
	at := func(f func(*Aggregator) *time.Duration) func(*Settings) *time.Duration {
		return func(s *Settings) *time.Duration { return f(&s.Aggregator) }
	}
	return []key{
		row("aggregator.batch_events_max", "100000", "events", func(s *Settings) *int { return &s.Aggregator.BatchEventsMax }, number(1, 10_000_000),
			"Events decided and not yet inserted at which a flush is due, of all partitions together. ClickHouse wants few and large inserts."),
		row("aggregator.batch_bytes_max", "256MiB", "bytes", func(s *Settings) *int64 { return &s.Aggregator.BatchBytesMax }, size(1<<20, 16<<30),
			"Memory of those events, estimated, at which a flush is due: about 1.7 KB each. As much again is on its way to ClickHouse, so twice this bounds memory while ClickHouse is slow or down."),
		row("aggregator.flush_interval", "1s", "", at(func(a *Aggregator) *time.Duration { return &a.FlushInterval }),
			duration(10*time.Millisecond, 10*time.Minute),
			"Age of the oldest decided event at which a flush is due. It is how far totals lag behind; shorter makes more and smaller parts for ClickHouse to merge."),
		row("aggregator.flush_interval_waited", "50ms", "", at(func(a *Aggregator) *time.Duration { return &a.FlushIntervalWaited }),
			duration(time.Millisecond, 10*time.Minute),
			"Least time from one flush to the next while someone waits for an outcome. Each is an insert with a disk sync, so it bounds how many there are. While flushes are slow it is twice the time of the last one, and an event that was received longer than ingest.outcome_timeout ago hurries none: nobody waits for it any more."),
		row("aggregator.fetch_bytes_max", "8MiB", "bytes", func(s *Settings) *int64 { return &s.Aggregator.FetchBytesMax }, size(64<<10, 1<<30),
			"Bytes read from a partition at a time. Each partition holds that much; less costs more round trips when catching up."),
		row("aggregator.retry_backoff_min", "100ms", "", at(func(a *Aggregator) *time.Duration { return &a.RetryBackoffMin }),
			duration(time.Millisecond, time.Hour),
			"Wait after the first failed attempt at something. It doubles with every further one."),
		row("aggregator.retry_backoff_max", "15s", "", at(func(a *Aggregator) *time.Duration { return &a.RetryBackoffMax }),
			duration(time.Millisecond, time.Hour),
			"Longest wait between attempts. It is how late an engine's return is noticed."),
		row("aggregator.answer_timeout", "2s", "", at(func(a *Aggregator) *time.Duration { return &a.AnswerTimeout }),
			duration(10*time.Millisecond, time.Minute),
			"How long publishing awaited outcomes may hold up a batch. They are a courtesy: without them the answer is 202."),
		row("aggregator.restore_delay", "10s", "", at(func(a *Aggregator) *time.Duration { return &a.RestoreDelay }),
			duration(0, time.Hour),
			"How long a partition whose state another process had waits for that process to start again, before it is restored from the ledger. Longer than a restart, so that a deploy restores nothing; it is added to the time that a lost machine takes to replace. dev does not wait."),
		row("aggregator.ledger_watch_interval", "5s", "", at(func(a *Aggregator) *time.Duration { return &a.LedgerWatchInterval }),
			duration(10*time.Millisecond, time.Hour),
			"How often the ledger is held against the local states while nothing is flushed (each flush does it anyway): how late a ledger that was exchanged, as by an old backup, is noticed. A look is one query of a table with a row a partition."),
		row("aggregator.state_cache_bytes", "256MiB", "bytes", func(s *Settings) *int64 { return &s.Aggregator.StateCacheBytes }, size(1<<20, 1<<40),
			"Memory for blocks of the local states, of all partitions together. Ids and totals in use should fit, else every event reads the disk."),
	}
}

func auditKeys() []key {
	return []key{
		row("audit.interval", "10s", "", func(s *Settings) *time.Duration { return &s.Audit.Interval }, duration(0, day),
			"Least time between two looks at a slice of accounts, whose totals are held against their entries while the aggregator runs. The slower ClickHouse answers, the less it is asked. 0 turns it off."),
	}
}
