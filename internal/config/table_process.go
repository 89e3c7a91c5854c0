package config

import "time"

func processKeys() []key {
	return []key{
		row("listen", "127.0.0.1:7400", "", func(s *Settings) *string { return &s.Listen }, address(),
			"Where the API listens. Loopback, so that nothing is open to others until someone says so."),
		row("ops_listen", "127.0.0.1:7401", "", func(s *Settings) *string { return &s.OpsListen }, address(),
			"Where metrics, health and profiles are served. They have no authentication: never give this port to the internet."),
		row("tls.cert_file", "", "", func(s *Settings) *string { return &s.TLS.CertFile }, file(),
			"Certificate of the API's port, with those between it and an authority that clients know, PEM. Empty serves plain HTTP: for loopback, or behind a proxy that encrypts. A renewed file is used from the next connection on."),
		row("tls.key_file", "", "", func(s *Settings) *string { return &s.TLS.KeyFile }, file(),
			"Key of the certificate, PEM. Readable by this process alone."),
		row("tls.client_ca_file", "", "", func(s *Settings) *string { return &s.TLS.ClientCAFile }, file(),
			"Authorities of which a client of the API must show a certificate, PEM, beside its credential. Empty asks for none."),
		row("data_dir", "./data", "", func(s *Settings) *string { return &s.DataDir }, someText("a directory"),
			"Directory of local state and of the embedded engines. One process at a time owns it."),
		row("log.level", "info", "", func(s *Settings) *string { return &s.Log.Level }, choice("debug", "info", "warn", "error"),
			"The least level that is logged. debug has a line for every request."),
		row("log.format", "text", "", func(s *Settings) *string { return &s.Log.Format }, choice("text", "json"),
			"How log lines are written. text for people, json for collectors."),
	}
}

func catalogKeys() []key {
	return []key{
		row("catalog.file", "", "", func(s *Settings) *string { return &s.Catalog.File }, anyText("a file, or empty for none"),
			"Catalog file, YAML or (named .json) JSON, whose entities are added to the catalog, or changed in it, when the process starts; nothing is removed. Afterwards `reckoner catalog apply` and the admin API change the catalog. dev begins with its demo catalog without one."),
		row("catalog.auto_accounts", "", "", func(s *Settings) *string { return &s.Catalog.AutoAccounts },
			anyText("an organization's id or name, or empty for none"),
			"Organization of account ids that the catalog does not list. Without one they are refused, so that a misspelt id is not billed to nobody. dev uses its demo organization."),
		row("catalog.change_timeout", "10s", "", func(s *Settings) *time.Duration { return &s.Catalog.ChangeTimeout },
			duration(100*time.Millisecond, 5*time.Minute),
			"How long a change of the catalog may take from the request to its decision. More is answered 503: the change may come into force all the same, and doing it again is safe."),
		row("catalog.mirror_interval", "1s", "", func(s *Settings) *time.Duration { return &s.Catalog.MirrorInterval },
			duration(0, day),
			"How often the copy of the catalog in ClickHouse (views catalog_*) is brought up to date; 0 never does. It serves analysts only: nothing waits for it."),
	}
}

func lifeKeys() []key {
	return []key{
		row("shutdown.timeout", "25s", "", func(s *Settings) *time.Duration { return &s.Shutdown.Timeout },
			duration(time.Second, time.Hour),
			"How long a stop may take. Below the 30 s after which Kubernetes kills; what is not done by then is done again by the next owner."),
		row("health.stall_after", "2m", "", func(s *Settings) *time.Duration { return &s.Health.StallAfter },
			duration(time.Second, day),
			"How long a partition may stand still while there is work, or an aggregator may wait to be taken into its group, before the process is unhealthy, whatever the cause: that Kafka or ClickHouse is away, too. Longer than a rebalance or a short outage takes, else those would be shot; a restore is no standstill."),
	}
}
