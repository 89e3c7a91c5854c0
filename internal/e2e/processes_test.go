package e2e_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

func demoCatalog(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "configs", "catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestProcessesOneByOne runs what `dev` has in one as separate processes, with two aggregators, and stops each in turn.
func TestProcessesOneByOne(t *testing.T) {
	t.Parallel()
	o := countTrace(t, "trace-b.csv")
	i := newInstallation(t, setting("kafka.partitions", 6), setting("catalog.auto_accounts", demoOrg))
	engines := i.engines(t)
	i.migrate(t)
	i.migrate(t)
	i.want(t, "SELECT number, topic, partitions FROM logs", "1 usage.events 6")

	first, firstOps := i.aggregate(t, filepath.Join(i.dir, "first"))
	secondDir := filepath.Join(i.dir, "second")
	second, secondOps := i.aggregate(t, secondDir)
	eventually(t, time.Minute, func() string {
		const assigned = "reckoner_aggregator_assigned_partitions"
		if a, b := metric(t, firstOps, assigned), metric(t, secondOps, assigned); a != "3" || b != "3" {
			return fmt.Sprintf("of 6 partitions one aggregator has %s, the other %s", a, b)
		}
		return ""
	})
	ingest := i.ingest(t, demoCatalog(t))
	i.send(t, testdata(t, "trace-b.csv"))
	i.drain(t)
	i.wantTotals(t, o)

	// While usage comes in, an aggregator stops: the other one takes over what it had.
	load := i.load(t, 4)
	load.reach(t, 100)
	first.terminate(t)
	load.reach(t, 200)
	// Then ingest stops. It finishes what is in flight, and refuses the rest.
	ingest.terminate(t)
	stored := load.stop()
	n := i.drain(t)
	i.wantStored(t, stored)
	i.wantOnce(t, n)

	second.terminate(t)
	_, ops := i.aggregate(t, secondDir)
	eventually(t, time.Minute, func() string {
		if got := metric(t, ops, "reckoner_aggregator_assigned_partitions"); got != "6" {
			return "the restarted aggregator has " + got + " of 6 partitions"
		}
		return ""
	})
	i.ingest(t, demoCatalog(t))
	again := i.producer().post(t, createPath(load.account), usages(m{"id": stored[0], "amount": 1}), "Prefer", "wait=20")
	wantOutcomes(t, again, outcome{stored[0], "applied", "1", true})
	i.drain(t)
	i.wantStored(t, stored)
	_ = engines // stopped last, in good order, by its cleanup
}

// load is producers that send one usage of 1 after the other, and know which of them were acknowledged.
type load struct {
	account string
	done    chan struct{}
	work    sync.WaitGroup
	sent    atomic.Int64 // acknowledged

	mu     sync.Mutex
	stored []string
}

func (i *installation) load(t testing.TB, producers int) *load {
	t.Helper()
	l := &load{account: uuid.NewString(), done: make(chan struct{})}
	for range producers {
		a := i.producer()
		l.work.Go(func() {
			for {
				select {
				case <-l.done:
					return
				default:
					l.one(a)
				}
			}
		})
	}
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *load) one(a *api) {
	id := uuid.NewString()
	got, err := a.try("POST", createPath(l.account), usages(m{"id": id, "amount": 1}))
	if err != nil || got.status != 200 {
		return // nothing is promised
	}
	l.sent.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stored = append(l.stored, id)
}

// reach waits until so many more usages are acknowledged.
func (l *load) reach(t testing.TB, more int64) {
	t.Helper()
	goal := l.sent.Load() + more
	eventually(t, time.Minute, func() string {
		if got := l.sent.Load(); got < goal {
			return fmt.Sprintf("%d of %d usages are acknowledged", got, goal)
		}
		return ""
	})
}

// stop ends the load and returns the ids that were acknowledged.
func (l *load) stop() []string {
	l.mu.Lock()
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	l.mu.Unlock()
	l.work.Wait()
	return l.stored
}

// wantStored holds acknowledged ids against the ledger: each of them counts, once.
func (i *installation) wantStored(t testing.TB, ids []string) {
	t.Helper()
	counted := map[string]int{}
	for _, r := range i.rows(t, "SELECT event_id FROM usage_entries WHERE kind = 'usage'") {
		counted[r[0]]++
	}
	lost := 0
	for _, id := range ids {
		if counted[id] != 1 {
			if lost++; lost < 5 {
				t.Errorf("%s was acknowledged and counts %d times", id, counted[id])
			}
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged usages do not count once", lost, len(ids))
	}
}

// TestWhatCannotStartSaysWhy starts processes that must refuse, and say what to do.
func TestWhatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.dev(t)
	free := func(flag, addr string) []string {
		args := []string{"dev", "--data-dir", t.TempDir()}
		for _, f := range []string{"--listen", "--ops-listen", "--kafka-listen", "--clickhouse-listen"} {
			value := "127.0.0.1:0"
			if f == flag {
				value = addr
			}
			args = append(args, f, value)
		}
		return args
	}
	sameDir := append(free("", ""), "--data-dir", i.dir)
	port := func(addr string) string {
		_, p, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		name string
		env  []string
		args []string
		says []string
	}{
		{"dev on a data directory in use", nil, sameDir, []string{"in use", i.dir, "--data-dir"}},
		{"engines on a data directory in use", nil, []string{"engines", "--ops-listen", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0", "--data-dir", i.dir}, []string{"in use", i.dir, "--data-dir"}},
		{"aggregate on a data directory in use", nil, append([]string{"aggregate", "--ops-listen", "127.0.0.1:0", "--data-dir", i.dir}, i.at()...), []string{"in use", i.dir, "--data-dir"}},
		{"API port taken", nil, free("--listen", i.api), []string{"HTTP API", port(i.api), "address already in use", "set listen"}},
		{"operators' port taken", nil, free("--ops-listen", i.ops), []string{"ops", port(i.ops), "address already in use", "set ops_listen"}},
		{"Kafka port taken", nil, free("--kafka-listen", i.kafka), []string{port(i.kafka), "taken", "--kafka-listen"}},
		{"ClickHouse port taken", nil, free("--clickhouse-listen", i.clickhouse), []string{"ClickHouse", port(i.clickhouse), "address already in use", "set clickhouse.listen"}},
		{"unknown variable", []string{"RECKONER_INGEST_MAXAGE=0"}, free("", ""), []string{"RECKONER_INGEST_MAXAGE", "RECKONER_INGEST_MAX_AGE"}},
		{"bad value", []string{"RECKONER_INGEST_MAX_AGE=long"}, free("", ""), []string{"ingest.max_age", "RECKONER_INGEST_MAX_AGE", "long", "duration"}},
		{"catalog that is not there", nil, append(free("", ""), "--catalog", "gone.yaml"), []string{"gone.yaml", "no such file"}},
		{"unknown flag", nil, []string{"dev", "--port", "1"}, []string{"--port"}},
		{"no installation in a variable", nil, []string{"report", "--once", "--installation", ""}, []string{"--installation", "leave it out for all"}},
		{"no time in a variable", nil, []string{"report", "--at", ""}, []string{"--at", "2026-03-15T08:00:00Z"}},
		{"less than no entries", nil, []string{"report", "show", "icfg_1", "--day", "latest", "--limit", "-3"}, []string{"--limit -3", "0 for all"}},
		{"less than no differences", nil, []string{"report", "check", "--lines", "-1"}, []string{"--lines -1", "0 for all"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, p := run(t, c.env, c.args...)
			said := p.log.String()
			if status != 1 {
				t.Errorf("status %d, want 1", status)
			}
			lines := strings.Split(strings.TrimSpace(said), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "reckoner: ") {
				t.Errorf("the last line is not the error: %q", last)
			}
			for _, s := range c.says {
				if !strings.Contains(last, s) {
					t.Errorf("the error does not say %q: %s", s, last)
				}
			}
		})
	}
	// Whoever was there goes on.
	id := uuid.NewString()
	wantOutcomes(t, i.producer().post(t, createPath(demoAccount), usages(m{"id": id, "amount": 2}), "Prefer", "wait=20"),
		outcome{id, "applied", "2", false})
}
