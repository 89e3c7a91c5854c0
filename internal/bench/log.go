package bench

import (
	"context"
	"fmt"
	"time"

	"reckoner/internal/app"
	"reckoner/internal/bench/workload"
	"reckoner/internal/bus"
	"reckoner/internal/config"
)

// filled is a log that was written over HTTP, and what its events come to.
type filled struct {
	events     int64
	records    int64
	partitions int
	sums       *workload.Sums // nil for a trace
}

// Databases that rows share names of, one after the other.
const (
	fillDatabase  = "reckoner_bench_fill"
	oursDatabase  = "reckoner_bench_ours"
	floorDatabase = "reckoner_bench_floor"
)

// producersOfLog is how many send at once to fill a log.
const producersOfLog = 16

// fill starts the engines and writes events into the log as producers do, reverts and repetitions among them. Nobody
// decides meanwhile, so nobody waits long for a decision.
func (s *site) fill(events int64) (*filled, error) {
	if err := s.engines(); err != nil {
		return nil, err
	}
	if err := s.migrate(fillDatabase, nil); err != nil {
		return nil, err
	}
	p, err := s.ingest(fillDatabase, func(c *config.Settings) { c.Ingest.OutcomeTimeout = 10 * time.Millisecond })
	if err != nil {
		return nil, err
	}
	sources, err := s.sources(100, producersOfLog, 0, true)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	out := &sent{}
	if err := (&load{addr: p.Addresses.API, sources: sources, limit: events, reverts: producersOfLog}).run(s.ctx, out); err != nil {
		return nil, err
	}
	if err := s.stop(p); err != nil {
		return nil, err
	}
	if err := s.drop(fillDatabase); err != nil {
		return nil, err
	}
	f := &filled{events: out.events.Load(), partitions: p.Settings.Kafka.Partitions, sums: s.sums(100, out)}
	records, err := s.kafka.Records(s.ctx, bus.TopicEvents, f.partitions)
	if f.records = records; err == nil && records != f.events {
		err = fmt.Errorf("the log has %d records of %d events", records, f.events)
	}
	s.say("  the log has %d events (%.0f/s)", f.events, rate(f.events, time.Since(began)))
	return f, err
}

// sums are those of what was sent from the first stream on; nil of a trace.
func (b *bench) sums(batch int, out *sent) *workload.Sums {
	if b.Trace != "" {
		return nil
	}
	var sums workload.Sums
	for i, requests := range out.requests {
		sums.Sum(b.input(batch, true), i, requests)
	}
	return &sums
}

// decide takes a log through so many aggregators into a new database. The time begins when the first of them has
// partitions. The states are in s.states afterwards.
func (s *site) decide(f *filled, database string, processes int, change func(*config.Settings)) (eventsPerSecond float64, err error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	starting := make(chan error, processes)
	list := make([]*app.Process, processes)
	for i := range list {
		settings := s.settings(database, func(c *config.Settings) {
			c.DataDir = s.states(database, i)
			c.Kafka.Group = database
			if change != nil {
				change(c)
			}
		})
		list[i] = app.NewProcess(settings, s.Log)
		go func() { starting <- app.Aggregate(ctx, list[i]) }() // it waits for the log to be registered
	}
	if err = s.migrate(database, nil); err != nil {
		cancel() // for nobody registers it
	}
	for range list {
		if e := <-starting; err == nil {
			err = e
		}
	}
	s.processes = append(s.processes, list...)
	if err == nil {
		eventsPerSecond, err = s.awaitDecided(f, list)
	}
	for _, p := range list {
		if e := s.stop(p); err == nil {
			err = e
		}
	}
	return eventsPerSecond, err
}

// states is the data directory of an aggregator.
func (s *site) states(database string, process int) string {
	return fmt.Sprintf("%s/%s-%d", s.dir, database, process)
}

