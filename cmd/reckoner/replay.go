package main

import (
	"github.com/spf13/cobra"

	"reckoner/internal/app"
	"reckoner/internal/config"
)

func newReplay() *cobra.Command {
	var o app.ReplayOptions
	c := &cobra.Command{
		Use: "replay", Short: "Write the ledger's rows again from the log", Args: cobra.NoArgs,
		Long: "Decide the log again from its first record and write the ledger's rows, up to the log's end. It changes nothing that is\n" +
			"right, also beside running aggregators. It is the remedy for a ledger that lost rows or was restored from an old backup; it\n" +
			"cannot remove rows that the log does not give. Look first with `reckoner verify`.",
		Example: "  reckoner replay\n  reckoner replay --partition 3 --from 120000",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers", "clickhouse")
	c.Flags().Int64Var(&o.From, "from", 0, "write no rows of records below this `offset`; not above the ledger's checkpoint")
	c.Flags().Int32Var(&o.Partition, "partition", -1, "only this partition")
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := newProcess(c)
		if err != nil {
			return err
		}
		o.Progress = showProgress(c.ErrOrStderr())
		return p.End(app.Replay(c.Context(), p, c.OutOrStdout(), o))
	}
	return c
}
