package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"reckoner/internal/app"
	"reckoner/internal/config"
)

func newReport() *cobra.Command {
	var o app.ReportOnceOptions
	var once bool
	var at string
	defaults := map[string]string{"ops_listen": "127.0.0.1:7404", "listen": "127.0.0.1:7405"}
	c := process{
		use: "report", short: "Report usage to partners, by a schedule of its own or once",
		long: "Report to every installation of the catalog what its account used: the current day, and the closing figures of days and\n" +
			"periods that ended, for as long as the partner takes them. Figures are running totals read from the ledger at a known\n" +
			"position, so a missed run is made up for by the next one, and any number of reporters may run at once.\n\n" +
			"Without flags it stays: it reports every report.every, and takes POST /admin/v1/reports/run on its port. --once makes one run\n" +
			"for cron or a Kubernetes CronJob; --at, --installation and --dry-run make one run, too. Tokens come from the environment or the\n" +
			"files that the catalog names.\n\n" +
			"Exit status with --once: 0 when every installation's reports were accepted or there was nothing to tell, 1 otherwise.",
		example: "  reckoner report --brokers kafka-1:9092 --clickhouse http://clickhouse:8123\n  reckoner report --once\n" +
			"  reckoner report --dry-run --installation icfg_1\n  reckoner report show icfg_1 --day latest\n  reckoner report check",
		flags: []string{"listen", "ops-listen", "brokers", "clickhouse"}, defaults: defaults,
		start: app.Report,
	}.command()
	f := c.Flags()
	f.BoolVar(&once, "once", false, "make one run and end")
	f.StringVar(&at, "at", "", "make one run as of this `time` (RFC 3339): it decides which days are reported; one in the future needs --dry-run")
	f.StringVar(&o.Installation, "installation", "", "make one run of this installation only")
	f.BoolVar(&o.DryRun, "dry-run", false, "print the payloads that would be sent, a line each (with --installation the payload alone); write and send nothing")
	stay := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		// A flag that was given counts, whatever it holds: a variable that was not set in a crontab must not mean all.
		given := c.Flags().Changed
		if !once && !given("at") && !given("installation") && !o.DryRun {
			return stay(c, args)
		}
		if given("installation") && o.Installation == "" {
			return errors.New(`--installation "": want an installation's id; leave it out for all`)
		}
		if given("at") {
			var err error
			if o.At, err = time.Parse(time.RFC3339Nano, at); err != nil || o.At.IsZero() {
				return fmt.Errorf("--at %q: want a time as in 2026-03-15T08:00:00Z", at)
			}
		}
		return reportOnce(c, o, defaults)
	}
	c.AddCommand(newReportStatus(), newReportShow(), newReportCheck())
	return c
}

func reportOnce(c *cobra.Command, o app.ReportOnceOptions, defaults map[string]string) error {
	s, err := loadSettings(c, withDefault(defaults, "log.level", "warn"))
	if err != nil {
		return err
	}
	if !o.DryRun {
		o.Progress = showInstallations(c.ErrOrStderr())
	}
	ok := false
	err = app.RunOnce(c.Context(), s, newLogger(s, c.ErrOrStderr()), func(ctx context.Context, p *app.Process) (err error) {
		ok, err = app.ReportOnce(ctx, p, c.OutOrStdout(), o)
		return err
	})
	if err == nil && !ok {
		return &exitStatus{1}
	}
	return err
}

// formatFlag adds --format, and returns what reads it.
func formatFlag(c *cobra.Command) (asJSON func() (bool, error)) {
	format := c.Flags().String("format", "table", "table or json")
	return func() (bool, error) {
		if *format != "table" && *format != "json" {
			return false, fmt.Errorf("unknown format %q: want table or json", *format)
		}
		return *format == "json", nil
	}
}

