package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"reckoner/internal/app"
	"reckoner/internal/config"
)

func newVerify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify", Short: "Replay the log beside the ledger and compare them bit by bit", Args: cobra.NoArgs,
		Long: "Replay the log from its first record through a fresh machine and compare every entry, refusal, total and checkpoint with\n" +
			"what the ledger holds. It may run beside the system, a running `dev` included. It needs room in the temporary directory\n" +
			"(TMPDIR), about what the rows of the largest partitions take: as many as there are processors, eight at most.\n\n" +
			"Exit status: 0 when nothing differs, 1 otherwise.",
		Example: "  reckoner verify\n  reckoner verify --brokers kafka-1:9092 --clickhouse http://clickhouse:8123",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers", "clickhouse")
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := newProcess(c)
		if err != nil {
			return err
		}
		clean, err := app.Verify(c.Context(), p, c.OutOrStdout(), showProgress(c.ErrOrStderr()))
		if err := p.End(err); err != nil {
			return err
		}
		if !clean {
			return &exitStatus{1}
		}
		return nil
	}
	return c
}

// showProgress draws one bar for all partitions that are on their way, or were.
func showProgress(out io.Writer) func(partition int32, done, total int64) {
	var bar *progressbar.ProgressBar
	type records struct{ done, total int64 }
	partitions := make(map[int32]records)
	var all records
	return func(partition int32, done, total int64) {
		before := partitions[partition]
		partitions[partition] = records{done, total}
		all.done, all.total = all.done+done-before.done, all.total+total-before.total
		if bar == nil || bar.IsFinished() {
			bar = progressbar.NewOptions64(all.total, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(),
				progressbar.OptionShowIts(), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(),
				progressbar.OptionSetDescription("records"))
		}
		bar.ChangeMax64(all.total)
		_ = bar.Set64(all.done) // a bar that cannot be drawn is no reason to stop
	}
}
