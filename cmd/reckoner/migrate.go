package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"reckoner/internal/app"
)

func newMigrate() *cobra.Command {
	var m migration
	c := process{
		use: "migrate", short: "Create topics and tables, and register the log",
		long: "Bring topics and tables up to this build and register the log. It may run at any time and any number of times.\n" +
			"It waits for Kafka and ClickHouse to answer; what waiting does not mend, such as a wrong password, ends it at once.\n\n" +
			"After partitions were added to usage.events, the topic was created anew, or a partition of it lost records, a new log is\n" +
			"registered with --new-log: stop ingest, let the aggregators drain the log, stop them, run it, start everything again. States\n" +
			"are rebuilt from the ledger. It prints what it finds of each partition. Records that were not counted and are gone have to be\n" +
			"given up by name (--accept-loss), stay on record, and are told by every `reckoner verify`. --dry-run only looks.",
		example: "  reckoner migrate --brokers kafka-1:9092 --clickhouse http://clickhouse:8123\n  reckoner migrate --new-log --partitions 32\n" +
			"  reckoner migrate --new-log --dry-run\n  reckoner migrate --new-log --accept-loss 2:1000,5:unknown",
		flags: []string{"brokers", "clickhouse"},
		start: m.run,
		once:  true,
	}.command()
	f := c.Flags()
	f.BoolVar(&m.newLog, "new-log", false, "register the next log of the topic")
	f.DurationVar(&m.wait, "wait", app.DefaultMigrateWait, "how long Kafka and ClickHouse may take to answer")
	f.BoolVar(&m.log.DryRun, "dry-run", false, "with --new-log: show what would be done and lost, and change nothing")
	f.IntVar(&m.log.Partitions, "partitions", 0, "with --new-log: add partitions to usage.events, up to this many; or as many as the log has, to leave those out that were added")
	f.BoolVar(&m.log.Recreated, "recreated", false, "with --new-log: confirm that the whole topic was created anew, and no longer holds what was counted")
	f.StringVar(&m.log.AcceptLoss, "accept-loss", "", "with --new-log: give up lost records, as `PARTITION:RECORDS`: so many of a partition at most, or 'unknown' where nobody can tell; separated by commas")
	m.out = c.OutOrStdout
	return c
}

// migration is what the flags of `migrate` say.
type migration struct {
	newLog bool
	wait   time.Duration
	log    app.NewLogOptions
	out    func() io.Writer
}

func (m *migration) run(ctx context.Context, p *app.Process) error {
	if !m.newLog && m.log != (app.NewLogOptions{}) {
		return errors.New("--dry-run, --recreated, --accept-loss and --partitions go with --new-log")
	}
	if m.newLog {
		return app.NewLog(ctx, p, m.out(), m.log)
	}
	if m.wait <= 0 {
		return fmt.Errorf("--wait: %s is not more than 0", m.wait)
	}
	return app.MigrateWithin(ctx, p, m.wait)
}
