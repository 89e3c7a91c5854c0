package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestARollingRestartRestoresNothing restarts three aggregators one after the other, twice, as a deploy does: every
// partition waits for its state to come back instead of being rebuilt elsewhere, and nothing is stuck afterwards.
func TestARollingRestartRestoresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6, 4, 20, setting("aggregator.restore_delay", "1m"))
	w.begin(t)
	for range 3 {
		w.aggregate(t, w.clickhouse)
	}
	w.ingest(t)
	w.allReady(t)
	w.balanced(t)
	l := w.startLoad(t, 4, 30*time.Millisecond, rand.New(rand.NewPCG(7, 7)))
	l.reach(t, 1000)
	w.drain(t, time.Minute)
	before := w.restored(t) // while the group formed, nothing of worth was in the ledger
	for n, p := range append(w.aggregates, w.aggregates...) {
		before -= p.metric(t, "reckoner_aggregator_restored_rows_total", "")
		p.Terminate(t)
		w.balanced(t) // the others have taken over
		l.reach(t, 300)
		p.Start(t)
		began := time.Now()
		w.allReady(t)
		w.balanced(t)
		w.drain(t, time.Minute)
		fmt.Fprintf(t.Output(), "restart %d, of %s: all is counted again after %s\n", n+1, p.Name, round(time.Since(began)))
		if got := w.restored(t); got != before {
			t.Errorf("restart %d, of %s: %d rows were restored", n+1, p.Name, got-before)
			before = got
		}
	}
	l.stop()
	w.ingests[0].Terminate(t)
	w.drain(t, time.Minute)
	w.count(t, l)
	w.verify(t)
}

// balanced waits until the partitions are shared out evenly, and everybody is ready.
func (w *world) balanced(t *testing.T) {
	t.Helper()
	var running []*process
	for _, p := range w.aggregates {
		if p.Running() {
			running = append(running, p)
		}
	}
	want := int64(w.partitions / len(running))
	eventually(t, time.Minute, func() string {
		for _, p := range running {
			if got := p.metric(t, "reckoner_aggregator_assigned_partitions", ""); got != want {
				return fmt.Sprintf("%s has %d partitions of %d", p.Name, got, want)
			}
		}
		return ""
	})
}

// restored is how many rows were read from the ledger to rebuild states, by the processes that run.
func (w *world) restored(t *testing.T) int64 {
	t.Helper()
	var sum int64
	for _, p := range w.aggregates {
		sum += p.metric(t, "reckoner_aggregator_restored_rows_total", "")
	}
	return sum
}
