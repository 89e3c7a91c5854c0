package config

import "time"

func ingestKeys() []key {
	at := func(f func(*Ingest) *time.Duration) func(*Settings) *time.Duration {
		return func(s *Settings) *time.Duration { return f(&s.Ingest) }
	}
	return []key{
		row("ingest.max_age", "35d", "", at(func(i *Ingest) *time.Duration { return &i.MaxAge }), duration(0, 100_000*day),
			"How old a time of use may be; 0 is no bound. Older use would change periods that were billed. The scope usage.backfill lifts it for one credential."),
		row("ingest.max_ahead", "5m", "", at(func(i *Ingest) *time.Duration { return &i.MaxAhead }), duration(0, 365*day),
			"How far ahead of the clock a time of use may be. Clocks differ by minutes; more is a mistake that would land in a period to come."),
		row("ingest.outcome_timeout", "2s", "", at(func(i *Ingest) *time.Duration { return &i.OutcomeTimeout }),
			duration(10*time.Millisecond, 30*time.Second),
			"How long a revert waits for its outcome before the answer is 202. It is stored and will be decided all the same."),
		row("ingest.waiters_max", "100000", "events", func(s *Settings) *int { return &s.Ingest.WaitersMax }, number(1, 10_000_000),
			"Events whose outcome is awaited at once; more is 503. Each holds memory and a connection while the aggregator is slow."),
		row("ingest.body_bytes_max", "8MiB", "bytes", func(s *Settings) *int64 { return &s.Ingest.BodyBytesMax }, size(1<<10, 1<<30),
			"Size of one request's body; more is 413. A body is held in memory whole, because all of it is checked before any of it is written."),
		row("ingest.usages_max", "10000", "usages", func(s *Settings) *int { return &s.Ingest.UsagesMax }, number(1, 1_000_000),
			"Usages in one request; more is 400. It bounds the work that one request can ask for."),
		row("ingest.inflight_bytes_max", "64MiB", "bytes", func(s *Settings) *int64 { return &s.Ingest.InflightBytesMax }, size(1<<10, 1<<40),
			"Bytes accepted and not yet answered, of all requests together; more is 503. It is what keeps memory bounded while Kafka is slow or down."),
		row("ingest.metadata_keys_max", "64", "keys", func(s *Settings) *int { return &s.Ingest.MetadataKeysMax }, number(0, 10_000),
			"Keys in one usage's metadata. They are stored with every event for ever."),
		row("ingest.metadata_bytes_max", "64KiB", "bytes", func(s *Settings) *int64 { return &s.Ingest.MetadataBytesMax }, size(0, 512<<10),
			"Size of one usage's metadata, keys and values. An event must fit into one Kafka record of 1 MB."),
		row("ingest.produce_timeout", "10s", "", at(func(i *Ingest) *time.Duration { return &i.ProduceTimeout }),
			duration(100*time.Millisecond, 5*time.Minute),
			"How long Kafka may take to acknowledge a request's events. More is 503, never a false 200; sending again with the same ids counts once."),
	}
}

func serverKeys() []key {
	at := func(f func(*Ingest) *time.Duration) func(*Settings) *time.Duration {
		return func(s *Settings) *time.Duration { return f(&s.Ingest) }
	}
	return []key{
		row("ingest.read_header_timeout", "10s", "", at(func(i *Ingest) *time.Duration { return &i.ReadHeaderTimeout }),
			duration(100*time.Millisecond, time.Hour),
			"How long a request's headers may take to arrive. Against clients that hold connections open by sending slowly."),
		row("ingest.read_timeout", "30s", "", at(func(i *Ingest) *time.Duration { return &i.ReadTimeout }),
			duration(100*time.Millisecond, time.Hour),
			"How long a request's body may take to arrive. 8 MiB in 30 s is 2.2 Mbit/s."),
		row("ingest.write_timeout", "30s", "", at(func(i *Ingest) *time.Duration { return &i.WriteTimeout }),
			duration(100*time.Millisecond, time.Hour),
			"How long a client may take to accept its answer. It begins when the answer does, so waiting for an outcome is not cut short."),
		row("ingest.idle_timeout", "2m", "", at(func(i *Ingest) *time.Duration { return &i.IdleTimeout }),
			duration(time.Second, day),
			"How long an unused connection stays open. Longer than the pause of a usual client, so that it need not connect again."),
		row("ingest.header_bytes_max", "64KiB", "bytes", func(s *Settings) *int64 { return &s.Ingest.HeaderBytesMax }, size(4<<10, 16<<20),
			"Size of a request's headers. They are read before anyone is authenticated."),
		row("ingest.rate_max", "0", "requests a second", func(s *Settings) *int { return &s.Ingest.RateMax }, number(0, 1_000_000),
			"Requests a second that one credential may make to this process; more are answered 429 with Retry-After, and nothing of them is stored. 0 is no bound. A request may carry ingest.usages_max usages, so it is no bound on events."),
		row("ingest.rate_burst", "1000", "requests", func(s *Settings) *int { return &s.Ingest.RateBurst }, number(1, 1_000_000),
			"Requests that a credential may make at once, after it was quiet, before ingest.rate_max holds."),
		row("ingest.connections_max", "10000", "connections", func(s *Settings) *int { return &s.Ingest.ConnectionsMax }, number(1, 1_000_000),
			"Connections open at once; more wait to be accepted. Each holds memory and a file descriptor."),
	}
}
