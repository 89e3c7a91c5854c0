package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// How much more than before a process may hold: while ClickHouse is away, when nothing more is read than may be kept, and
// while it catches up, when the caches of its states fill.
const (
	growthAway     = 32 << 20
	growthCatching = 128 << 20
)

// TestClickHouseIsStopped ends the ClickHouse process under load, for as long as -outage says. Meanwhile everything is
// taken and acknowledged, nobody is told an outcome, and nobody holds more than before: what waits, waits in the log. With
// ClickHouse back the lag goes away by itself.
func TestClickHouseIsStopped(t *testing.T) {
	t.Parallel()
	// With bounds that are far below what comes in meanwhile, whoever holds more than they allow is seen.
	w := newWorld(t, 4, 4, 28, setting("health.stall_after", "3s"), setting("ingest.outcome_timeout", "300ms"),
		setting("aggregator.batch_events_max", 2000), setting("aggregator.batch_bytes_max", "1MiB"), setting("aggregator.fetch_bytes_max", "256KiB"))
	w.startEngines(t, "127.0.0.1:0") // ClickHouse alone: the log must outlive it
	b := brokertest.Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Brokers: 3})
	w.migrate(t, b.Addr())
	for range 2 {
		w.aggregate(t, w.clickhouse)
	}
	w.ingest(t)
	w.allReady(t)
	l := w.startLoad(t, 8, 5*time.Millisecond, rand.New(rand.NewPCG(8, 8)))
	d := w.startDirect(t, rand.New(rand.NewPCG(9, 9)))
	l.total(t, 5000)
	before := w.held()

	w.engines.Kill(t)
	began := time.Now()
	for _, a := range w.aggregates {
		w.admits(t, a, "ClickHouse stopped")
	}
	acked, decided, deferred := l.acked.Load(), l.decided.Load(), l.deferred.Load()
	pause(time.Until(began.Add(*outageFlag)))
	lag, shown := w.left(t), w.lag(t)
	if status, body := get("http://" + w.ingests[0].ops + "/readyz"); status != http.StatusOK {
		t.Errorf("ingest, which can take events without ClickHouse, is not ready: %d %s", status, body)
	}
	if n := l.decided.Load() - decided; n > 0 {
		t.Errorf("%d requests were told an outcome that nobody could have stored", n)
	}
	acked, deferred = l.acked.Load()-acked, l.deferred.Load()-deferred
	if acked == 0 || deferred == 0 {
		t.Errorf("%d events were acknowledged, %d requests that wait were told 202", acked, deferred)
	}
	fmt.Fprintf(t.Output(), "without ClickHouse for %s: %d events acknowledged, %d requests that wait answered 202, %d records left to count, a lag of %d shown\n",
		round(time.Since(began)), acked, deferred, lag, shown)

	// What is decided and not written is no lag, and the log is looked at every second only.
	if shown < lag/2 {
		t.Errorf("a lag of %d is shown while %d records are left", shown, lag)
	}

	during := w.held()
	ends := w.ends(t)
	w.engines.Start(t)
	w.engines.ready(t)
	back := time.Now()
	eventually(t, time.Minute, func() string { return w.behind(ends) })
	fmt.Fprintf(t.Output(), "all of that is counted %s after ClickHouse was back\n", round(time.Since(back)))
	w.allReady(t)
	l.reach(t, 500)
	l.stop()
	d.stop()
	w.ingests[0].Terminate(t)
	w.drain(t, time.Minute)
	eventually(t, 20*time.Second, func() string {
		if lag := w.lag(t); lag != 0 {
			return fmt.Sprintf("a lag of %d is shown", lag)
		}
		return ""
	})
	w.bounded(t)
	w.grew(t, before, during)
	w.count(t, l)
	w.verify(t)
}

// lag is how many records the aggregators say that they have still to read.
func (w *world) lag(t *testing.T) int64 {
	t.Helper()
	var sum int64
	for _, a := range w.aggregates {
		sum += a.metric(t, "reckoner_aggregator_lag_records", "")
	}
	return sum
}

// left is how many records the log holds that the ledger does not, as the aggregators know of the ledger.
func (w *world) left(t *testing.T) int64 {
	t.Helper()
	var sum int64
	for _, end := range w.ends(t) {
		sum += end
	}
	for _, a := range w.aggregates {
		sum -= a.metric(t, "reckoner_aggregator_next_offset", "")
	}
	return sum
}

// held returns the most memory that each process but the engines ever held, by its name.
func (w *world) held() map[string]int64 {
	most := make(map[string]int64)
	for _, p := range slices.Concat(w.aggregates, w.ingests) {
		if p.Running() {
			most[p.Name] = p.Memory("VmHWM")
		}
	}
	return most
}

// grew holds what processes held at most, while ClickHouse was away and until all was counted, against what that was
// before.
func (w *world) grew(t *testing.T, before, during map[string]int64) {
	t.Helper()
	after := w.held()
	for _, name := range sorted(before) {
		after[name] = max(after[name], during[name]) // it may have ended
		fmt.Fprintf(t.Output(), "%-12s held at most %d MiB before, %d MiB until the end of it, %d MiB until all was counted\n",
			name, before[name]>>20, during[name]>>20, after[name]>>20)
		if during[name] > before[name]+growthAway || after[name] > before[name]+growthCatching {
			t.Errorf("%s grew by %d MiB without ClickHouse, and by %d MiB until all was counted",
				name, (during[name]-before[name])>>20, (after[name]-before[name])>>20)
		}
	}
}
