package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

// ReportCheckOptions say which reports are proven.
type ReportCheckOptions struct {
	Installation string    // empty: all
	Since        time.Time // least timestamp; zero: the first
	Lines        int       // of differences that are shown at most; 0: all
	Progress     func(checked int64, installation string)
}

// provingLedger is what reports are proven from.
type provingLedger interface {
	ledger.FiguresReader
	ledger.ReportReader
}

// prover makes reports again from the ledger at their positions.
type prover struct {
	ledger  provingLedger
	targets map[string]partner.Target
	batch   int // reports whose figures are read in one query
}

// reportDifference is one thing that a stored report says otherwise than the ledger at its position.
type reportDifference struct {
	installation      string
	timestamp, eod    time.Time
	key               string // in the payload
	stored, remadeNow string
}

// checked is what a check found.
type checked struct {
	reports     int64 // that were made again
	nothing     int64 // that hold nothing: expired ones
	wrong       int64 // reports with a difference
	found       int64 // differences
	differences []reportDifference
}

// ReportCheck is the command `report check`: it makes every stored report again from the ledger at its position, and
// compares the exact bytes. It reports whether nothing differs.
func ReportCheck(ctx context.Context, p *Process, out io.Writer, o ReportCheckOptions) (clean bool, err error) {
	l, err := p.reportLedger(ctx)
	if err != nil {
		return false, err
	}
	started := time.Now()
	v := &prover{ledger: l, targets: p.targetsByName(), batch: p.Settings.Report.Batch}
	c, err := v.check(ctx, o)
	if err != nil && c.found == 0 {
		return false, err
	}
	if err != nil { // what was found is worth knowing, whatever ended it
		err = fmt.Errorf("the check ended early, after what is listed above: %w", err)
	}
	if perr := c.print(out, time.Since(started)); perr != nil {
		return false, perr
	}
	return c.found == 0, err
}

// check reads the reports in batches, so that memory is bounded and few queries are made.
func (v *prover) check(ctx context.Context, o ReportCheckOptions) (c checked, err error) {
	batch := make([]ledger.Report, 0, v.batch)
	flush := func() error {
		err := v.prove(ctx, batch, &c, o.Lines)
		if o.Progress != nil && len(batch) > 0 {
			o.Progress(c.reports, batch[len(batch)-1].InstallationID)
		}
		batch = batch[:0]
		return err
	}
	for r, err := range v.ledger.Reports(ctx, ledger.ReportQuery{InstallationID: o.Installation, Since: o.Since}) {
		if err != nil {
			return c, err
		}
		if r.Status == ledger.ReportExpired && len(r.Payload) == 0 {
			c.nothing++
			continue
		}
		if batch = append(batch, r); len(batch) == v.batch {
			if err := flush(); err != nil {
				return c, err
			}
		}
	}
	if err := flush(); err != nil || c.reports+c.nothing > 0 {
		return c, err
	}
	return c, v.known(ctx, o.Installation)
}

// known refuses an installation of which nothing was ever reported: that nothing of it differs would prove nothing. Empty: all.
func (v *prover) known(ctx context.Context, installation string) error {
	if installation == "" {
		return nil
	}
	for _, err := range v.ledger.Reports(ctx, ledger.ReportQuery{InstallationID: installation}) {
		return err // one is enough
	}
	return fmt.Errorf("nothing was ever reported of installation %q; `reckoner report status` lists the installations", installation)
}

// query returns what is asked of the ledger to make a report again.
func query(targets map[string]partner.Target, r *ledger.Report) (ledger.FiguresQuery, error) {
	q := ledger.FiguresQuery{AccountID: r.AccountID, AsOf: r.AsOf}
	target, ok := targets[r.Target]
	if !ok {
		return q, fmt.Errorf("this build knows no target %q", r.Target)
	}
	terms, err := report.DecodeTerms(r.Inputs)
	if err != nil {
		return q, err
	}
	q.SubscriptionIDs = terms.SubscriptionIDs()
	q.Edges = target.Edges(terms, nil, report.Part{Period: r.Period, Day: r.Day})
	return q, nil
}

