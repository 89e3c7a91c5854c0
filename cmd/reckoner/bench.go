package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"reckoner/internal/bench"
	"reckoner/internal/config"
)

func newBench() *cobra.Command {
	var o bench.Options
	var file string
	var list bool
	c := &cobra.Command{
		Use: "bench", Short: "Measure the performance goals, each beside its floor", Args: cobra.NoArgs,
		Long: "Measure the performance goals, each beside its floor: what the engines themselves can do with the same bytes. Ours and floor\n" +
			"are measured in one run, in turns, and the ratio counts. The engines are embedded, with data in a temporary directory (TMPDIR,\n" +
			"or --dir) that is removed; with --brokers and --clickhouse they are a cluster and a server that nobody else uses meanwhile.\n" +
			"All other settings are those in force. The machine should have nothing else to do: every row is bounded, all of them take\n" +
			"about half an hour. docs/performance.md explains the table.\n\n" +
			"Exit status: 0 when every row was measured, whether its goal is met or not; 1 otherwise.",
		Example: "  reckoner bench --json bench.json\n  reckoner bench --only ingest-batch,aggregate\n" +
			"  reckoner bench --brokers kafka-1:9092 --clickhouse http://clickhouse:8123",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers", "clickhouse")
	f := c.Flags()
	f.StringVar(&file, "json", "", "write the report to this `file`, as JSON; - is standard output, in place of the table")
	f.StringSliceVar(&o.Only, "only", nil, "measure these `rows` only, by name, separated by commas")
	f.BoolVar(&o.Quick, "quick", false, "tiny bounds, to see that everything runs: the figures mean nothing")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the generated input")
	f.Int64Var(&o.KnownIDs, "ids", 0, "how many ids known-ids makes (default 50000000; with less its goal is not met)")
	f.StringVar(&o.Trace, "trace", "", "send this `file` of usage (CSV, as `reckoner send` takes it) in place of what is generated")
	f.StringVar(&o.Dir, "dir", "", "`directory` for what is stored meanwhile (default: that for temporary files)")
	f.StringVar(&o.Profiles, "profiles", "", "write profiles of the processors to this `directory`, for `go tool pprof`")
	f.BoolVar(&list, "list", false, "list the rows and measure nothing")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if list {
			return listRows(c.OutOrStdout())
		}
		defaults := config.EmbeddedDefaults()
		defaults["log.level"] = "error"
		s, err := loadSettings(c, defaults)
		if err != nil {
			return err
		}
		brokers, clickhouse := c.Flags().Changed("brokers"), c.Flags().Changed("clickhouse")
		if brokers != clickhouse {
			return errors.New("--brokers and --clickhouse go together: give both, or neither for the embedded engines")
		}
		o.External = brokers
		o.Settings, o.Log, o.Progress = s, newLogger(s, c.ErrOrStderr()), c.ErrOrStderr()
		return runBench(c, o, file)
	}
	return c
}

func runBench(c *cobra.Command, o bench.Options, file string) error {
	report, err := bench.Run(c.Context(), o)
	if report == nil {
		return err
	}
	// Also after an interruption: what was measured until then took its time.
	err = errors.Join(err, writeReport(c.OutOrStdout(), report, file))
	if err != nil {
		return err
	}
	if names := report.Unmeasured(); len(names) > 0 {
		return fmt.Errorf("not measured: %s", strings.Join(names, ", "))
	}
	return nil
}

func writeReport(out io.Writer, report *bench.Report, file string) error {
	if file == "-" {
		return report.WriteJSON(out)
	}
	err := report.WriteTable(out)
	if file != "" {
		var b bytes.Buffer
		err = errors.Join(err, report.WriteJSON(&b), os.WriteFile(file, b.Bytes(), 0o600))
	}
	return err
}

func listRows(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range bench.Rows() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Name, r.What, r.Goal)
	}
	return t.Flush()
}
