package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"reckoner/internal/bus"
)

// exec changes the ledger behind everybody's back, and waits until it is done.
func (s *site) exec(sql string) {
	s.t.Helper()
	res, err := http.Post(s.clickhouse+"/?mutations_sync=2", "text/plain", strings.NewReader(sql))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s %v", sql, res.StatusCode, b, err)
	}
}

func (s *site) verify() (clean bool, out string) {
	s.t.Helper()
	var b bytes.Buffer
	p := s.process("3")
	clean, err := Verify(s.t.Context(), p, &b, nil)
	if err := p.End(err); err != nil {
		s.t.Fatalf("verify: %v\n%s", err, b.String())
	}
	return clean, b.String()
}

func (s *site) replay(o ReplayOptions) (string, error) {
	var b bytes.Buffer
	p := s.process("3")
	err := p.End(Replay(s.t.Context(), p, &b, o))
	return b.String(), err
}

func (s *site) mustReplay() {
	s.t.Helper()
	if out, err := s.replay(ReplayOptions{Partition: -1}); err != nil {
		s.t.Fatalf("replay: %v\n%s", err, out)
	}
}

// raw writes bytes into the log that are no event, under any key.
func (s *site) raw(keys ...string) {
	s.t.Helper()
	var recs []bus.Record
	for _, key := range keys {
		recs = append(recs, bus.Record{Key: []byte(key), Value: []byte("no event of " + key)})
	}
	producer := s.client.NewProducer(bus.ProducerOptions{})
	if err := producer.Produce(s.t.Context(), bus.TopicEvents, recs); err != nil {
		s.t.Fatal(err)
	}
	if err := producer.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.decided += len(recs)
}

// messages is a log that a test can read while it is written.
type messages struct {
	mu sync.Mutex
	b  strings.Builder
}

func (m *messages) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.Write(b)
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b.String()
}

// running is an aggregator at work.
type running struct {
	*Process
	said *messages
	stop func()
}

// run starts an aggregator on a data directory that may outlive it.
func (s *site) run(change func(*Process)) *running {
	s.t.Helper()
	r := &running{Process: s.process("3"), said: &messages{}}
	r.Log = slog.New(slog.NewTextHandler(r.said, nil))
	r.Settings.Aggregator.RetryBackoffMin, r.Settings.Aggregator.RetryBackoffMax = 20*time.Millisecond, 200*time.Millisecond
	r.Lifecycle = NewLifecycle(r.Log)
	if change != nil {
		change(r.Process)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	if err := Aggregate(ctx, r.Process); err != nil {
		cancel()
		s.t.Fatal(err)
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := r.Stop(r.Settings.Shutdown.Timeout); err != nil {
			s.t.Errorf("stop the aggregator: %v", err)
		}
	})
	s.t.Cleanup(r.stop)
	return r
}

// eventually polls until nothing is missing. Its patience is for busy machines; a test that passes does not wait it out.
func eventually(t *testing.T, missing func() string) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", why)
		}
	}
}

// awaitAll waits until everything that was written is decided.
func (s *site) awaitAll() {
	s.t.Helper()
	eventually(s.t, func() string {
		got := s.query("SELECT (SELECT count() FROM reckoner.usage_entries) + (SELECT count() FROM reckoner.usage_refusals)")
		if got == fmt.Sprint(s.decided) {
			return ""
		}
		return fmt.Sprintf("%s of %d events are decided", got, s.decided)
	})
}

// odd are keys that sort in their own ways.
func odd() []string {
	return []string{"", "\x00", "a", "a\x00", "a\x00b", "a\x01", "é", "\xff\xfe", "\xc3\x28", "ｚ", "😀"}
}

// ready is a site whose ledger holds usages, duplicates, reverts, refused reverts and records that are no events.
func readySite(t *testing.T) *site {
	s := newSite(t)
	if err := s.do(Migrate, "3"); err != nil {
		t.Fatal(err)
	}
	s.write(20, "a", "")
	s.raw(odd()...)
	s.write(20, "a", "")
	s.write(20, "b", "a")
	s.write(20, "c", "a") // the reverts have the ids of those before them
	s.drain()
	return s
}

