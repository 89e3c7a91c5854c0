package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
	"reckoner/ledger/report/partner"
)

// installationStatus is how the reports of an installation stand.
type installationStatus struct {
	Installation string    `json:"installation"`
	Target       string    `json:"target"`
	Account      string    `json:"account"`
	To           string    `json:"to,omitzero"` // base URL, where one is needed
	Status       string    `json:"status"`      // of the last report, or never
	Timestamp    time.Time `json:"timestamp,omitzero"`
	EOD          time.Time `json:"eod,omitzero"`
	Attempt      uint32    `json:"attempt,omitzero"`
	Code         int       `json:"code,omitzero"`
	Error        string    `json:"error,omitzero"`
	Stale        bool      `json:"stale,omitzero"`
	AcceptedAt   time.Time `json:"accepted_at,omitzero"`
	Failing      uint64    `json:"failing"`           // reports since the one that was accepted
	Due          time.Time `json:"next_due,omitzero"` // by report.every
	Removed      bool      `json:"removed,omitzero"`  // it is no longer in the catalog

	ambient bool // its target finds the partner by itself
}

// nowhere reports whether nothing says where its reports would go. What was reported once has a reporter that knows.
func (i *installationStatus) nowhere() bool {
	return i.Status == statusNever && i.To == "" && !i.ambient && !i.Removed
}

// statusTotals count installations.
type statusTotals struct {
	Installations int `json:"installations"`
	WellReported  int `json:"accepted"` // the last report was accepted
	Failing       int `json:"failing"`  // the last report was not
	Never         int `json:"never"`
	Nowhere       int `json:"nowhere"` // no address to send to
	Overdue       int `json:"overdue"`
	Removed       int `json:"removed"`
}

type reportStatuses struct {
	At            time.Time            `json:"at"`
	Installations []installationStatus `json:"installations"`
	Totals        statusTotals         `json:"totals"`
}

const statusNever = "never"

// ReportStatus is the command `report status`: how the reports of every installation stand.
func ReportStatus(ctx context.Context, p *Process, out io.Writer, asJSON bool) error {
	l, err := p.reportLedger(ctx)
	if err != nil {
		return err
	}
	_, reader, err := p.catalogReader(ctx)
	if err != nil {
		return err
	}
	s, err := p.reportStatuses(ctx, reader.Current(), l, time.Now().UTC())
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(out, s)
	}
	return s.print(out)
}

// reportLedger opens the ledger of a command that reads reports.
func (p *Process) reportLedger(ctx context.Context) (provingLedger, error) {
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return nil, err
	}
	return l, named(l.CheckSchema(ctx))
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// reportStatuses joins the installations of a catalog with what was reported, by id. An installation that was reported
// once and is no longer in the catalog is told, too.
func (p *Process) reportStatuses(ctx context.Context, c *catalog.Catalog, l ledger.ReportReader, now time.Time) (*reportStatuses, error) {
	s := &reportStatuses{At: now, Installations: []installationStatus{}}
	targets, reported := p.targetsByName(), map[string]ledger.ReportSummary{}
	for sum, err := range l.ReportSummaries(ctx) {
		if err != nil {
			return nil, err
		}
		reported[sum.InstallationID] = sum
		if _, _, ok := c.Entity(catalog.InstallationKind, sum.InstallationID); !ok {
			gone := installationStatus{Installation: sum.InstallationID, Target: sum.Last.Target, Account: sum.Last.AccountID, Removed: true}
			gone.fill(&sum)
			s.Installations = append(s.Installations, gone)
			s.Totals.Removed++
		}
	}
	for in := range c.Installations() {
		one := installationStatus{Installation: in.ID, Target: in.Target, Account: in.AccountID, To: in.BaseURL, Status: statusNever}
		if _, ambient := targets[in.Target].(partner.Ambient); ambient {
			one.ambient = true
		} else if one.To == "" {
			one.To = p.Settings.Report.DefaultBaseURL
		}
		if sum, ok := reported[in.ID]; ok {
			one.fill(&sum)
			one.Due = sum.Last.Moment.Add(p.Settings.Report.Every)
		}
		s.Installations = append(s.Installations, one)
		s.Totals.count(&one, now.Add(-p.Settings.Report.Jitter))
	}
	return s, nil
}

// fill takes over what was reported last.
func (i *installationStatus) fill(sum *ledger.ReportSummary) {
	last := &sum.Last
	i.Status, i.Timestamp, i.EOD, i.Attempt, i.Code = last.Status.String(), last.Timestamp, last.Day.End, last.Attempt, last.Code
	i.Error, i.Stale, i.AcceptedAt, i.Failing = last.Error, last.Stale, sum.AcceptedAt, sum.Failing
	if i.Error == "" && last.Status != ledger.ReportAccepted {
		i.Error = last.Response
	}
}

// count adds an installation of the catalog. What was due before a time and did not come is overdue.
func (t *statusTotals) count(i *installationStatus, before time.Time) {
	t.Installations++
	if i.nowhere() {
		t.Nowhere++
	}
	switch i.Status {
	case statusNever:
		t.Never++
	case ledger.ReportAccepted.String():
		t.WellReported++
	default:
		t.Failing++
	}
	if !i.Due.IsZero() && i.Due.Before(before) {
		t.Overdue++
	}
}

func (s *reportStatuses) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "installation\ttarget\tstatus\tlast report\tcode\taccepted\tfailing\tnext due\terror")
	for i := range s.Installations {
		one := &s.Installations[i]
		due := moment(one.Due)
		switch {
		case one.Removed:
			due = "no longer in the catalog"
		case one.nowhere():
			due = "nowhere to send: no base_url"
		case one.Due.IsZero():
			due = "at the next run"
		case one.Due.Before(s.At):
			due += " (over)"
		}
		code := "-"
		if one.Code != 0 {
			code = fmt.Sprint(one.Code)
		}
		said := "-"
		if one.Error != "" {
			said = shown(one.Error)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", shown(one.Installation), one.Target, one.Status, moment(one.Timestamp), code,
			moment(one.AcceptedAt), one.Failing, due, said)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	n := &s.Totals
	_, err := fmt.Fprintf(out, "%d installations: %d accepted, %d failing, %d never reported, %d without an address, %d overdue; %d no longer in the catalog\n",
		n.Installations, n.WellReported, n.Failing, n.Never, n.Nowhere, n.Overdue, n.Removed)
	return err
}

// moment writes a time for people; "-" is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
