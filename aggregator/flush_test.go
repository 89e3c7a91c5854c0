package aggregator

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

func testLimits() Limits {
	return Limits{RecordsMax: 10, BytesMax: 1 << 20, Interval: time.Second, WaitInterval: 50 * time.Millisecond, Patience: 2 * time.Second}
}

// plant is a flusher over one partition without a disk, and what its writer was given.
type plant struct {
	t *testing.T
	p *partition
	f *flusher

	mu      sync.Mutex
	writes  []time.Time
	records int
	block   chan struct{} // when set, write waits for it or for its context
	fails   error

	cancel  context.CancelFunc
	done    chan struct{}
	stopped chan error
}

func newPlant(t *testing.T, l Limits) *plant {
	c := ledger.Checkpoint{Log: 1, Partition: testPartition}
	pl := &plant{t: t, done: make(chan struct{}), stopped: make(chan error, 1)}
	pl.p = &partition{log: testLog(), machine: *testMachine(), settled: c, pending: newBatch(void{}, c)}
	pl.f = &flusher{
		budget: newBudget(l), now: time.Now, drain: 5 * time.Second, settled: func([]sealed, time.Time) {},
		order: commitOrder{
			write: pl.write, bury: func(context.Context, []bus.Record) error { return nil },
			answer: func(context.Context, []reckoner.Verdict) {}, settle: settleInMemory,
			report: func(context.Context, map[int]int64) {}, at: func(string) {},
		},
	}
	pl.f.join(pl.p)
	return pl
}

func settleInMemory(p *partition) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled, p.sealed = p.sealed.checkpoint, nil
	return nil
}

func (pl *plant) write(ctx context.Context, rows *ledger.Batch, _ []ledger.Checkpoint) error {
	pl.mu.Lock()
	pl.writes = append(pl.writes, time.Now())
	block, fails := pl.block, pl.fails
	pl.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fails != nil {
		return fails
	}
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.records += len(rows.Entries) + len(rows.Refusals)
	return nil
}

func (pl *plant) start() {
	ctx, cancel := context.WithCancel(context.Background())
	pl.cancel = cancel
	go func() { pl.stopped <- pl.f.run(ctx, pl.done) }()
	synctest.Wait()
}

// decide decides n new events and tells the budget, as a worker does.
func (pl *plant) decide(n int, changes ...change) {
	pl.t.Helper()
	var events []*reckoner.Event
	for i := range n {
		e := usage(accountIn(testPartition, 0), time.Duration(pl.p.next()+int64(i)).String(), 1, changes...)
		events = append(events, e)
	}
	got := mustDecide(pl.t, pl.p, events...)
	pl.f.budget.add(&got, time.Now())
	synctest.Wait()
}

func (pl *plant) written(writes, records int) {
	pl.t.Helper()
	synctest.Wait()
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if len(pl.writes) != writes || pl.records != records {
		pl.t.Errorf("%d writes of %d records, want %d of %d", len(pl.writes), pl.records, writes, records)
	}
}

// stop ends the plant in an orderly way and expects its flusher's error.
func (pl *plant) stop(want error) {
	pl.t.Helper()
	close(pl.done)
	if err := <-pl.stopped; !errors.Is(err, want) {
		pl.t.Errorf("flusher ended with %v, want %v", err, want)
	}
	pl.cancel()
}

func TestFlushIsDue(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(pl *plant)
	}{
		{"by size, at once", func(pl *plant) {
			pl.decide(9)
			pl.written(0, 0)
			pl.decide(1)
			pl.written(1, 10)
		}},
		{"by age of the oldest", func(pl *plant) {
			pl.decide(1)
			time.Sleep(900 * time.Millisecond)
			pl.decide(1)
			time.Sleep(99 * time.Millisecond)
			pl.written(0, 0)
			time.Sleep(time.Millisecond)
			pl.written(1, 2)
		}},
		{"never when nothing was decided", func(pl *plant) {
			time.Sleep(time.Hour)
			pl.written(0, 0)
		}},
		{"at once when someone waits and all was idle", func(pl *plant) {
			pl.decide(1, waits)
			pl.written(1, 1)
		}},
		{"at once for who waits behind one that does not", func(pl *plant) {
			pl.decide(1)
			pl.decide(1, waits)
			pl.written(1, 2)
		}},
		{"not more often than the wait interval when many wait", func(pl *plant) {
			pl.f.budget.limits.RecordsMax = 1000
			for range 100 {
				pl.decide(1, waits)
				time.Sleep(time.Millisecond)
			}
			pl.written(3, 100) // at 0, at 50 and at 100 ms
			for i := 1; i < len(pl.writes); i++ {
				if gap := pl.writes[i].Sub(pl.writes[i-1]); gap < 50*time.Millisecond {
					pl.t.Errorf("flushes %s apart", gap)
				}
			}
		}},
		{"by age again once nobody waits", func(pl *plant) {
			pl.decide(1, waits)
			pl.decide(1)
			time.Sleep(999 * time.Millisecond)
			pl.written(1, 1)
			time.Sleep(time.Millisecond)
			pl.written(2, 2)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pl := newPlant(t, testLimits())
				pl.start()
				tt.do(pl)
				pl.stop(nil)
			})
		})
	}
}

func TestFlushIsDueByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLimits()
		rec := recordOf(t, 0, usage(accountIn(testPartition, 0), "0s", 1))
		l.BytesMax = (recordBytes + len(rec.Key) + len(rec.Value)) * 3 / 2
		pl := newPlant(t, l)
		pl.start()
		pl.decide(1)
		pl.written(0, 0)
		pl.decide(1)
		pl.written(1, 2)
		pl.stop(nil)
	})
}

// Who reads faster than the ledger writes is held: what is decided and not on its way never passes the limit by more
// than what one fetch brings, and what is on its way is one such batch.
func TestMemoryIsBoundedWhileTheWriterBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPlant(t, testLimits())
		block := make(chan struct{})
		pl.block = block
		pl.start()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for pl.f.budget.wait(ctx) == nil {
				got, err := pl.p.decide(recordsOf(t, pl.p.next(), usage(accountIn(testPartition, 0), time.Duration(pl.p.next()).String(), 1)))
				if err != nil {
					t.Error(err)
					return
				}
				pl.f.budget.add(&got, time.Now())
				time.Sleep(time.Millisecond)
			}
		}()
		time.Sleep(time.Hour)
		if n := pl.p.next(); n != 20 {
			t.Errorf("%d records decided, want 10 on their way and 10 behind them", n)
		}
		pl.written(1, 0)
		pl.mu.Lock()
		pl.block = nil
		pl.mu.Unlock()
		close(block)
		time.Sleep(time.Second)
		if n := pl.p.next(); n < 100 {
			t.Errorf("%d records decided a second after the ledger came back", n)
		}
		cancel()
		<-ended
		pl.stop(nil)
		if n := pl.p.settledNext(); n != pl.p.next() {
			t.Errorf("settled %d of %d", n, pl.p.next())
		}
	})
}

func TestStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPlant(t, testLimits())
		pl.start()
		pl.decide(3)
		pl.stop(nil)
		pl.written(1, 3)
		if pl.p.settledNext() != 3 {
			t.Errorf("settled up to %d", pl.p.settledNext())
		}
	})
}

// A stop waits for the flush on its way and flushes what came after it.
func TestStopInMidFlushDrainsBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPlant(t, testLimits())
		block := make(chan struct{})
		pl.block = block
		pl.start()
		pl.decide(10)
		pl.decide(2)
		pl.written(1, 0)
		time.AfterFunc(time.Second, func() { close(block) })
		pl.stop(nil)
		pl.written(2, 12)
	})
}

// A ledger that is down cannot hold a stop for longer than the time to drain, whether a flush is on its way or not.
func TestStopIsBoundedWhenTheLedgerIsDown(t *testing.T) {
	for _, n := range []int{3, 10} {
		synctest.Test(t, func(t *testing.T) {
			pl := newPlant(t, testLimits())
			pl.block = make(chan struct{})
			pl.start()
			pl.decide(n)
			began := time.Now()
			pl.stop(nil)
			if took := time.Since(began); took != 5*time.Second {
				t.Errorf("the stop took %s", took)
			}
			pl.written(1, 0)
			if pl.p.settledNext() != 0 {
				t.Error("settled what was never written")
			}
		})
	}
}

func TestEndOfGenerationInMidFlushSettlesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPlant(t, testLimits())
		pl.block = make(chan struct{})
		pl.start()
		pl.decide(10)
		pl.cancel()
		if err := <-pl.stopped; err != nil {
			t.Errorf("error %v", err)
		}
		if pl.p.settledNext() != 0 {
			t.Error("settled after the generation's end")
		}
	})
}

func TestFlusherEndsWithWhatCannotBeMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPlant(t, testLimits())
		pl.fails = ledger.MarkPermanent(errors.New("no such column"))
		pl.start()
		pl.decide(10)
		if err := <-pl.stopped; !ledger.Permanent(err) {
			t.Errorf("error %v", err)
		}
		pl.cancel()
	})
}

// A failure of the local state is told even when the generation ended meanwhile: going on could not be right.
func TestFailedSettleIsToldAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPlant(t, testLimits())
		pl.f.order.settle = func(*partition) error { pl.cancel(); return errState }
		pl.start()
		pl.decide(10)
		if err := <-pl.stopped; !errors.Is(err, errState) {
			t.Errorf("error %v", err)
		}
	})
}
