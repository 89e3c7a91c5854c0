package aggregator

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/ledger"
)

// metricOf is the value of a gauge or a counter.
func metricOf(t testing.TB, c prometheus.Collector) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	must(t, err)
	m := families[0].GetMetric()[0]
	return m.GetGauge().GetValue() + m.GetCounter().GetValue()
}

// backup keeps the ledger as it is, and returns what puts it back.
func (m *memLedger) backup() (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entries, refusals := maps.Clone(m.entries), maps.Clone(m.refusals)
	totals, checkpoints := maps.Clone(m.totals), maps.Clone(m.checkpoints)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.entries, m.refusals = maps.Clone(entries), maps.Clone(refusals)
		m.totals, m.checkpoints = maps.Clone(totals), maps.Clone(checkpoints)
	}
}

// replay writes the rows of a partition again, as the command does.
func (r *rig) replay(partition int32) {
	r.t.Helper()
	replay := Replay{Log: testLog(), Source: r.log, Partitioner: r.a.o.Partitioner, Restorer: r.ledger, TempDir: r.t.TempDir(), Slog: quiet()}
	_, to, err := replay.Reach(r.t.Context(), partition)
	must(r.t, err)
	must(r.t, replay.Partition(r.t.Context(), partition, to, Visitor{Batch: func(b *Replayed) error {
		r.ledger.store(&ledger.Batch{Entries: b.Entries, Refusals: b.Refusals, Totals: b.Totals, Checkpoints: []ledger.Checkpoint{b.Checkpoint}})
		return nil
	}}))
}

func (r *rig) stopsFor(partition int, want error) {
	r.t.Helper()
	eventually(r.t, "the partition stops for "+want.Error(), func() bool {
		s, _ := r.a.Status()
		return len(s) > partition && errors.Is(s[partition].Err, want)
	})
	eventually(r.t, "it is counted", func() bool { return metricOf(r.t, r.a.metrics.stopped) == 1 })
}

// An older copy takes the ledger's place while the partition is worked on, at each moment at which that can be: it
// stops, no checkpoint is put over the rows that are missing, and after a replay it goes on by itself.
func TestExchangedLedgerStopsThePartition(t *testing.T) {
	for _, tt := range []struct {
		name string
		// arrange prepares the exchange; it happens when the function that it returns is called, or by itself later.
		arrange func(r *rig, exchange func()) (now func())
		options func(o *Options)
		grows   bool // only a flush finds it
	}{
		{"nothing is written", func(_ *rig, exchange func()) func() { return exchange }, func(o *Options) { o.WatchInterval = 5 * time.Millisecond }, false},
		{"before a flush", func(_ *rig, exchange func()) func() { return exchange }, nil, true},
		{"between the rows and the checkpoints of a flush", func(r *rig, exchange func()) func() {
			return func() {
				r.ledger.fault = func(b *ledger.Batch) (*ledger.Batch, error) {
					if len(b.Entries)+len(b.Refusals) > 0 {
						exchange()
					}
					return b, nil
				}
			}
		}, nil, true},
		{"while the totals of a flush take long", func(r *rig, exchange func()) func() {
			return func() {
				r.ledger.fault = func(b *ledger.Batch) (*ledger.Batch, error) {
					if len(b.Entries)+len(b.Refusals)+len(b.Checkpoints) == 0 {
						time.Sleep(2 * lookFor) // the look beside them is done
						exchange()
					}
					return b, nil
				}
			}
		}, nil, true},
		{"while the ledger is down", func(r *rig, exchange func()) func() {
			return func() {
				r.ledger.fault = func(b *ledger.Batch) (*ledger.Batch, error) { exchange(); return nil, errLedgerDown }
			}
		}, nil, true},
		{"after the checkpoints were stored and the answer was lost", func(r *rig, exchange func()) func() {
			return func() {
				r.ledger.fault = func(b *ledger.Batch) (*ledger.Batch, error) {
					if len(b.Checkpoints) > 0 {
						r.ledger.store(b)
						exchange()
						return nil, errLedgerDown
					}
					return b, nil
				}
			}
		}, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(o *Options) {
				soon(o)
				if tt.options != nil {
					tt.options(o)
				}
			})
			r.begin(0, testPartition)
			n := r.fill(testPartition, 20)
			eventually(t, "the backup's rows", func() bool { return r.a.Held()[testPartition] == n })
			old := r.ledger.next(testPartition)
			restore := r.ledger.backup()
			n = r.fill(testPartition, 20)
			eventually(t, "more rows", func() bool { return r.a.Held()[testPartition] == n })

			r.ledger.mu.Lock()
			now := tt.arrange(r, restore)
			r.ledger.mu.Unlock()
			now()
			if tt.grows {
				r.fill(testPartition, 20)
			}
			r.stopsFor(1, ErrLedgerBehind)
			other := r.fill(0, 20)
			r.ledger.mu.Lock()
			r.ledger.fault = nil
			r.ledger.mu.Unlock()
			eventually(t, "another partition goes on", func() bool { return r.a.Held()[0] == other })
			r.fill(testPartition, 20)
			eventually(t, "it was tried again", func() bool {
				return metricOf(t, r.a.metrics.retries.WithLabelValues("consume")) > 3
			})
			if got := r.ledger.next(testPartition); got != old || r.a.Held()[testPartition] != n {
				t.Errorf("checkpoint %d over the ledger of %d, settled up to %d of %d", got, old, r.a.Held()[testPartition], n)
			}
			must(t, r.ledger.complete())

			r.replay(testPartition)
			n = r.fill(testPartition, 20)
			eventually(t, "it goes on", func() bool { return r.a.Held()[testPartition] == n })
			eventually(t, "nothing is wrong any more", func() bool {
				s, _ := r.a.Status()
				return s[1].Err == nil && metricOf(r.t, r.a.metrics.stopped) == 0
			})
			must(t, r.ledger.complete())
		})
	}
}