// prove makes a batch of reports again, with the figures of all of them from one query, and notes what differs.
func (v *prover) prove(ctx context.Context, batch []ledger.Report, c *checked, lines int) error {
	var queries []ledger.FiguresQuery
	var able []*ledger.Report
	for i := range batch {
		r := &batch[i]
		q, err := query(v.targets, r)
		if err != nil {
			c.note(r, lines, []reportDifference{{key: "(inputs)", stored: err.Error()}})
			c.reports++
			continue
		}
		queries, able = append(queries, q), append(able, r)
	}
	if len(queries) == 0 {
		return nil
	}
	figures, err := v.ledger.FiguresAt(ctx, queries)
	if err != nil {
		return err
	}
	for i, r := range able {
		c.note(r, lines, v.compare(r, figures[i].Rows))
		c.reports++
	}
	return nil
}

// compare makes one report again.
func (v *prover) compare(r *ledger.Report, rows []ledger.Figure) []reportDifference {
	draft, err := v.targets[r.Target].Redraft(r, readingsOf(rows))
	switch {
	case err != nil:
		return []reportDifference{{key: "(made again)", remadeNow: err.Error()}}
	case draft == nil:
		return []reportDifference{{key: "(all)", stored: "a report", remadeNow: "nothing"}}
	}
	differences := compareJSON(r.Payload, draft.Payload)
	if draft.Figures != r.Figures {
		differences = append(differences, reportDifference{key: "(hash of the figures)",
			stored: fmt.Sprintf("%x", r.Figures), remadeNow: fmt.Sprintf("%x", draft.Figures)})
	}
	if !sameScope(r.Scope, draft.Scope) {
		differences = append(differences, reportDifference{key: "(scope)", stored: scopeText(r.Scope), remadeNow: scopeText(draft.Scope)})
	}
	if stored, again := sha256.Sum256(r.Payload), sha256.Sum256(draft.Payload); stored != again {
		differences = append(differences, reportDifference{key: "(SHA-256)", stored: fmt.Sprintf("%x", stored), remadeNow: fmt.Sprintf("%x", again)})
	}
	return differences
}

// sameScope compares whose usage two reports hold: by it late usage is found, and which report carries an event.
func sameScope(a, b []ledger.ReportScope) bool {
	return slices.EqualFunc(a, b, func(a, b ledger.ReportScope) bool {
		return a.SubscriptionID == b.SubscriptionID && a.Start.Equal(b.Start) && a.End.Equal(b.End)
	})
}

func scopeText(scope []ledger.ReportScope) string {
	parts := make([]string, 0, len(scope))
	for _, s := range scope {
		parts = append(parts, fmt.Sprintf("%q %s to %s", s.SubscriptionID, moment(s.Start), moment(s.End)))
	}
	return cmp.Or(strings.Join(parts, ", "), absent)
}

// readingsOf are figures as statements take them.
func readingsOf(figures []ledger.Figure) []report.Reading {
	readings := make([]report.Reading, len(figures))
	for i := range figures {
		readings[i] = report.Reading(figures[i])
	}
	return readings
}

func (c *checked) note(r *ledger.Report, lines int, differences []reportDifference) {
	if len(differences) > 0 {
		c.wrong++
	}
	for _, d := range differences {
		if c.found++; lines > 0 && len(c.differences) >= lines {
			continue
		}
		d.installation, d.timestamp, d.eod = r.InstallationID, r.Timestamp, r.Day.End
		c.differences = append(c.differences, d)
	}
}

func (c *checked) print(out io.Writer, took time.Duration) error {
	if c.found > 0 {
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "installation\ttimestamp\tday ends\tkey\tstored\tfrom the ledger")
		for _, d := range c.differences {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", shown(d.installation), moment(d.timestamp), moment(d.eod), d.key, shown(d.stored), shown(d.remadeNow))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if more := c.found - int64(len(c.differences)); more > 0 {
			if _, err := fmt.Fprintf(out, "… and %d more; --lines 0 shows all\n", more); err != nil {
				return err
			}
		}
	}
	verdict := "each is what the ledger gives at its position"
	if c.found > 0 {
		verdict = fmt.Sprintf("%d differ, in %d places; `reckoner verify` says what became of the ledger", c.wrong, c.found)
	}
	_, err := fmt.Fprintf(out, "%d reports made again in %s, %d that hold nothing passed over: %s\n", c.reports, took.Round(time.Millisecond), c.nothing, verdict)
	return err
}
