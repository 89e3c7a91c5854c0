package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"reckoner/internal/app"
	"reckoner/internal/config"
)

func newCatalog() *cobra.Command {
	c := &cobra.Command{
		Use: "catalog", Short: "Change the catalog, and show it", Args: cobra.NoArgs,
		Long: "The catalog says who is metered, and how. It lives in the topic `catalog`; every ingest process follows it within a second.\n" +
			"These commands speak to Kafka directly, so they need no credential of the API, and work while nothing else runs.",
	}
	c.AddCommand(newCatalogApply(), newCatalogGet())
	return c
}

func newCatalogApply() *cobra.Command {
	var o app.CatalogApplyOptions
	c := &cobra.Command{
		Use: "apply FILE", Short: "Make the catalog what a file says", Args: cobra.ExactArgs(1),
		Long: "Show how a file (YAML, or JSON if its name ends in .json) differs from the catalog, and make the catalog so: what is new is\n" +
			"created, what differs is changed, and with --prune what the file does not list is deleted. A file with any fault in it changes\n" +
			"nothing, and every fault is told with its line. Applying a file again does nothing. Usage that is under way is not touched: each\n" +
			"event carries what was resolved when it came in.\n\n" +
			"A credential without secret_sha256 keeps the one it has.\n\n" +
			"Exit status: 0 when the catalog is what the file says (with --dry-run: when it could be), 1 otherwise.",
		Example: "  reckoner catalog apply --dry-run catalog.yaml\n  reckoner catalog apply --brokers kafka-1:9092 --prune catalog.yaml",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers")
	c.Flags().BoolVar(&o.Prune, "prune", false, "delete what the file does not list")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "show what would be done, and do nothing")
	c.Flags().IntVar(&o.Lines, "lines", 1000, "show at most so many changes; 0 shows all")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := quietProcess(c)
		if err != nil {
			return err
		}
		o.Progress = showChanges(c.ErrOrStderr())
		return p.End(app.CatalogApply(c.Context(), p, c.OutOrStdout(), args[0], o))
	}
	return c
}

func newCatalogGet() *cobra.Command {
	var o app.CatalogGetOptions
	format := "yaml"
	c := &cobra.Command{
		Use: "get [KIND [ID]]", Short: "Write the catalog, or a part of it, as a file that can be applied", Args: cobra.MaximumNArgs(2),
		Long: "Write the catalog, all entities of one kind, or one entity, as a file that `catalog apply` takes. Secrets are not in it, nor their\n" +
			"hashes: where the credentials are known, they keep theirs. To take credentials to another installation, add --hashes.\n\n" +
			"A file of more than 16 MiB has to be JSON to be applied again.",
		Example: "  reckoner catalog get > catalog.yaml\n  reckoner catalog get subscriptions sub_1\n  reckoner catalog get --format json --hashes > backup.json",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers")
	c.Flags().StringVar(&format, "format", format, "yaml or json")
	c.Flags().BoolVar(&o.Hashes, "hashes", false, "with the hashes of the credentials' secrets")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch format {
		case "yaml", "json":
			o.JSON = format == "json"
		default:
			return fmt.Errorf("unknown format %q: want yaml or json", format)
		}
		if len(args) > 0 {
			o.Kind = args[0]
		}
		if len(args) > 1 {
			o.ID = args[1]
		}
		p, err := quietProcess(c)
		if err != nil {
			return err
		}
		return p.End(app.CatalogGet(c.Context(), p, c.OutOrStdout(), o))
	}
	return c
}

// quietProcess is newProcess, which tells only what went wrong unless it is asked for more.
func quietProcess(c *cobra.Command) (*app.Process, error) {
	s, err := loadSettings(c, map[string]string{"log.level": "warn"})
	if err != nil {
		return nil, err
	}
	return app.NewProcess(s, newLogger(s, c.ErrOrStderr())), nil
}

// showChanges draws a bar of the changes that are made.
func showChanges(out io.Writer) func(done, of int) {
	var bar *progressbar.ProgressBar
	return func(done, of int) {
		if bar == nil {
			bar = progressbar.NewOptions(of, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
				progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("changes"))
		}
		_ = bar.Set(done) // a bar that cannot be drawn is no reason to stop
	}
}