// The ledger of another cluster, which is as far and holds something else, is no place to go on either.
func TestLedgerOfOtherRowsStopsThePartition(t *testing.T) {
	r := newRig(t, func(o *Options) { soon(o); o.WatchInterval = 5 * time.Millisecond })
	r.begin(0, testPartition)
	n := r.fill(testPartition, 20)
	eventually(t, "settled", func() bool { return r.a.Held()[testPartition] == n })
	r.ledger.mu.Lock()
	c := r.ledger.checkpoints[testPartition]
	c.EntriesDigest++
	r.ledger.checkpoints[testPartition] = c
	r.ledger.mu.Unlock()
	r.stopsFor(1, ErrLedgerMismatch)
}

// lagging is a ledger whose replica is behind: only an answer that waits for it is true.
type lagging struct{ *memLedger }

// Checkpoints implements ledger.Watcher.
func (l lagging) Checkpoints(ctx context.Context, log uint32) ([]ledger.Checkpoint, error) {
	return nil, ctx.Err()
}

// A replica that lags is no ledger that was exchanged, and neither is one that another process has taken further.
func TestLedgerThatOnlyLooksExchanged(t *testing.T) {
	r := newRig(t, func(o *Options) {
		soon(o)
		o.WatchInterval = time.Millisecond
		o.Ledger = lagging{o.Ledger.(*memLedger)}
	})
	r.begin(testPartition)
	for range 5 {
		n := r.fill(testPartition, 10)
		eventually(t, "it goes on", func() bool { return r.a.Held()[testPartition] == n })
	}
	n := r.fill(testPartition, 10)
	eventually(t, "settled", func() bool { return r.a.Held()[testPartition] == n })

	ahead := &scene{t: t, log: r.log, ledger: r.ledger}
	s := ahead.starter(t.TempDir())
	settled := ledger.Checkpoint{Log: 1, Partition: testPartition, Next: n - 1}
	must(t, s.watch(t.Context(), []ledger.Checkpoint{settled, {Log: 1, Partition: 3}}))
	r.ledger.fault = func(*ledger.Batch) (*ledger.Batch, error) { return nil, errLedgerDown }
	var exchanged *exchangedError
	settled.Next = n + 1
	if err := s.watch(t.Context(), []ledger.Checkpoint{settled}); !errors.As(err, &exchanged) || !errors.Is(exchanged.partitions[testPartition], ErrLedgerBehind) {
		t.Errorf("a ledger that is behind: %v", err)
	}
	if last, _ := r.a.Status(); last[0].Err != nil {
		t.Errorf("a false alarm: %v", last[0].Err)
	}
}

// A failure that passes does not hide that a partition needs a person.
func TestPassingFailureHidesNoFinalOne(t *testing.T) {
	s := newStatus(testMetrics())
	s.begin([]int32{0, 1})
	s.fail(1, ErrLedgerBehind)
	s.failAll(errLedgerDown)
	if a, b := s.partitions[0].Err, s.partitions[1].Err; !errors.Is(a, errLedgerDown) || !errors.Is(b, ErrLedgerBehind) {
		t.Errorf("%v, %v", a, b)
	}
	s.settled(ledger.Checkpoint{Partition: 1, Next: 1})
	if got := metricOf(t, s.metrics.stopped); got != 0 {
		t.Errorf("%v are shown as stopped", got)
	}
}

// A retry looks before it writes anything: into a ledger that came back as another one nothing more goes.
func TestRetryWritesNothingIntoAnotherLedger(t *testing.T) {
	r := newRig(t, soon)
	r.begin(0, testPartition)
	n := r.fill(testPartition, 20)
	eventually(t, "settled", func() bool { return r.a.Held()[testPartition] == n })
	r.ledger.mu.Lock()
	r.ledger.fault = func(b *ledger.Batch) (*ledger.Batch, error) {
		r.ledger.mu.Lock()
		clear(r.ledger.entries)
		clear(r.ledger.refusals)
		clear(r.ledger.totals)
		clear(r.ledger.checkpoints)
		r.ledger.fault = nil // it is back at once
		r.ledger.mu.Unlock()
		return nil, errLedgerDown
	}
	r.ledger.mu.Unlock()
	r.fill(testPartition, 20)
	r.stopsFor(1, ErrLedgerBehind)
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	if rows := len(r.ledger.entries) + len(r.ledger.refusals) + len(r.ledger.totals) + len(r.ledger.checkpoints); rows != 0 {
		t.Errorf("%d rows were written into the other ledger", rows)
	}
}
