package config

import "time"

func kafkaKeys() []key {
	at := func(f func(*Kafka) *time.Duration) func(*Settings) *time.Duration {
		return func(s *Settings) *time.Duration { return f(&s.Kafka) }
	}
	return []key{
		row("kafka.brokers", "127.0.0.1:9092", "", func(s *Settings) *[]string { return &s.Kafka.Brokers }, addresses(),
			"Kafka brokers to ask for the others. More than one, so that a start does not depend on one machine."),
		row("kafka.client_id", "reckoner", "", func(s *Settings) *string { return &s.Kafka.ClientID }, someText("text"),
			"Name of this process in the brokers' logs and quotas."),
		row("kafka.group", "reckoner-aggregator", "", func(s *Settings) *string { return &s.Kafka.Group }, someText("text"),
			"Consumer group of the aggregators. All that share one ledger share one group; another group on the same ledger does all work twice."),
		row("kafka.listen", "127.0.0.1:9092", "", func(s *Settings) *string { return &s.Kafka.Listen }, address(),
			"Where the embedded Kafka listens (dev and engines). It has no authentication."),
		row("kafka.partitions", "16", "partitions", func(s *Settings) *int { return &s.Kafka.Partitions }, number(1, 4096),
			"Partitions of usage.events when migrate creates it; the embedded engine has 4. An account lives in one, so this bounds how many cores aggregate. It is registered with the log: changing it later takes a new log."),
		row("kafka.replication_factor", "0", "copies", func(s *Settings) *int { return &s.Kafka.ReplicationFactor }, number(0, 32),
			"Copies of each record in topics that migrate creates; 0 leaves it to the cluster. An acknowledged event is as safe as its copies: use 3 where it counts."),
		row("kafka.min_insync_replicas", "0", "copies", func(s *Settings) *int { return &s.Kafka.MinInsyncReplicas }, number(0, 32),
			"Copies that must exist before a write is acknowledged, in topics that migrate creates; 0 is 2 from three copies on, and else left to the cluster. Less than the copies, else one lost broker stops all writes."),
		row("kafka.session_timeout", "10s", "", at(func(k *Kafka) *time.Duration { return &k.SessionTimeout }),
			duration(time.Second, 30*time.Minute),
			"How long a silent aggregator keeps its partitions. Shorter takes over sooner, longer survives pauses. Apache Kafka takes 6 s to 30 min."),
		row("kafka.rebalance_timeout", "20s", "", at(func(k *Kafka) *time.Duration { return &k.RebalanceTimeout }),
			duration(time.Second, 30*time.Minute),
			"How long the group waits for a member to let go of its partitions. A batch in flight ends within it."),
		row("kafka.dial_timeout", "5s", "", at(func(k *Kafka) *time.Duration { return &k.DialTimeout }),
			duration(100*time.Millisecond, 5*time.Minute),
			"How long connecting to a broker may take. A dead machine answers nothing, and must not hold a request."),
		row("kafka.request_timeout", "10s", "", at(func(k *Kafka) *time.Duration { return &k.RequestTimeout }),
			duration(100*time.Millisecond, 5*time.Minute),
			"How long one request to a broker may take, its answer included."),
	}
}

func clickhouseKeys() []key {
	at := func(f func(*ClickHouse) *time.Duration) func(*Settings) *time.Duration {
		return func(s *Settings) *time.Duration { return f(&s.ClickHouse) }
	}
	url := row("clickhouse.url", "http://127.0.0.1:8123", "", func(s *Settings) *string { return &s.ClickHouse.URL }, clickhouseURL(),
		"ClickHouse server. User default without a password, and database reckoner, unless the URL says otherwise. Best given by environment: it may hold a password, which is never shown.")
	url.redact = hiddenURL
	return []key{
		url,
		row("clickhouse.listen", "127.0.0.1:8123", "", func(s *Settings) *string { return &s.ClickHouse.Listen }, address(),
			"Where the HTTP interface of the embedded ClickHouse listens (dev and engines). It has no authentication, and whoever reaches it can read files as you: keep it on loopback."),
		row("clickhouse.cluster", "", "", func(s *Settings) *string { return &s.ClickHouse.Cluster }, anyText("a cluster's name, or empty for a single server"),
			"Cluster to create the tables on, replicated and distributed. Every process of an installation has the same."),
		row("clickhouse.dial_timeout", "10s", "", at(func(c *ClickHouse) *time.Duration { return &c.DialTimeout }),
			duration(100*time.Millisecond, 5*time.Minute),
			"How long connecting may take."),
		row("clickhouse.insert_timeout", "1m", "", at(func(c *ClickHouse) *time.Duration { return &c.InsertTimeout }),
			duration(time.Second, time.Hour),
			"How long one attempt to insert may take before it is tried again. Inserting twice changes nothing, so only patience is at stake."),
		row("clickhouse.query_timeout", "10s", "", at(func(c *ClickHouse) *time.Duration { return &c.QueryTimeout }),
			duration(100*time.Millisecond, time.Hour),
			"How long a read for the API may take. More is answered 503, so that slow reads do not pile up."),
		row("clickhouse.max_open_connections", "8", "connections", func(s *Settings) *int { return &s.ClickHouse.MaxOpenConnections }, number(1, 1024),
			"Connections that a process opens at most. One insert is in flight at a time; the rest are reads."),
	}
}
