package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"reckoner/internal/bench/workload"
)

// The probes: accounts of which one usage of 1 is sent now and then, so that the total says which of them are visible.
const (
	probeAccounts = 4
	probeGap      = 25 * time.Millisecond
	probeLook     = 25 * time.Millisecond // between two looks at the totals: it is part of what is measured
)

// freshness sends at a steady rate and watches single usages on their way.
func freshness(ctx context.Context, s *site, r *Result) error {
	api, err := s.dev()
	if err != nil {
		return err
	}
	sources, err := s.sources(100, pipelineProducers, 0, true)
	if err != nil {
		return err
	}
	out := &sent{}
	l := &load{addr: api, sources: sources, lasting: s.scale.fresh, reverts: revertConnections, rate: s.scale.rate, batch: 100}
	p := newProbes(s, api)
	m := s.meter()
	err = m.during(func() (int64, error) {
		stop := p.start(ctx)
		err := l.run(ctx, out)
		if err2 := stop(); err == nil {
			err = err2
		}
		return out.events.Load(), err
	})
	if err != nil {
		return err
	}
	r.spread(p.took)
	r.Ours = r.P99
	reached := rate(out.events.Load(), out.took)
	r.extra("events_per_s", reached)
	r.extra("probes", float64(len(p.took)))
	m.report(r)
	r.Met = *r.P99 <= 1500 && reached >= 0.95*float64(s.scale.rate)
	return nil
}

type probes struct {
	*site
	api  string
	look string // the query

	mu      sync.Mutex
	pending map[string][]time.Time // by account: when each that is not visible yet was acknowledged
	seen    map[string]int64       // by account: how many are
	took    []time.Duration
}

func newProbes(s *site, api string) *probes {
	p := &probes{site: s, api: api, pending: make(map[string][]time.Time), seen: make(map[string]int64)}
	var accounts []string
	for i := range probeAccounts {
		accounts = append(accounts, "'"+p.account(i)+"'")
	}
	p.look = "SELECT account_id, toInt64(quantity) FROM " + devDatabase + ".account_totals WHERE account_id IN (" + strings.Join(accounts, ", ") + ")"
	return p
}

// account is none of the workload's.
func (p *probes) account(i int) string { return workload.AccountID(^p.Seed, uint64(i)) }

// start sends and looks until it is stopped. What was sent by then is awaited.
func (p *probes) start(ctx context.Context) (stop func() error) {
	sending, cancel := context.WithCancel(ctx)
	var errs [2]error
	var work sync.WaitGroup
	work.Go(func() { errs[0] = p.send(sending, ctx) })
	work.Go(func() { errs[1] = p.watch(sending, ctx) })
	return func() error {
		cancel()
		work.Wait()
		for _, err := range errs {
			if err != nil {
				return fmt.Errorf("probe: %w", err)
			}
		}
		return nil
	}
}

func (p *probes) send(until, ctx context.Context) error {
	c := &connection{addr: p.api}
	defer c.close()
	var raw []byte
	for n := 0; until.Err() == nil; n++ {
		account := p.account(n % probeAccounts)
		raw = appendRequest(raw[:0], probe(account, workload.AccountID(p.Seed+1, uint64(n))), "")
		if err := c.post(ctx, raw); err != nil {
			return err
		}
		p.mu.Lock()
		p.pending[account] = append(p.pending[account], time.Now())
		p.mu.Unlock()
		_ = sleep(until, probeGap) // its end ends the loop
	}
	return nil
}

// probe is a usage of 1.
func probe(account, id string) *workload.Request {
	return &workload.Request{
		Path: "/v1beta1/organizations/" + workload.Organization + "/billing/" + account + "/usages",
		Body: []byte(`{"usages":[{"id":"` + id + `","source":"probe","amount":1}]}`), Events: 1,
	}
}

// watch looks at the totals until everything that was sent is visible.
func (p *probes) watch(until, ctx context.Context) error {
	for until.Err() == nil || p.waiting() {
		var account string
		var quantity int64
		err := p.db.Each(ctx, p.look, func() error { p.visible(account, quantity, time.Now()); return nil }, &account, &quantity)
		if err == nil {
			err = sleep(ctx, probeLook)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// visible notes that the first so many usages of an account are. One may be so before its answer was read here: then it
// took no time.
func (p *probes) visible(account string, quantity int64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for quantity > p.seen[account] && len(p.pending[account]) > 0 {
		p.took = append(p.took, now.Sub(p.pending[account][0]))
		p.pending[account] = p.pending[account][1:]
		p.seen[account]++
	}
}

func (p *probes) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, times := range p.pending {
		if len(times) > 0 {
			return true
		}
	}
	return false
}
