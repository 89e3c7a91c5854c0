package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

const (
	// room is how many timestamps are claimed for an installation, in milliseconds: more than a run needs that missed nothing.
	room = 16
	// overtakenMax is how often a run begins an installation again that another reporter overtook.
	overtakenMax = 3
)

// job is the reports of an installation in a run, older parts first.
type job struct {
	item
	in      *catalog.Installation
	target  partner.Target
	baseURL string
	terms   *report.Terms        // by the catalog as it is
	used    map[string]time.Time // the latest bucket of each subscription, where the account is reported whole
	past    []ledger.Report      // by timestamp
	base    time.Time            // the least timestamp that was claimed
	moment  time.Time
	parts   []report.Part   // due
	rows    []ledger.Report // drafted, and in their order to be sent
	expired []ledger.Report
}

// preparation makes the reports of a batch. The order of its steps is what keeps figures in the order of their timestamps:
// see ledger.ReportStore.
type preparation struct {
	*run
	lane   *lane
	items  []item
	ids    []string
	at     time.Time // the moment by which days are reported
	moment time.Time // by which figures are made: never before the clock's, so that none is older than what the partner has
	again  []item
	jobs   map[string]*job // by installation: what is to be sent, in the end
}

func (p *preparation) prepare() error {
	p.sendable()
	if len(p.ids) == 0 {
		return nil
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{{"claim", p.claim}, {"history", p.history}, {"figures", p.figures}, {"store", p.storeDrafts}, {"check", p.check}} {
		if err := p.ctx.Err(); err != nil {
			return context.Cause(p.ctx)
		}
		p.o.At(step.name)
		if err := step.do(); err != nil {
			return fmt.Errorf("reports: %s: %w", step.name, err)
		}
	}
	return nil
}

// drop ends an installation that cannot be reported.
func (p *preparation) drop(id, reason string, err error) {
	delete(p.jobs, id)
	p.metrics.unsendable.WithLabelValues(reason).Inc()
	p.end(id, unsendable, err.Error(), time.Time{})
}

// sendable leaves out installations that cannot be sent to, before anything is claimed for them.
func (p *preparation) sendable() {
	c := p.o.Catalog()
	for _, it := range p.items {
		in, ok := installation(c, it.id)
		if !ok {
			p.end(it.id, unchanged, "", time.Time{}) // it was taken out of the catalog in the meantime
			continue
		}
		j := &job{item: it, in: in}
		if reason, err := p.way(j); err != nil {
			p.drop(it.id, reason, err)
			continue
		}
		p.jobs[it.id] = j
		p.ids = append(p.ids, it.id)
	}
}

// way finds where an installation is reported to, and makes sure that there is a token.
func (p *preparation) way(j *job) (reason string, err error) {
	target, ok := p.targets[j.in.Target]
	if !ok {
		return "target", fmt.Errorf("this program knows no partner %q", j.in.Target)
	}
	j.target, j.baseURL = target, j.in.BaseURL
	if _, ambient := target.(partner.Ambient); ambient || p.req.DryRun != nil {
		return "", nil
	}
	if j.baseURL == "" {
		if j.baseURL = p.o.BaseURL; j.baseURL == "" {
			return "base_url", fmt.Errorf("there is nowhere to send to: name a base_url in the catalog, or set report.default_base_url")
		}
	}
	if _, err := p.token(j.in); err != nil {
		return "token", err
	}
	return "", nil
}

// claim takes timestamps that are greater than any that anyone took.
func (p *preparation) claim() error {
	last, err := p.o.Ledger.LastTimestamps(p.ctx, p.ids)
	if err != nil {
		return err
	}
	p.moment = p.o.Now().UTC()
	if p.at = p.moment; !p.req.At.IsZero() {
		p.at = p.req.At.UTC()
	}
	if p.at.After(p.moment) {
		p.moment = p.at
	}
	claims := make([]ledger.ReportClaim, 0, len(p.ids))
	for _, id := range p.ids {
		j := p.jobs[id]
		j.moment, j.base = p.moment, p.moment.Truncate(time.Millisecond)
		if t, ok := last[id]; ok && !j.base.After(t) {
			j.base = t.UTC().Add(time.Millisecond)
		}
		claims = append(claims, ledger.ReportClaim{
			InstallationID: id, Reporter: p.o.Reporter, Timestamp: j.base.Add(time.Duration(j.room-1) * time.Millisecond),
		})
	}
	if p.req.DryRun != nil {
		return nil
	}
	return p.o.Ledger.Claim(p.ctx, claims)
}

// history reads what was reported, and finds what is due. It comes after the claim, and so do the terms: else a reporter
// with greater timestamps could tell of an older catalog.
func (p *preparation) history() error {
	var takes time.Duration
	for _, t := range p.targets {
		takes = max(takes, t.Takes())
	}
	past, err := p.o.Ledger.History(p.ctx, p.ids, p.at.Add(-takes))
	if err != nil {
		return err
	}
	of := make(map[string][]ledger.Report, len(p.ids))
	for i := range past {
		of[past[i].InstallationID] = append(of[past[i].InstallationID], past[i])
	}
	c := p.o.Catalog()
	used, err := p.used(c)
	if err != nil {
		return err
	}
	meters := report.MetersOf(c)
	for _, id := range p.ids {
		if j := p.jobs[id]; p.due(j, c, meters, of[id]) {
			j.used = used[j.in.AccountID]
			p.plan(j)
		}
	}
	return nil
}

// used returns which subscriptions the accounts have used that are reported whole.
func (p *preparation) used(c *catalog.Catalog) (map[string]map[string]time.Time, error) {
	var whole []string
	for _, id := range p.ids {
		if in, ok := installation(c, id); ok && len(in.Resources) == 0 {
			whole = append(whole, in.AccountID)
		}
	}
	if len(whole) == 0 {
		return nil, nil
	}
	slices.Sort(whole)
	return p.o.Ledger.SubscriptionsUsed(p.ctx, slices.Compact(whole))
}

// due finds the terms of an installation; false: it is not to be reported now.
func (p *preparation) due(j *job, c *catalog.Catalog, meters map[string]reckoner.Meter, past []ledger.Report) bool {
	if p.req.DryRun == nil {
		p.state.learn(j.id, past, p.moment)
		if p.lane == p.fast && p.state.failing(j.id) {
			p.later(j.item)
			return false
		}
	}
	in, ok := installation(c, j.id)
	if !ok {
		delete(p.jobs, j.id)
		p.end(j.id, unchanged, "", time.Time{})
		return false
	}
	j.in, j.past = in, past
	if reason, err := p.way(j); err != nil {
		p.drop(j.id, reason, err)
		return false
	}
	var err error
	if j.terms, err = report.TermsOf(c, meters, in); err != nil {
		p.drop(j.id, "terms", err)
		return false
	}
	return true
}

// plan finds the parts that an installation has to tell of.
func (p *preparation) plan(j *job) {
	var err error
	if j.parts, err = j.target.Due(j.terms, j.past, p.at); err != nil {
		p.drop(j.id, "statement", err)
		return
	}
	if err = p.expire(j); err != nil {
		p.drop(j.id, "statement", err)
		return
	}
	if need := len(j.parts) + len(j.expired); need > j.room && p.req.DryRun == nil {
		delete(p.jobs, j.id)
		p.again = append(p.again, item{id: j.id, room: need + room, tries: j.tries})
	}
}

// later leaves an installation that fared badly to the slow lane.
func (p *preparation) later(it item) {
	delete(p.jobs, it.id)
	p.slowOnes = append(p.slowOnes, it)
}

// check leaves out what another reporter overtook: one that claimed as great a timestamp, and whose figures may be newer.
func (p *preparation) check() error {
	if p.req.DryRun != nil {
		p.show()
		return nil
	}
	ids := p.working()
	if len(ids) == 0 {
		return nil
	}
	others, err := p.o.Ledger.Claimed(p.ctx, ids, p.o.Reporter)
	if err != nil {
		return err
	}
	var rows []ledger.Report
	for _, id := range ids {
		j := p.jobs[id]
		if t, ok := others[id]; !ok || t.Before(j.base) {
			continue
		}
		p.metrics.overtaken.Inc()
		delete(p.jobs, id)
		for i := range j.rows {
			j.rows[i].Status, j.rows[i].Revision = ledger.ReportSuperseded, j.rows[i].Revision+1
		}
		rows = append(rows, j.rows...)
		if j.tries+1 == overtakenMax {
			p.end(id, superseded, "", time.Time{})
			continue
		}
		p.again = append(p.again, item{id: id, room: j.room, tries: j.tries + 1})
	}
	p.metrics.reported(rows)
	if len(rows) == 0 {
		return nil
	}
	return p.o.Ledger.WriteReports(p.ctx, rows)
}

// working returns the installations that are still to be sent, in their order.
func (p *preparation) working() []string {
	ids := make([]string, 0, len(p.jobs))
	for _, id := range p.ids {
		if p.jobs[id] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}
