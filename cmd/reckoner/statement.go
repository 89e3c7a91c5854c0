package main

import (
	"github.com/spf13/cobra"

	"reckoner/internal/app"
	"reckoner/internal/config"
)

func newStatement() *cobra.Command {
	var o app.StatementOptions
	c := &cobra.Command{
		Use: "statement ACCOUNT", Short: "Show what an account used in a billing period, and what that costs", Args: cobra.ExactArgs(1),
		Long: "Show what an account used in a billing period, and what that costs by the plans of the catalog: by meter, by subscription, with\n" +
			"what is included, prices and discounts. The figures are exact at the position in the log that is shown. Of the current period\n" +
			"they are those up to now.\n\n" +
			"Subscriptions with different periods have a statement each; usage that names no subscription, or one that the catalog no longer\n" +
			"has, is of the calendar months in UTC. --period is one of:\n\n" +
			"  current, previous    the period that is under way, or the one before it\n" +
			"  2026-06              the periods that begin in that month; where none does, as of years, the one under way at its first instant\n" +
			"  2026-06-15           the period that holds the begin of that day in UTC\n" +
			"  2026-06-15T08:00:00Z the period that holds that instant\n\n" +
			"It reads the catalog from Kafka and the figures from ClickHouse, and needs no credential of the API. GET\n" +
			"/v1/accounts/{id}/statement answers with the same.\n\n" +
			"Exit status: 0 when there is a statement, 1 otherwise.",
		Example: "  reckoner statement 9c1e0000-0000-4000-8000-000000000001\n" +
			"  reckoner statement 9c1e0000-0000-4000-8000-000000000001 --period 2026-06 --format csv > june.csv\n" +
			"  reckoner statement 9c1e0000-0000-4000-8000-000000000001 --period previous --subscription sub_1",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers", "clickhouse")
	c.Flags().StringVar(&o.Period, "period", "current", "which billing `period`: current, previous, a month, a date or a time")
	c.Flags().StringVar(&o.SubscriptionID, "subscription", "", "of this subscription alone")
	c.Flags().StringVar(&o.Format, "format", "table", "table, json or csv")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := quietProcess(c)
		if err != nil {
			return err
		}
		o.AccountID = args[0]
		return p.End(app.Statement(c.Context(), p, c.OutOrStdout(), o))
	}
	return c
}
