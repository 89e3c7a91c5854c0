package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

// expiredMax bounds how far back parts are told to have expired.
const expiredMax = 400 * 24 * time.Hour

// expire finds the parts that nobody was told of, and that the partner takes no more: those after the latest one that was
// reported at all, as after days without a runner. They get rows, so that what was used in them is found as late usage. The report
// with the newest timestamp may be of an earlier part: one that was made as of the past, or by a clock that had been set back.
func (p *preparation) expire(j *job) error {
	if _, carries := j.target.(partner.Carrier); carries || len(j.past) == 0 || len(j.parts) == 0 {
		return nil
	}
	from, until := j.past[0].Day.End, j.parts[0].Day.Start
	for i := range j.past {
		if end := j.past[i].Day.End; end.After(from) {
			from = end
		}
	}
	if bound := p.moment.Add(-expiredMax); from.Before(bound) {
		from = bound
	}
	calendar := j.terms.Calendar()
	for at := from; at.Before(until); {
		part := calendar.At(at)
		at = part.Day.End
		if part.Day.Start.Before(from) || part.Day.End.After(until) {
			continue
		}
		terms, err := j.during(part)
		if err != nil {
			return err
		}
		row, err := p.row(j, terms, part, nil)
		if err != nil {
			return err
		}
		row.Status, row.Scope = ledger.ReportExpired, terms.Scope(part, p.moment)
		j.expired = append(j.expired, *row)
	}
	return nil
}

// during returns the terms for a part, which hold what its period was reported with before.
func (j *job) during(part report.Part) (*report.Terms, error) {
	var before *report.Terms
	for i := len(j.past) - 1; i >= 0 && before == nil && len(j.in.Resources) == 0; i-- {
		r := &j.past[i]
		if r.Target != j.in.Target || !r.Period.Start.Equal(part.Period.Start) || !r.Period.End.Equal(part.Period.End) {
			continue
		}
		var err error
		if before, err = report.DecodeTerms(r.Inputs); err != nil {
			return nil, fmt.Errorf("the report with timestamp %s: %w", r.Timestamp.Format(time.RFC3339Nano), err)
		}
	}
	return j.terms.During(part, j.used, before), nil
}

// row begins the row of a part. Its timestamp is yet to come.
func (p *preparation) row(j *job, terms *report.Terms, part report.Part, readings []report.Reading) (*ledger.Report, error) {
	inputs, err := terms.Encode(readings)
	if err != nil {
		return nil, err
	}
	return &ledger.Report{
		InstallationID: j.id, Target: j.target.Name(), AccountID: j.in.AccountID, Reporter: p.o.Reporter, Moment: p.moment,
		Day: part.Day, Period: part.Period, Lag: -1, Rules: report.Rules, Inputs: inputs, Revision: 1,
	}, nil
}

// asked is what is asked of the ledger for one part.
type asked struct {
	job   *job
	part  report.Part
	terms *report.Terms
	query ledger.FiguresQuery
}

// figures reads the figures of the batch and drafts its reports.
func (p *preparation) figures() error {
	lag := p.lag()
	var all []asked
	for _, id := range p.working() {
		j := p.jobs[id]
		for _, part := range j.parts {
			terms, err := j.during(part)
			if err != nil {
				p.drop(id, "terms", err)
				break
			}
			all = append(all, asked{j, part, terms, ledger.FiguresQuery{
				AccountID: j.in.AccountID, SubscriptionIDs: terms.SubscriptionIDs(), Edges: j.target.Edges(terms, j.past, part),
			}})
		}
	}
	figures, err := p.read(all)
	if err != nil {
		return err
	}
	drafted := make(map[*job]int)
	for i, a := range all {
		if p.jobs[a.job.id] != a.job {
			continue // it was dropped
		}
		n := drafted[a.job]
		drafted[a.job]++
		if n == 0 {
			a.job.stamp()
		}
		if err := p.draft(&a, &figures[i], lag); err != nil {
			p.drop(a.job.id, "statement", err)
		}
	}
	for _, id := range p.working() {
		if j := p.jobs[id]; len(j.rows)+len(j.expired) == 0 {
			delete(p.jobs, id)
			p.end(id, unchanged, "", time.Time{})
		}
	}
	return nil
}

// stamp gives the parts that have expired their timestamps: they are older than all that is due.
func (j *job) stamp() {
	for i := range j.expired {
		j.expired[i].Timestamp = j.next()
		j.past = append(j.past, j.expired[i])
	}
}

// next returns the timestamp of the row that comes next.
func (j *job) next() time.Time {
	n := len(j.rows)
	for i := range j.expired {
		if !j.expired[i].Timestamp.IsZero() {
			n++
		}
	}
	return j.base.Add(time.Duration(n) * time.Millisecond)
}

