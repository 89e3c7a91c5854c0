package chaos_test

import (
	"fmt"
	"testing"
	"time"
)

// TestChaos lets faults of chance happen to every process under load, and counts everything again.
func TestChaos(t *testing.T) {
	t.Parallel()
	rounds, perRound, seed := *roundsFlag, int64(2000), dice(t)
	if rounds == 0 {
		rounds, perRound = 5, 200
	}
	var w *world
	switch *kafkaFlag {
	case "", "embedded":
		w = newWorld(t, 6, 10, 22)
		w.begin(t)
	case "apache":
		w = onApache(t, 6, 10, 22)
		w.beginOnApache(t)
	default:
		t.Fatalf("KAFKA is %q: it is embedded or apache", *kafkaFlag)
	}
	for range 3 {
		w.aggregate(t, w.clickhouse)
	}
	for range 2 {
		w.ingest(t)
	}
	w.allReady(t)
	l := w.startLoad(t, 8, 50*time.Millisecond, seed)
	d := w.startDirect(t, seed)
	f := newFaults(t, w, l, seed, min(10, rounds))
	started := time.Now()
	for n := 1; n <= rounds; n++ {
		f.round(n)
		l.total(t, int64(n)*perRound) // on a busy machine the load comes after
	}
	l.stop()
	d.stop()
	f.report(rounds, time.Since(started))
	for _, p := range w.ingests {
		p.Terminate(t) // what it may still be writing is written then
	}
	w.inSync(t)
	w.drain(t, time.Minute)
	o := w.count(t, l)
	w.verify(t)
	fmt.Fprintf(t.Output(), "%d events were acknowledged, %d requests were sent again, %d differences\n", l.acked.Load(), l.tries.Load(), o.wrong)
}
