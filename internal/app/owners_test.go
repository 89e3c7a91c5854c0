package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
	"reckoner/aggregator"
	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// everything is a membership of a group that gives every partition to each of its members, for a while at a time.
type everything struct {
	partitions int32
	while      func() time.Duration
}

// Run implements aggregator.Group.
func (e *everything) Run(ctx context.Context, work func(context.Context, aggregator.Generation) error) error {
	for ctx.Err() == nil {
		gen, cancel := context.WithTimeout(ctx, e.while())
		err := work(gen, e)
		if err == nil {
			<-gen.Done()
		}
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// Partitions implements aggregator.Generation.
func (e *everything) Partitions() (all []int32) {
	for p := range e.partitions {
		all = append(all, p)
	}
	return all
}

// Commit implements aggregator.Generation.
func (*everything) Commit(context.Context, map[int]int64) error { return nil }

var errUnruly = errors.New("the ledger is in a mood")

// unruly is a ledger that fails now and then: before a write, after it, or so that it happens later, when another owner
// has long gone on.
type unruly struct {
	aggregator.Ledger
	late sync.WaitGroup

	mu   sync.Mutex
	rng  *rand.Rand
	rows int // that were written
}

func (u *unruly) written() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rows
}

// Write implements ledger.Writer.
func (u *unruly) Write(ctx context.Context, b *ledger.Batch) error {
	u.mu.Lock()
	mood, pause := u.rng.IntN(24), time.Duration(u.rng.IntN(200))*time.Millisecond
	u.rows += len(b.Entries) + len(b.Refusals)
	u.mu.Unlock()
	switch mood {
	case 0:
		return errUnruly
	case 1:
		return errors.Join(errUnruly, u.Ledger.Write(ctx, b))
	case 2:
		u.late.Go(func() {
			time.Sleep(pause) // not to wait for anything: to be late
			_ = u.Ledger.Write(context.WithoutCancel(ctx), b)
		})
		return errUnruly
	default:
		return u.Ledger.Write(ctx, b)
	}
}

// owner is an aggregator that owns all partitions, whoever else does.
type owner struct {
	*aggregator.Aggregator
	ledger *unruly
	stop   func()
}

// own starts an owner on a directory of its own. database is where its ledger is; calm, nothing fails and its
// generation never ends.
func (s *site) own(dir, database string, seed uint64, records int, calm bool) *owner {
	s.t.Helper()
	l, err := clickhouse.Open(clickhouse.Options{URL: s.clickhouse + database})
	if err != nil {
		s.t.Fatal(err)
	}
	current, err := l.CurrentLog(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	generations := 0
	while := func() time.Duration { // longer and longer: on a busy machine a short one ends before anything is written
		generations++
		return time.Duration(200+rng.IntN(800)+50*generations) * time.Millisecond
	}
	o := &owner{ledger: &unruly{Ledger: l, rng: rand.New(rand.NewPCG(seed, 2))}}
	var used aggregator.Ledger = o.ledger
	if calm {
		used, while = l, func() time.Duration { return time.Hour }
	}
	producer := s.client.NewProducer(bus.ProducerOptions{})
	o.Aggregator, err = aggregator.New(aggregator.Options{
		Dir: dir, Log: current, Ledger: used, Publisher: producer, Partitioner: bus.PartitionFor,
		Source:     &aggregator.KafkaSource{Client: s.client, Topic: current.Topic, FetchBytes: 1 << 20, MaxWait: 50 * time.Millisecond},
		Group:      &everything{partitions: current.Partitions, while: while},
		Limits:     aggregator.Limits{RecordsMax: records, BytesMax: 1 << 20, Interval: time.Duration(records) * time.Millisecond, WaitInterval: 10 * time.Millisecond},
		CacheBytes: 1 << 20, BackoffMin: time.Millisecond, BackoffMax: 20 * time.Millisecond,
		WriteTimeout: 30 * time.Second, AnswerTimeout: time.Second, DrainTimeout: 5 * time.Second, WatchInterval: 50 * time.Millisecond,
		Registerer: prometheus.NewRegistry(), Slog: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	result := make(chan error, 1)
	go func() { result <- o.Run(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		err := <-result
		o.ledger.late.Wait()
		if err := errors.Join(err, o.Close(), producer.Close(context.WithoutCancel(ctx)), l.Close()); err != nil {
			s.t.Errorf("an owner: %v", err)
		}
	})
	s.t.Cleanup(o.stop)
	return o
}

// awaitHeld waits until an owner's own states have all of the log.
func (s *site) awaitHeld(owners ...*owner) {
	s.t.Helper()
	for number := range s.partitions {
		_, next, err := s.client.Offsets(s.t.Context(), bus.TopicEvents, number)
		if err != nil {
			s.t.Fatal(err)
		}
		for i, o := range owners {
			eventually(s.t, func() string {
				if held := o.Held()[number]; held != next {
					status, _ := o.Status()
					return fmt.Sprintf("owner %d has %d of %d records of partition %d: %+v", i, held, next, number, status)
				}
				return ""
			})
		}
	}
}

// mixed is a load in which every outcome happens, among few accounts.
type mixed struct {
	s    *site
	rng  *rand.Rand
	sent []*reckoner.Event
	ids  int
}

func (m *mixed) write(n int) {
	m.s.t.Helper()
	var recs []bus.Record
	for range n {
		rec := m.s.record(m.event())
		switch m.rng.IntN(20) {
		case 0:
			rec.Value = rec.Value[:m.rng.IntN(len(rec.Value))] // undecodable, most of them
		case 1:
			rec.Key = []byte(account(50 + m.rng.IntN(5))) // misrouted
		}
		recs = append(recs, rec)
	}
	producer := m.s.client.NewProducer(bus.ProducerOptions{})
	if err := errors.Join(producer.Produce(m.s.t.Context(), bus.TopicEvents, recs), producer.Close(m.s.t.Context())); err != nil {
		m.s.t.Fatal(err)
	}
	m.s.decided += n
}

func (m *mixed) event() *reckoner.Event {
	if n := len(m.sent); n > 20 && m.rng.IntN(6) == 0 {
		e := *m.sent[n-1-m.rng.IntN(20)] // a duplicate, or a conflict
		if m.rng.IntN(3) == 0 {
			e.Written.Source += "!"
		}
		return &e
	}
	e := m.usage()
	if n := len(m.sent); n > 20 && m.rng.IntN(3) == 0 {
		e = m.revert(m.sent[n-1-m.rng.IntN(20)])
	}
	m.sent = append(m.sent, e)
	return e
}

func (m *mixed) id() string { m.ids++; return fmt.Sprint("id-", m.ids) }

func (m *mixed) usage() *reckoner.Event {
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(m.rng.IntN(80)-40) * time.Hour)
	q := reckoner.Thousandths(int64(1 + m.rng.IntN(5000)))
	e := &reckoner.Event{
		Rules: reckoner.Rules, Kind: reckoner.Usage, ID: m.id(), AccountID: account(m.rng.IntN(12)), ReceivedAt: at.Add(time.Hour),
		Type: "credit", UsageTime: at, Period: reckoner.Cycle{}.At(at),
		Meter:   reckoner.Meter{Name: "credit", Type: []reckoner.MeterType{reckoner.Interval, reckoner.Interval, reckoner.Total, reckoner.Rate}[m.rng.IntN(4)]},
		Written: reckoner.Written{Quantity: &q, Source: "test", AcceptPartial: m.rng.IntN(2) == 0},
	}
	if m.rng.IntN(3) == 0 && e.Meter.Type == reckoner.Interval {
		limit := reckoner.Units(20)
		e.SubscriptionID, e.Limit = "sub", &limit
	}
	return e
}

func (m *mixed) revert(of *reckoner.Event) *reckoner.Event {
	e := &reckoner.Event{
		Rules: reckoner.Rules, Kind: reckoner.Revert, ID: m.id(), AccountID: of.AccountID, ReceivedAt: of.ReceivedAt.Add(time.Hour),
		Written: reckoner.Written{UsageID: of.ID},
	}
	switch m.rng.IntN(4) {
	case 0:
		q := reckoner.Thousandths(int64(1 + m.rng.IntN(6000)))
		e.Written.Quantity = &q
	case 1:
		e.Written.UsageID = of.ID + "?"
	}
	return e
}

// rowsOf is everything in a table, whatever was merged.
func (s *site) rowsOf(database, table string) string {
	s.t.Helper()
	return s.query(fmt.Sprintf("SELECT * FROM %s.%s FINAL ORDER BY ALL", database, table))
}

// Two aggregators own every partition at once, over the real log and the real ledger: with batches of other bounds,
// writes that fail, are stored twice or come late, generations that end in the middle, and one whose disk is lost. They
// end with the rows that one alone writes, bit by bit.
func TestTwoOwnersOfEveryPartition(t *testing.T) {
	s := newSite(t)
	alone := *s
	alone.clickhouse += "/alone"
	for _, one := range []*site{s, &alone} {
		if err := one.do(Migrate, "3"); err != nil {
			t.Fatal(err)
		}
	}
	load := &mixed{s: s, rng: rand.New(rand.NewPCG(11, 11))}
	load.write(50)
	dirs := []string{filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")}
	one, two := s.own(dirs[0], "", 1, 7, false), s.own(dirs[1], "", 2, 40, false)
	for range 15 {
		load.write(80)
	}
	s.awaitHeld(one, two)
	rows := two.ledger.written()
	two.stop()
	for range 5 {
		load.write(80)
	}
	if err := os.RemoveAll(dirs[1]); err != nil {
		t.Fatal(err)
	}
	two = s.own(dirs[1], "", 3, 25, false)
	for range 5 {
		load.write(80)
	}
	s.awaitHeld(one, two)
	one.stop()
	two.stop()
	s.proven()
	if first, rest := one.ledger.written(), rows; first < s.decided || rest < s.decided/2 {
		t.Errorf("%d events: one owner wrote %d rows, the other %d before it lost its disk: they did not work at once", s.decided, first, rest)
	}

	single := s.own(t.TempDir(), "/alone", 4, 1000, true)
	s.awaitHeld(single)
	single.stop()
	alone.t = t
	alone.proven()
	for _, table := range []string{"entries", "refusals", "totals", "checkpoints"} {
		want, got := s.rowsOf("alone", table), s.rowsOf("reckoner", table)
		if want != got || want == "" {
			t.Errorf("%s of one owner:\n%s\nof two:\n%s", table, want, got)
		}
	}
	outcomes := s.query("SELECT outcome, count() FROM (SELECT toString(outcome) AS outcome FROM reckoner.entries FINAL UNION ALL SELECT toString(outcome) FROM reckoner.refusals FINAL) GROUP BY ALL ORDER BY ALL")
	for _, o := range reckoner.Outcomes() {
		if !strings.Contains("\n"+outcomes, "\n"+o.String()+"\t") {
			t.Errorf("%s never happened", o)
		}
	}
	t.Logf("%d events, written as %d, %d and %d rows:\n%s", s.decided, one.ledger.written(), rows, two.ledger.written(), outcomes)
}
