package main

import (
	"errors"

	"github.com/spf13/cobra"

	"reckoner/internal/send"
)

// demoOrganization is that of configs/catalog.yaml.
const demoOrganization = "demo"

func newSend() *cobra.Command {
	var o send.Options
	c := &cobra.Command{
		Use:   "send FILE",
		Short: "Report a CSV or NDJSON file of usage and reverts over HTTP",
		Long: "Report a file of usage and reverts over HTTP: in batches, over several connections, each account's lines in the order of the\n" +
			"file. Columns: kind,id,account_id,time,amount,usage_id; NDJSON also type, source, metadata. An interrupted run goes on where\n" +
			"it was; sending a line twice never counts it twice. What is delivered is remembered by file, address and organization, and\n" +
			"believed when the server shows that it still has it; else, or with --restart, every line goes out again.\n\n" +
			"Times older than the server's ingest.max_age need a credential with the scope usage.backfill; the demo credential has it.\n\n" +
			"Exit status: 0 when every line was delivered and decided or accepted, 1 when any was refused or not delivered.",
		Example: "  reckoner send usage.csv\n  reckoner send --url https://meter.example --org acme --credential producer:secret usage.ndjson",
		Args:    cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&o.URL, "url", send.DefaultURL, "address of the API")
	f.StringVar(&o.Credential, "credential", send.DefaultCredential, "credential, id:secret")
	f.StringVar(&o.Org, "org", demoOrganization, "organization of the accounts, by id or name")
	f.StringVar(&o.Format, "format", "", "csv or ndjson (default: by the file's extension)")
	f.IntVar(&o.Connections, "connections", send.DefaultConnections, "requests under way at once")
	f.IntVar(&o.Batch, "batch", send.DefaultBatch, "usages in one request, at most")
	f.DurationVar(&o.RetryFor, "retry-for", send.DefaultRetryFor, "how long one request is tried again")
	f.BoolVar(&o.Restart, "restart", false, "send from the first line, whatever an interrupted run delivered")
	c.RunE = func(c *cobra.Command, args []string) error {
		o.Path, o.Out = args[0], c.ErrOrStderr()
		summary, err := send.Run(c.Context(), o)
		if _, werr := summary.WriteTo(c.OutOrStdout()); werr != nil {
			return errors.Join(err, werr)
		}
		if err != nil {
			return err
		}
		if status := summary.ExitStatus(); status != 0 {
			return &exitStatus{status}
		}
		return nil
	}
	return c
}