// draft makes the report of a part; none where the partner has it.
func (p *preparation) draft(a *asked, f *ledger.Figures, lag func(string) time.Duration) error {
	j := a.job
	readings := make([]report.Reading, len(f.Rows))
	for i, row := range f.Rows {
		readings[i] = report.Reading(row)
	}
	in := &report.Input{
		Terms: a.terms, Part: a.part, Readings: readings, AsOf: f.AsOf, Moment: p.moment, Timestamp: j.next(),
	}
	draft, err := j.target.Draft(in, j.past)
	if err != nil || draft == nil {
		return err
	}
	row, err := p.row(j, a.terms, a.part, readings)
	if err != nil {
		return err
	}
	row.Timestamp, row.AsOf, row.Status = in.Timestamp, f.AsOf, ledger.ReportSending
	row.Scope, row.State, row.Payload, row.Figures = draft.Scope, draft.State, draft.Payload, draft.Figures
	row.Lag = lag(j.in.AccountID)
	row.Stale = row.Lag > p.o.MaxLag
	j.rows = append(j.rows, *row)
	j.past = append(j.past, *row)
	return nil
}

// lag returns how far the aggregator is behind; negative: unknown.
func (p *preparation) lag() func(accountID string) time.Duration {
	unknown := func(string) time.Duration { return -1 }
	if p.o.Lag == nil {
		return unknown
	}
	of, err := p.o.Lag(p.ctx)
	if err != nil {
		p.o.Log.Warn("how far the aggregator is behind is not known, so nobody can tell whether reports are stale", "error", err)
		return unknown
	}
	return func(accountID string) time.Duration {
		if lag, ok := of(accountID); ok {
			return lag
		}
		return -1
	}
}

// read asks for all figures in one SELECT. Where the ledger answers and yet cannot give those, it looks for whose they
// are: nobody else goes without reports for them.
func (p *preparation) read(all []asked) ([]ledger.Figures, error) {
	if len(all) == 0 {
		return nil, nil
	}
	queries := make([]ledger.FiguresQuery, len(all))
	for i := range all {
		queries[i] = all[i].query
	}
	figures, err := p.o.Ledger.Figures(p.ctx, queries)
	switch {
	case err == nil && len(figures) != len(all):
		return nil, fmt.Errorf("%d figures for %d questions", len(figures), len(all))
	case err == nil:
		return figures, nil
	case p.ctx.Err() != nil:
		return nil, context.Cause(p.ctx)
	}
	if _, down := p.o.Ledger.LastTimestamps(p.ctx, []string{all[0].job.id}); down != nil {
		return nil, err
	}
	if only := all[0].job; !slices.ContainsFunc(all, func(a asked) bool { return a.job != only }) {
		if p.jobs[only.id] == only {
			p.drop(only.id, "figures", err)
		}
		return make([]ledger.Figures, len(all)), nil
	}
	half := len(all) / 2
	for all[half-1].job == all[half].job { // an installation's questions stay together
		if half++; half == len(all) {
			half = slices.IndexFunc(all, func(a asked) bool { return a.job == all[len(all)-1].job })
		}
	}
	first, err := p.read(all[:half])
	if err != nil {
		return nil, err
	}
	second, err := p.read(all[half:])
	return append(first, second...), err
}

// storeDrafts stores what is to be sent, before any of it is.
func (p *preparation) storeDrafts() error {
	if p.req.DryRun != nil {
		return nil
	}
	var rows []ledger.Report
	for _, id := range p.working() {
		rows = append(rows, p.jobs[id].expired...)
		rows = append(rows, p.jobs[id].rows...)
	}
	if len(rows) == 0 {
		return nil
	}
	if err := p.o.Ledger.WriteReports(p.ctx, rows); err != nil {
		return err
	}
	p.count(rows)
	for i := range rows {
		if rows[i].Stale {
			p.metrics.stale.Inc()
		}
		if rows[i].Status == ledger.ReportExpired {
			p.metrics.reported(rows[i : i+1])
		}
	}
	for _, id := range p.working() {
		if len(p.jobs[id].rows) == 0 {
			delete(p.jobs, id)
			p.end(id, unchanged, "", time.Time{})
		}
	}
	return nil
}

// show hands over what would be sent, and ends there.
func (p *preparation) show() {
	for _, id := range p.working() {
		j := p.jobs[id]
		for i := range j.rows {
			p.req.DryRun(Drafted{Installation: j.in, Report: j.rows[i]})
		}
		delete(p.jobs, id)
		p.end(id, accepted, "", time.Time{})
	}
}
