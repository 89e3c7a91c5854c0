package e2e_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// flood is producers that send large requests, and know what they were told about each.
type flood struct {
	account string
	done    chan struct{}
	work    sync.WaitGroup
	busy    atomic.Int64 // answers of 503
	slow    atomic.Int64 // of these, after a wait

	mu     sync.Mutex
	stored []string
	oks    atomic.Int64
	wrong  []string // answers that are neither a success nor a proper 503
}

const floodUsages = 200

func (i *installation) flood(t testing.TB, producers int) *flood {
	t.Helper()
	f := &flood{account: uuid.NewString(), done: make(chan struct{})}
	for range producers {
		a := i.producer()
		f.work.Go(func() {
			for {
				select {
				case <-f.done:
					return
				default:
					f.one(a)
				}
			}
		})
	}
	t.Cleanup(f.stop)
	return f
}

func (f *flood) one(a *api) {
	list, ids := manyUsages(floodUsages, 1)
	for _, u := range list {
		u["description"] = strings.Repeat("x", 2000)
	}
	started := time.Now()
	got, err := a.try("POST", createPath(f.account), usages(list...))
	switch {
	case err != nil:
		f.note(err.Error())
	case got.status == 200:
		f.oks.Add(1)
		f.mu.Lock()
		f.stored = append(f.stored, ids...)
		f.mu.Unlock()
	case got.status == 503 && got.header.Get("Retry-After") != "" && strings.HasPrefix(got.body, `{"code":14,"message":"`):
		f.busy.Add(1)
		if time.Since(started) > time.Second {
			f.slow.Add(1)
		} else {
			<-time.After(20 * time.Millisecond) // far less than it is asked to wait
		}
	default:
		f.note(got.String())
	}
}

func (f *flood) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong = append(f.wrong, what)
}

func (f *flood) stop() {
	f.mu.Lock()
	select {
	case <-f.done:
	default:
		close(f.done)
	}
	f.mu.Unlock()
	f.work.Wait()
}

// reach waits until a counter has grown by so much.
func (f *flood) reach(t testing.TB, what string, counter *atomic.Int64, more int64) {
	t.Helper()
	goal := counter.Load() + more
	eventually(t, time.Minute, func() string {
		if got := counter.Load(); got < goal {
			return fmt.Sprintf("%s: %d of %d", what, got, goal)
		}
		return ""
	})
}

// TestKafkaStandsStill freezes the engines under load, lets them go on, and kills them: what was acknowledged counts
// once, what was not is answered as the table says, and memory stays bounded. Nobody but the engines is restarted.
func TestKafkaStandsStill(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, setting("kafka.partitions", 2), setting("catalog.auto_accounts", demoOrg),
		setting("ingest.produce_timeout", "2s"), setting("ingest.inflight_bytes_max", "8MiB"), setting("kafka.request_timeout", "2s"),
		setting("kafka.dial_timeout", "1s"), setting("aggregator.retry_backoff_max", "500ms"), setting("clickhouse.insert_timeout", "5s"))
	engines := i.engines(t)
	i.migrate(t)
	ingest := i.ingest(t, demoCatalog(t))
	aggregate, ops := i.aggregate(t, filepath.Join(i.dir, "aggregator"))

	f := i.flood(t, 40) // 16 MiB and more at once, of 8 that are allowed
	f.reach(t, "acknowledged before the stop", &f.oks, 10)
	engines.signal(t, syscall.SIGSTOP)
	f.reach(t, "answers of 503", &f.busy, 200)
	f.reach(t, "503 after the produce timeout", &f.slow, 10)
	frozen := f.oks.Load()
	f.reach(t, "503 after the produce timeout", &f.slow, 10)
	if got := f.oks.Load(); got != frozen {
		t.Errorf("%d requests were acknowledged while nothing could store them", got-frozen)
	}
	if status, body := get("http://" + i.ops + "/readyz"); status != 503 || !strings.Contains(body, "kafka") {
		t.Errorf("readyz of an ingest without Kafka: %d %s", status, body)
	}
	if status, _ := get("http://" + i.ops + "/healthz"); status != 200 {
		t.Errorf("healthz: %d: a restart would not bring Kafka back", status)
	}
	i.bounded(t)
	engines.signal(t, syscall.SIGCONT)
	f.reach(t, "acknowledged after the stop", &f.oks, 10)

	engines.kill(t)
	f.reach(t, "answers of 503 without engines", &f.busy, 100)
	i.bounded(t)
	i.engines(t)
	f.reach(t, "acknowledged after the engines came back", &f.oks, 10)
	f.stop()
	i.ready(t, ingest, i.ops)
	i.ready(t, aggregate, ops)

	if len(f.wrong) > 0 {
		t.Errorf("%d answers are neither 200 nor a proper 503, such as %s", len(f.wrong), f.wrong[0])
	}
	n := i.drain(t)
	i.wantStored(t, f.stored)
	i.wantOnce(t, n)
	t.Logf("%d requests acknowledged, %d answered 503, %d records", f.oks.Load(), f.busy.Load(), n)
	i.want(t, "SELECT quantity = (SELECT count() FROM usage_entries), events = quantity FROM account_totals", "1 1")
}

// bounded holds the memory of ingest against a bound far above what it may hold, and far below what is thrown at it.
func (i *installation) bounded(t testing.TB) {
	t.Helper()
	const mib = 1 << 20
	text := metric(t, i.ops, "process_resident_memory_bytes")
	resident, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(resident) {
		t.Fatalf("process_resident_memory_bytes is %q", text)
	}
	t.Logf("ingest holds %d MiB", int(resident/mib))
	if resident > 700*mib {
		t.Errorf("ingest holds %d MiB", int(resident/mib))
	}
	inflight, err := strconv.ParseFloat(metric(t, i.ops, "reckoner_ingest_inflight_bytes"), 64)
	if err != nil || inflight > 8*mib {
		t.Errorf("bodies hold %v bytes of the 8 MiB that are allowed (%v)", inflight, err)
	}
}
