package config

import "time"

func kafkaKeys() []key {
	at := func(f func(*Kafka) *time.Duration) func(*Settings) *time.Duration {
		return func(s *Settings) *time.Duration { return f(&s.Kafka) }
	}
	password := row("kafka.sasl_password", "", "", func(s *Settings) *string { return &s.Kafka.SASLPassword }, anyText("text"),
		"Password of that user. Best given by environment, or as a file (kafka.sasl_password_file); it is never shown.")
	password.redact = hidden
	return []key{
		row("kafka.brokers", "127.0.0.1:9092", "", func(s *Settings) *[]string { return &s.Kafka.Brokers }, addresses(),
			"Kafka brokers to ask for the others. More than one, so that a start does not depend on one machine."),
		row("kafka.security_protocol", "plaintext", "", func(s *Settings) *string { return &s.Kafka.SecurityProtocol },
			choice("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
			"How brokers are reached: encrypted (ssl), with a user (sasl), both or neither, in Kafka's own names. Who can write usage.events is trusted like ingest, so use sasl_ssl or ssl with certificates wherever others reach the brokers. The embedded Kafka is plaintext."),
		row("kafka.ca_file", "", "", func(s *Settings) *string { return &s.Kafka.CAFile }, file(),
			"Authorities that brokers' certificates are held against, PEM. Empty is the system's."),
		row("kafka.cert_file", "", "", func(s *Settings) *string { return &s.Kafka.CertFile }, file(),
			"Certificate that this process shows to brokers, PEM. A renewed file is used from the next connection on."),
		row("kafka.key_file", "", "", func(s *Settings) *string { return &s.Kafka.KeyFile }, file(),
			"Key of that certificate, PEM."),
		row("kafka.sasl_mechanism", "scram-sha-512", "", func(s *Settings) *string { return &s.Kafka.SASLMechanism },
			choice("plain", "scram-sha-256", "scram-sha-512"),
			"How the user is proven where kafka.security_protocol is sasl_…. plain sends the password: only with sasl_ssl."),
		row("kafka.sasl_username", "", "", func(s *Settings) *string { return &s.Kafka.SASLUsername }, anyText("a user's name"),
			"User at the brokers."),
		password,
		row("kafka.sasl_password_file", "", "", func(s *Settings) *string { return &s.Kafka.SASLPasswordFile }, file(),
			"File that holds the password instead; a line's end after it does not count. It is read for every connection, so a new password needs no restart."),
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
		row("clickhouse.ca_file", "", "", func(s *Settings) *string { return &s.ClickHouse.CAFile }, file(),
			"Authorities that the server's certificate is held against, PEM, where the URL is https:// or clickhouse://…?secure=true. Empty is the system's."),
		row("clickhouse.cert_file", "", "", func(s *Settings) *string { return &s.ClickHouse.CertFile }, file(),
			"Certificate that this process shows to ClickHouse, PEM. A renewed file is used from the next connection on."),
		row("clickhouse.key_file", "", "", func(s *Settings) *string { return &s.ClickHouse.KeyFile }, file(),
			"Key of that certificate, PEM."),
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