// On the real engines: every kind of damage to one row is found, named, and nothing else; what can be written again,
// replay mends.
func TestVerifyAndReplayOnTheRealEngines(t *testing.T) {
	s := readySite(t)
	s.proven()
	row := func(sql string) []string { return strings.Split(s.query(sql), "\t") }
	entry := row("SELECT partition, offset, event_id, account_id FROM reckoner.usage_entries WHERE kind = 'usage' AND event_id = 'b' ORDER BY account_id LIMIT 1")
	refusal := row("SELECT partition, offset FROM reckoner.usage_refusals WHERE outcome = 'undecodable' AND event_id = '' AND account_id = 'a\\0' LIMIT 1")
	at := func(r []string) string { return fmt.Sprintf("partition = %s AND offset = %s", r[0], r[1]) }
	position := func(r []string) string { return fmt.Sprintf("1/%s/%s.0", r[0], r[1]) }
	total := fmt.Sprintf("account_id = '%s'", entry[3])
	for _, tt := range []struct {
		name, damage, mend string // mend: what replay cannot do
		says               []string
	}{
		{"entry deleted", "ALTER TABLE reckoner.entries DELETE WHERE " + at(entry), "", []string{"entries", position(entry), `id "b"`, "missing in the ledger"}},
		{"total changed", "ALTER TABLE reckoner.totals UPDATE quantity = quantity + 0.001 WHERE " + total, "", []string{"totals", entry[3], "quantity is"}},
		{"total deleted", "ALTER TABLE reckoner.totals DELETE WHERE " + total, "", []string{"totals", entry[3], "missing in the ledger"}},
		{"total too old", "ALTER TABLE reckoner.totals UPDATE offset = 1 WHERE " + total, "", []string{"totals", entry[3], "stands at offset 1; the log changes it at offset"}},
		{"refusal deleted", "ALTER TABLE reckoner.refusals DELETE WHERE " + at(refusal), "", []string{"refusals", position(refusal), "missing in the ledger", `"a\x00"`}},
		{"refusal changed", "ALTER TABLE reckoner.refusals UPDATE reason = 'because' WHERE " + at(refusal), "", []string{"refusals", position(refusal), `reason is "because"`}},
		{"entry made up", "INSERT INTO reckoner.entries SELECT * REPLACE ('made up' AS event_id) FROM reckoner.entries FINAL WHERE " + at(entry),
			"ALTER TABLE reckoner.entries DELETE WHERE event_id = 'made up'", []string{"entries", position(entry), `id "made up"`, "second row"}},
		{"entry of no log", "INSERT INTO reckoner.entries SELECT * REPLACE (toUInt32(9) AS log) FROM reckoner.entries FINAL WHERE " + at(entry),
			"ALTER TABLE reckoner.entries DELETE WHERE log = 9", []string{"entries", "9/" + entry[0], "no log was registered"}},
		{"metadata damaged", "ALTER TABLE reckoner.entries UPDATE metadata_json = [true] WHERE " + at(entry), "", []string{"entries", position(entry), `id "b"`, "cannot be read: metadata: 0 keys, 0 values, 1 marks"}},
		{"total's version raised", "INSERT INTO reckoner.totals SELECT * REPLACE (bitNot(toUInt128(0)) AS version) FROM reckoner.totals FINAL WHERE " + total,
			"ALTER TABLE reckoner.totals DELETE WHERE version = bitNot(toUInt128(0))", []string{"totals", entry[3], `version is "not that of its position"`}},
		{"checkpoint changed", "ALTER TABLE reckoner.checkpoints UPDATE entries_digest = entries_digest + 1 WHERE partition = 1", "", []string{"checkpoints", "1/1", "entries_digest is"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			s.exec(tt.damage)
			clean, out := s.verify()
			if deletes := strings.Contains(out, ": 1 difference; delete 1 in ClickHouse"); clean || !strings.Contains(out, ": 1 difference;") || deletes != (tt.mend != "") {
				t.Errorf("want one difference:\n%s", out)
			}
			for _, want := range tt.says {
				if !strings.Contains(out, want) {
					t.Errorf("does not say %q:\n%s", want, out)
				}
			}
			if tt.mend != "" {
				s.exec(tt.mend)
			}
			s.mustReplay()
		})
	}
	s.t = t
	s.proven() // and what was not mended would have been in the next case's way
}

// Events go on coming in and being decided while the ledger is verified, and while it is written again.
func TestVerifyAndReplayBesideARunningAggregator(t *testing.T) {
	s := readySite(t)
	r := s.run(nil)
	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				s.write(20, fmt.Sprint("r", i), fmt.Sprint("r", i-1))
			}
		}
	})
	for range 3 {
		s.proven()
		s.mustReplay()
	}
	close(done)
	writing.Wait()
	s.awaitAll()
	s.proven()
	r.stop()
	s.proven()
}

// Where the log has lost its begin, verify says what it took from the ledger, and replay writes what is left.
func TestVerifyAndReplayOfALogWithoutItsBegin(t *testing.T) {
	s := readySite(t)
	for number := range 3 {
		_, next, err := s.client.Offsets(t.Context(), bus.TopicEvents, number)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.broker.DeleteRecords(bus.TopicEvents, number, next/2); err != nil {
			t.Fatal(err)
		}
	}
	clean, out := s.verify()
	if !clean || strings.Count(out, "was taken from the ledger and checked for consistency only") != 3 {
		t.Errorf("verify:\n%s", out)
	}
	out, err := s.replay(ReplayOptions{Partition: -1})
	if err != nil || strings.Count(out, "rows below it were read from the ledger and not written") != 3 {
		t.Errorf("replay: %v\n%s", err, out)
	}
	s.proven()
	s.exec("ALTER TABLE reckoner.refusals DELETE WHERE outcome = 'undecodable' AND offset < 14")
	if clean, out := s.verify(); clean || !strings.Contains(out, "not compared: the ledger's rows do not match its checkpoint") {
		t.Errorf("verify of rows that are incomplete:\n%s", out)
	}
	if out, err := s.replay(ReplayOptions{Partition: -1}); err == nil || !strings.Contains(err.Error(), "are gone from the log") {
		t.Errorf("replay on top of rows that are incomplete: %v\n%s", err, out)
	}
}
