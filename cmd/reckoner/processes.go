package main

import (
	"github.com/spf13/cobra"

	"reckoner/internal/app"
	"reckoner/internal/config"
)

func newDev() *cobra.Command {
	return process{
		use: "dev", short: "Run everything in one process, with embedded Kafka and embedded ClickHouse",
		long: "Run everything in one process: the HTTP API, the aggregator, an embedded Kafka and an embedded ClickHouse, on disk under\n" +
			"--data-dir. Without --catalog it begins with the demo catalog, whose credential is demo:demo-secret, and takes any account id.",
		example: "  reckoner dev\n  reckoner dev --data-dir /var/tmp/reckoner --catalog catalog.yaml\n" +
			"  curl 'http://127.0.0.1:8123/?query=SELECT+*+FROM+reckoner.account_totals+FORMAT+PrettyCompact'",
		flags:    []string{"listen", "ops-listen", "data-dir", "kafka-listen", "clickhouse-listen", "catalog"},
		defaults: config.EmbeddedDefaults(),
		start:    app.Dev,
	}.command()
}

func newEngines() *cobra.Command {
	return process{
		use: "engines", short: "Run the embedded Kafka and the embedded ClickHouse alone, on their ports",
		long:     "Run the two embedded engines alone, for running `migrate`, `ingest` and `aggregate` as separate processes without a cluster.",
		example:  "  reckoner engines &\n  reckoner migrate\n  reckoner aggregate &\n  reckoner ingest --catalog configs/catalog.yaml",
		flags:    []string{"ops-listen", "data-dir", "kafka-listen", "clickhouse-listen"},
		defaults: map[string]string{"ops_listen": "127.0.0.1:7403"},
		start:    app.Engines,
	}.command()
}

func newIngest() *cobra.Command {
	return process{
		use: "ingest", short: "Take usage and reverts over HTTP and write them to Kafka",
		long: "Take usage and reverts over HTTP, resolve them through the catalog, and write them to Kafka. A success means that every\nin-sync replica has them. " +
			"The catalog is in the topic `catalog`; a file named by --catalog is applied to it at the start.",
		example: "  reckoner ingest --catalog catalog.yaml --brokers kafka-1:9092,kafka-2:9092 --clickhouse http://clickhouse:8123",
		flags:   []string{"listen", "ops-listen", "brokers", "clickhouse", "catalog"},
		start:   app.Ingest,
	}.command()
}

func newAggregate() *cobra.Command {
	return process{
		use: "aggregate", short: "Decide the events of the log once each and keep the totals in ClickHouse",
		long: "Read the log, decide one outcome for every event, and write entries, refusals and totals to ClickHouse. Several processes\n" +
			"share the partitions; each needs a data directory of its own, best on a disk that outlives it.",
		example:  "  reckoner aggregate --brokers kafka-1:9092 --clickhouse http://clickhouse:8123 --data-dir /var/lib/reckoner",
		flags:    []string{"ops-listen", "data-dir", "brokers", "clickhouse"},
		defaults: map[string]string{"ops_listen": "127.0.0.1:7402"},
		start:    app.Aggregate,
	}.command()
}

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use: "config", Short: "Print the settings in force and where each came from, secrets redacted", Args: cobra.NoArgs,
		Example: "  RECKONER_INGEST_MAX_AGE=0 reckoner config",
	}
	config.AddFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := loadSettings(c, nil)
		if err != nil {
			return err
		}
		return s.Print(c.OutOrStdout())
	}
	return c
}