func newReportStatus() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "List how the reports of every installation stand", Args: cobra.NoArgs,
		Long: "List every installation of the catalog: its last report, what the partner answered, when it accepted one last and how many\n" +
			"followed, and when the next is due by report.every. Installations that were never reported, and those that have left the\n" +
			"catalog, are listed, too. The exit status is 0 whatever is found.",
		Example: "  reckoner report status\n  reckoner report status --format json",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers", "clickhouse")
	asJSON := formatFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		json, err := asJSON()
		if err != nil {
			return err
		}
		p, err := quietProcess(c)
		if err != nil {
			return err
		}
		return p.End(app.ReportStatus(c.Context(), p, c.OutOrStdout(), json))
	}
	return c
}

func newReportShow() *cobra.Command {
	var o app.ReportShowOptions
	c := &cobra.Command{
		Use: "show INSTALLATION --day DATE", Short: "Show what was sent for a day, and the entries behind each figure", Args: cobra.ExactArgs(1),
		Long: "Show every report of an installation for a day, with the partner's answers; the figures of the newest one, read again from\n" +
			"the ledger at its position; and behind each figure the entries that it is made of, down to ids of events.\n\n" +
			"DATE is a date in UTC: every part of the installation's days is shown that shares time with it. Where a day ends at midnight UTC\n" +
			"that is one part, or two where a billing period ends within it. `latest` is the part that was reported last.",
		Example: "  reckoner report show icfg_1 --day 2026-03-15\n  reckoner report show icfg_1 --day latest --payload --limit 0\n  reckoner report show icfg_1 --day latest --format json",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers", "clickhouse")
	f := c.Flags()
	f.StringVar(&o.Day, "day", "", "a `date`, as in 2026-03-15, or latest")
	f.BoolVar(&o.Payload, "payload", false, "with the exact bytes of the newest report of each part")
	f.IntVar(&o.Limit, "limit", 100, "show at most so many entries behind a figure; 0 shows all")
	asJSON := formatFlag(c)
	_ = c.MarkFlagRequired("day") // it exists
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if o.JSON, err = asJSON(); err != nil {
			return err
		}
		if o.Limit < 0 {
			return fmt.Errorf("--limit %d: want a number of entries, or 0 for all", o.Limit)
		}
		o.Installation = args[0]
		p, err := quietProcess(c)
		if err != nil {
			return err
		}
		return p.End(app.ReportShow(c.Context(), p, c.OutOrStdout(), o))
	}
	return c
}

func newReportCheck() *cobra.Command {
	var o app.ReportCheckOptions
	var since string
	c := &cobra.Command{
		Use: "check", Short: "Make every stored report again from the ledger, and compare the exact bytes", Args: cobra.NoArgs,
		Long: "Make every stored report again: from the terms that are stored with it, and from the ledger's entries up to its position.\n" +
			"Its bytes must be the same. What differs is listed by the key of the payload, with what was stored and what the ledger gives.\n" +
			"It may run beside the system.\n\n" +
			"Exit status: 0 when nothing differs, 1 otherwise.",
		Example: "  reckoner report check\n  reckoner report check --installation icfg_1 --since 2026-03-01T00:00:00Z",
	}
	config.AddFlags(c.Flags(), "config", "log-level", "brokers", "clickhouse")
	f := c.Flags()
	f.StringVar(&o.Installation, "installation", "", "only reports of this installation")
	f.StringVar(&since, "since", "", "only reports with this `timestamp` (RFC 3339, or a date) or a later one")
	f.IntVar(&o.Lines, "lines", 1000, "show at most so many differences; 0 shows all")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if o.Lines < 0 {
			return fmt.Errorf("--lines %d: want a number of differences, or 0 for all", o.Lines)
		}
		if c.Flags().Changed("since") {
			var err error
			if o.Since, err = timeOrDate(since); err != nil {
				return err
			}
		}
		p, err := quietProcess(c)
		if err != nil {
			return err
		}
		o.Progress = showChecked(c.ErrOrStderr())
		clean, err := app.ReportCheck(c.Context(), p, c.OutOrStdout(), o)
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

// timeOrDate reads --since. A date is its midnight in UTC.
func timeOrDate(text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("--since %q: want a time as in 2026-03-15T08:00:00Z, or a date", text)
	}
	return t, nil
}
