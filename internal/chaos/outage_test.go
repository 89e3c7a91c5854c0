package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// TestClickHouseFails makes ClickHouse fail in every way under load: inserts fail before and after their rows were
// stored, it is slow, it does not answer, it is gone. Producers notice nothing; nobody is restarted.
func TestClickHouseFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4, 4, 12, setting("clickhouse.insert_timeout", "2s"), setting("health.stall_after", "3s"),
		setting("ingest.outcome_timeout", "300ms"))
	w.begin(t)
	p := newProxy(t, w.clickhouse)
	for range 2 {
		w.aggregate(t, p.addr)
	}
	w.ingestAt(t, p.addr)
	w.allReady(t)
	l := w.startLoad(t, 6, 20*time.Millisecond, rand.New(rand.NewPCG(3, 3)))
	d := w.startDirect(t, rand.New(rand.NewPCG(4, 4)))
	a := w.aggregates[0]

	p.every.Store(3)
	eventually(t, time.Minute, func() string {
		if n := p.stored.Load(); n < 20 {
			return fmt.Sprintf("%d inserts failed, %d of them after they were stored", p.failed.Load(), n)
		}
		return ""
	})
	if n := a.metric(t, "reckoner_aggregator_retries_total", `step="insert"`); n == 0 {
		t.Error("no failed insert is counted")
	}
	p.heal()

	p.delay.Store(int64(300 * time.Millisecond))
	l.reach(t, 500)
	p.heal()

	for _, outage := range []struct {
		name       string
		begin, end func()
	}{
		{"no answer", func() { p.hung.Store(true) }, p.heal},
		{"down", p.down, func() { p.up(t) }},
	} {
		outage.begin()
		l.reach(t, 500) // producers are served all the same
		w.admits(t, a, outage.name)
		if status, body := get("http://" + w.ingests[0].ops + "/readyz"); status != http.StatusOK {
			t.Errorf("%s: ingest, which can take events without ClickHouse, is not ready: %d %s", outage.name, status, body)
		}
		ends := w.ends(t)
		outage.end()
		began := time.Now()
		eventually(t, time.Minute, func() string { return w.behind(ends) })
		fmt.Fprintf(t.Output(), "%s: all counted %s after its end\n", outage.name, round(time.Since(began)))
		w.allReady(t)
	}
	l.stop()
	d.stop()
	w.ingests[0].Terminate(t)
	w.drain(t, time.Minute)
	eventually(t, 20*time.Second, func() string {
		if lag := a.metric(t, "reckoner_aggregator_lag_records", ""); lag != 0 {
			return fmt.Sprintf("a lag of %d is shown", lag)
		}
		return ""
	})
	w.bounded(t)
	w.count(t, l)
	w.verify(t)
	fmt.Fprintf(t.Output(), "%d inserts, %d failed, %d of them after they were stored\n", p.inserts.Load(), p.failed.Load(), p.stored.Load())
}

// admits waits until an aggregator that cannot write says so in every way, and holds its memory.
func (w *world) admits(t *testing.T, a *process, outage string) {
	t.Helper()
	eventually(t, 20*time.Second, func() string {
		if status, body := get("http://" + a.ops + "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "clickhouse") {
			return fmt.Sprintf("%s: readyz says %d %s", outage, status, body)
		}
		if status, body := get("http://" + a.ops + "/healthz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "stands at offset") {
			return fmt.Sprintf("%s: healthz says %d %s of an aggregator that stands still", outage, status, body)
		}
		if a.metric(t, "reckoner_aggregator_lag_records", "") == 0 {
			return outage + ": no lag is shown"
		}
		return ""
	})
	w.bounded(t)
}

// bounded holds the memory of every process against a bound that an unbounded queue would soon pass.
func (w *world) bounded(t *testing.T) {
	t.Helper()
	for _, p := range slices.Concat(w.aggregates, w.ingests) {
		if n := p.Memory("VmHWM"); n > 512<<20 {
			t.Errorf("%s held %d MiB", p.Name, n>>20)
		}
	}
}

// reach waits until so many more events are acknowledged.
func (l *load) reach(t *testing.T, more int64) {
	t.Helper()
	l.total(t, l.acked.Load()+more)
}

// total waits until so many events are acknowledged in all.
func (l *load) total(t *testing.T, goal int64) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if got := l.acked.Load(); got < goal {
			return fmt.Sprintf("%d of %d events are acknowledged", got, goal)
		}
		return ""
	})
}

// TestKafkaFails loses acknowledgements, refuses writes, holds them, cuts connections and moves leaders under load.
func TestKafkaFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4, 4, 12, setting("ingest.outcome_timeout", "300ms"), setting("ingest.produce_timeout", "1s"))
	w.startEngines(t, "127.0.0.1:0")
	b := brokertest.Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Brokers: 3})
	w.migrate(t, b.Addr())
	for range 2 {
		w.aggregate(t, w.clickhouse)
	}
	w.ingest(t)
	w.allReady(t)
	l := w.startLoad(t, 6, 20*time.Millisecond, rand.New(rand.NewPCG(5, 5)))
	d := w.startDirect(t, rand.New(rand.NewPCG(6, 6)))

	l.reach(t, 200)
	b.DropProduceAck(30) // they are tried again, and stand in the log twice
	l.reach(t, 500)
	for _, outage := range []struct {
		name  string
		begin func() (heal func())
	}{
		{"acknowledgements lost", func() func() { return b.DropProduceAck(-1) }},
		{"writes refused", func() func() { return b.FailProduce(-1) }},
		{"writes held", func() func() { return b.PauseProduce().Resume }},
	} {
		heal := outage.begin()
		w.refuses(t, l, outage.name)
		heal()
		l.reach(t, 500)
	}
	for n := range 12 {
		b.CutConnections()
		must(t, b.MoveLeader(bus.TopicEvents, n%4, n%3))
		l.reach(t, 50)
	}
	l.stop()
	d.stop()
	w.ingests[0].Terminate(t)
	w.drain(t, time.Minute)
	w.allReady(t)
	w.bounded(t)
	o := w.count(t, l)
	if o.seen["duplicate"] == 0 {
		t.Error("no record stands in the log twice")
	}
	w.verify(t)
}

// refuses waits until producers are told that nothing is stored, and makes sure that nobody is told otherwise.
func (w *world) refuses(t *testing.T, l *load, outage string) {
	t.Helper()
	more := func(n int64) {
		goal := l.tries.Load() + n
		eventually(t, time.Minute, func() string {
			if got := l.tries.Load(); got < goal {
				return fmt.Sprintf("%s: %d of %d requests are refused", outage, got, goal)
			}
			return ""
		})
	}
	more(2 * int64(len(l.all))) // what was acknowledged before may still be on its way
	before := l.acked.Load()
	more(2 * int64(len(l.all)))
	if n := l.acked.Load() - before; n > 0 {
		t.Errorf("%s: %d events were acknowledged that nobody could store", outage, n)
	}
	w.bounded(t)
}

// allReady waits until every process that runs serves.
func (w *world) allReady(t *testing.T) {
	t.Helper()
	for _, p := range slices.Concat(w.aggregates, w.ingests) {
		if p.Running() {
			p.ready(t)
		}
	}
}
