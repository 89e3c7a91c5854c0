package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"reckoner/internal/catalog"
	"reckoner/ledger/clickhouse"
	"reckoner/ledger/report/runner"
)

// ReportOnceOptions say what one run is to do.
type ReportOnceOptions struct {
	At           time.Time // zero: now
	Installation string    // empty: all
	DryRun       bool
	Progress     func(worked, of int)
}

// ReportOnce is the command `report --once`: one run, waited for. It reports whether every partner has what there was to tell.
func ReportOnce(ctx context.Context, p *Process, out io.Writer, o ReportOnceOptions) (ok bool, err error) {
	if err := p.fear(); err != nil {
		return false, err
	}
	client, reader, err := p.catalogReader(ctx)
	if err != nil {
		return false, err
	}
	if err := o.check(reader.Current(), time.Now()); err != nil {
		return false, err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return false, err
	}
	if err := l.CheckSchema(ctx); err != nil {
		return false, err
	}
	r, err := p.reporter(client, l, reader.Current, p.Settings.Report.DefaultBaseURL)
	if err != nil {
		return false, err
	}
	request := runner.Request{Installation: o.Installation, At: o.At}
	var printed error
	if o.DryRun {
		request.DryRun = func(d runner.Drafted) {
			if err := printPayload(out, &d, o.Installation != ""); err != nil && printed == nil {
				printed = err
			}
		}
	}
	started := time.Now()
	sum, err := r.Run(ctx, request, o.Progress)
	switch {
	case err != nil:
		return false, fmt.Errorf("the run ended early; what was not sent is left for the next one: %w", err)
	case printed != nil:
		return false, printed
	case o.DryRun: // on its standard output there is nothing but payloads
		for _, e := range sum.Errors {
			p.Log.Error("no report can be made or sent", "installation", e.Installation, "error", e.What)
		}
		return sum.OK(), nil
	}
	return sum.OK(), printReportRun(out, &sum, time.Since(started))
}

// check refuses what would harm: timestamps only rise, so what is sent as of the future is in the way of all that follows.
func (o *ReportOnceOptions) check(c *catalog.Catalog, now time.Time) error {
	if !o.DryRun && o.At.After(now) {
		return fmt.Errorf("--at %s is in the future: only a --dry-run may look there", o.At.Format(time.RFC3339))
	}
	if o.Installation == "" {
		return nil
	}
	if _, _, ok := c.Entity(catalog.InstallationKind, o.Installation); !ok {
		return fmt.Errorf("the catalog has no installation %q; `reckoner catalog get installations` lists them", o.Installation)
	}
	return nil
}

// printPayload writes the exact bytes of a report that would be sent, on a line.
func printPayload(out io.Writer, d *runner.Drafted, alone bool) error {
	if alone {
		_, err := fmt.Fprintf(out, "%s\n", d.Report.Payload)
		return err
	}
	id, err := json.Marshal(d.Installation.ID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `{"installation":%s,"payload":%s}`+"\n", id, d.Report.Payload)
	return err
}

// printReportRun writes what failed, and the sum in a line.
func printReportRun(out io.Writer, s *runner.Summary, took time.Duration) error {
	if err := printReportErrors(out, s); err != nil {
		return err
	}
	more := ""
	if s.Stale > 0 {
		more += fmt.Sprintf("; %d reports were made while the aggregator was behind", s.Stale)
	}
	if s.Expired > 0 {
		more += fmt.Sprintf("; %d parts of days are past reporting", s.Expired)
	}
	_, err := fmt.Fprintf(out, "%d installations in %s: %d accepted, %d unchanged, %d failed, %d refused, %d superseded, %d skipped, %d unsendable; %d reports accepted%s\n",
		s.Installations, took.Round(time.Millisecond), s.Accepted, s.Unchanged, s.Failed, s.Refused, s.Superseded, s.Skipped, s.Unsendable, s.Reports, more)
	return err
}

func printReportErrors(out io.Writer, s *runner.Summary) error {
	if len(s.Errors) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "installation\twhat went wrong")
	for _, e := range s.Errors {
		fmt.Fprintf(t, "%s\t%s\n", shown(e.Installation), e.What)
	}
	if more := s.Failed + s.Refused + s.Unsendable - len(s.Errors); more > 0 {
		fmt.Fprintf(t, "…\tand %d more; `reckoner report status` lists all\n", more)
	}
	return t.Flush()
}