// awaitDecided waits until the ledger has an outcome for every record, and returns the rate.
//
// What is left of the log at last does not fill a flush, and waits for its time to come: a second that says nothing of
// the rate. So it is that up to the end, or up to the flush before it, whichever is greater.
func (s *site) awaitDecided(f *filled, list []*app.Process) (eventsPerSecond float64, err error) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	for _, p := range list {
		go func() {
			if err := p.Wait(ctx); err != nil {
				cancel(err)
			}
		}()
	}
	for total(list, metricAssigned) == 0 {
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return 0, err
		}
	}
	began, before := time.Now(), 0.0
	for {
		n := total(list, metricNext)
		if n > before {
			at := n / float64(f.records) * float64(f.events) / time.Since(began).Seconds()
			if n >= float64(f.records) {
				return max(at, eventsPerSecond), nil
			}
			eventsPerSecond, before = at, n
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return 0, fmt.Errorf("%.0f of %d records are decided: %w", n, f.records, err)
		}
	}
}

// What is read of an aggregator's metrics.
const (
	metricAssigned = "reckoner_aggregator_assigned_partitions"
	metricNext     = "reckoner_aggregator_next_offset" // the ledger has everything before it
)

// total adds a metric of processes up, over its labels.
func total(list []*app.Process, name string) (sum float64) {
	for _, p := range list {
		one, _ := metric(p, name)
		sum += one
	}
	return sum
}

// metric adds a metric of a process up, over its labels, and counts those.
func metric(p *app.Process, name string) (sum float64, labels int) {
	families, err := p.Ops.Registry.Gather()
	if err != nil {
		return 0, 0 // a collector had nothing to say; the next time it has
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		labels = len(f.GetMetric())
	}
	return sum, labels
}

// decided is how many events the ledger has an outcome for, by its checkpoints.
func (s *site) decided(database string) (int64, error) {
	var n uint64
	err := s.db.One(s.ctx, "SELECT sum(entries + refusals) FROM "+database+".checkpoints FINAL", &n)
	return int64(n), err
}

// proven returns an error unless the ledger holds what the workload comes to: every account's total, and a row for every
// event.
func (s *site) proven(f *filled, database string) error {
	var entries, refusals uint64
	if err := s.db.One(s.ctx, "SELECT count() FROM "+database+".entries FINAL", &entries); err != nil {
		return err
	}
	if err := s.db.One(s.ctx, "SELECT count() FROM "+database+".refusals FINAL", &refusals); err != nil {
		return err
	}
	if int64(entries+refusals) != f.events {
		return fmt.Errorf("the ledger has %d entries and %d refusals of %d events", entries, refusals, f.events)
	}
	if f.sums == nil {
		return nil
	}
	if int64(entries) != f.sums.Usages+f.sums.Reverts || int64(refusals) != f.sums.Duplicates {
		return fmt.Errorf("the ledger has %d entries and %d refusals, the workload %d usages, %d reverts and %d duplicates",
			entries, refusals, f.sums.Usages, f.sums.Reverts, f.sums.Duplicates)
	}
	return s.balanced(f.sums, database)
}

// balanced holds account_totals against the workload's own sums.
func (s *site) balanced(sums *workload.Sums, database string) error {
	var account string
	var got workload.Total
	var events, reverts uint64
	seen := 0
	err := s.db.Each(s.ctx, "SELECT account_id, toInt64(sum(quantity)), sum(events), sum(reverts) FROM "+database+".account_totals GROUP BY account_id",
		func() error {
			got.Usages, got.Reverts = int64(events), int64(reverts)
			want := sums.Accounts[account]
			if want == nil || got != *want {
				return fmt.Errorf("account %s has %+v, the workload comes to %+v", account, got, want)
			}
			seen++
			return nil
		}, &account, &got.Quantity, &events, &reverts)
	if err == nil && seen != len(sums.Accounts) {
		err = fmt.Errorf("the ledger has %d accounts of %d", seen, len(sums.Accounts))
	}
	return err
}
