package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/config"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
	"reckoner/internal/embedded/chdb/chdbtest"
	"reckoner/internal/wire"
)

// site is a pair of engines with the commands that run against them.
type site struct {
	t          *testing.T
	broker     *broker.Broker
	clickhouse string
	client     *bus.Client
	dir        string
	partitions int // of the log
	decided    int // events in the ledger
}

func newSite(t *testing.T) *site {
	s := &site{t: t, broker: brokertest.Start(t), clickhouse: chdbtest.Start(t), dir: t.TempDir(), partitions: 3}
	client, err := bus.Open(bus.Options{Brokers: []string{s.broker.Addr()}, MetadataTTL: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s.client = client
	return s
}

func (s *site) process(partitions string) *Process {
	settings, err := config.Load(config.Source{Environ: []string{
		"RECKONER_KAFKA_BROKERS=" + s.broker.Addr(), "RECKONER_CLICKHOUSE_URL=" + s.clickhouse, "RECKONER_OPS_LISTEN=127.0.0.1:0",
		"RECKONER_DATA_DIR=" + s.dir, "RECKONER_KAFKA_PARTITIONS=" + partitions, "RECKONER_AGGREGATOR_FLUSH_INTERVAL=60ms",
		"RECKONER_CONFIG=" + filepath.Join("..", "..", "configs", "reckoner.yaml"),
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return NewProcess(settings, quiet)
}

func (s *site) do(what func(context.Context, *Process) error, partitions string) error {
	p := s.process(partitions)
	return p.End(what(s.t.Context(), p))
}

func (s *site) newLog(o NewLogOptions) error {
	_, err := s.migrateNewLog(o)
	return err
}

// migrateNewLog is newLog with what it prints.
func (s *site) migrateNewLog(o NewLogOptions) (string, error) {
	var out bytes.Buffer
	err := s.do(func(ctx context.Context, p *Process) error { return NewLog(ctx, p, &out, o) }, "3")
	return out.String(), err
}

// write puts usages of accounts 0 to n-1 into the log, one each, under ids that name the round, and a revert of the
// usage of an earlier round for every third.
func (s *site) write(n int, round, reverts string) {
	s.t.Helper()
	var recs []bus.Record
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for i := range n {
		q := reckoner.Units(int64(1 + i))
		e := &reckoner.Event{
			Rules: reckoner.Rules, Kind: reckoner.Usage, ID: round, AccountID: account(i), ReceivedAt: at, Type: "credit",
			Meter: reckoner.Meter{Name: "credit", Type: reckoner.Interval}, UsageTime: at, Period: reckoner.Cycle{}.At(at),
			Written: reckoner.Written{Quantity: &q},
		}
		recs = append(recs, s.record(e))
		if reverts != "" && i%3 == 0 {
			recs = append(recs, s.record(&reckoner.Event{
				Rules: reckoner.Rules, Kind: reckoner.Revert, ID: "of " + reverts, AccountID: account(i), ReceivedAt: at,
				Written: reckoner.Written{UsageID: reverts},
			}))
		}
	}
	producer := s.client.NewProducer(bus.ProducerOptions{Partitions: map[string]int{bus.TopicEvents: s.partitions}})
	for {
		err := producer.Produce(s.t.Context(), bus.TopicEvents, recs)
		if changed, ok := errors.AsType[*bus.PartitionsChangedError](err); ok && changed.Was == s.partitions {
			continue // the client has not looked again yet
		}
		if err != nil {
			s.t.Fatal(err)
		}
		break
	}
	if err := producer.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.decided += len(recs)
}

func (s *site) record(e *reckoner.Event) bus.Record {
	value, err := wire.EncodeEvent(e)
	if err != nil {
		s.t.Fatal(err)
	}
	return bus.Record{Key: []byte(e.AccountID), Value: value}
}

func account(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }

// drain runs an aggregator until every event is decided, and stops it.
func (s *site) drain() {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	p := s.process("3")
	go func() { done <- Run(ctx, p.Settings, quiet, Aggregate) }()
	want := fmt.Sprint(s.decided)
	deadline := time.Now().Add(30 * time.Second)
	for s.query("SELECT (SELECT count() FROM reckoner.usage_entries) + (SELECT count() FROM reckoner.usage_refusals)") != want {
		select {
		case err := <-done:
			s.t.Fatalf("the aggregator ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s of %s events are decided", s.query("SELECT count() FROM reckoner.usage_entries"), want)
		}
	}
	if err := s.newLog(NewLogOptions{}); err == nil || !strings.Contains(err.Error(), "at work") {
		s.t.Errorf("a new log beside an aggregator of the old one: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) query(sql string) string {
	s.t.Helper()
	res, err := http.Get(s.clickhouse + "/?query=" + url.QueryEscape(sql))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s %v", sql, res.StatusCode, b, err)
	}
	return strings.TrimSpace(string(b))
}

// proven holds the ledger against the log.
func (s *site) proven() {
	s.t.Helper()
	var out bytes.Buffer
	p := s.process("3")
	clean, err := Verify(s.t.Context(), p, &out, nil)
	if err := p.End(err); err != nil || !clean {
		s.t.Errorf("verify: %v\n%s", err, out.String())
	}
}

// Round "a" is counted by the first log. Rounds after it repeat it, revert it and add to it under the next log.
func (s *site) checkTotals(want map[string]string) {
	s.t.Helper()
	for what, sql := range map[string]string{
		"total":      "SELECT sum(quantity) FROM reckoner.account_totals",
		"duplicates": "SELECT count() FROM reckoner.usage_refusals WHERE outcome = 'duplicate'",
		"misrouted":  "SELECT count() FROM reckoner.usage_refusals WHERE outcome = 'misrouted'",
		"reverted":   "SELECT count() FROM reckoner.usage_entries WHERE outcome = 'reverted'",
		"logs":       "SELECT max(log) FROM reckoner.usage_entries",
	} {
		if got := s.query(sql); got != want[what] {
			s.t.Errorf("%s: %s, want %s", what, got, want[what])
		}
	}
}

func TestANewLogAfterPartitionsWereAdded(t *testing.T) {
	s := newSite(t)
	if err := s.do(Migrate, "3"); err != nil {
		t.Fatal(err)
	}
	s.write(30, "a", "")
	if err := s.newLog(NewLogOptions{Partitions: 8}); err == nil || !strings.Contains(err.Error(), "not drained") {
		t.Fatalf("a log that is not drained: %v", err)
	}
	s.drain()
	if err := s.newLog(NewLogOptions{Partitions: 8}); err != nil {
		t.Fatal(err)
	}
	s.partitions = 8
	s.write(30, "a", "") // every one a duplicate, most of them in other partitions than before
	s.write(30, "b", "a")
	s.drain()
	// 1 + … + 30 twice, less every third of the first.
	s.checkTotals(map[string]string{"total": fmt.Sprint(2*465 - 145), "duplicates": "30", "misrouted": "0", "reverted": "10", "logs": "2"})
	s.proven()
}

func TestANewLogAfterTheTopicWasCreatedAnew(t *testing.T) {
	s := newSite(t)
	if err := s.do(Migrate, "3"); err != nil {
		t.Fatal(err)
	}
	s.write(30, "a", "")
	s.drain()
	if err := s.newLog(NewLogOptions{Recreated: true}); err == nil || !strings.Contains(err.Error(), "still holds") {
		t.Errorf("a topic that was not created anew: %v", err)
	}
	s.broker.DeleteTopic(bus.TopicEvents)
	if err := s.client.EnsureTopics(t.Context(), bus.Topics(5, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.newLog(NewLogOptions{}); err == nil || !strings.Contains(err.Error(), "--recreated") {
		t.Errorf("a topic that was created anew, unconfirmed: %v", err)
	}
	if err := s.newLog(NewLogOptions{Recreated: true}); err != nil {
		t.Fatal(err)
	}
	s.partitions = 5
	s.write(30, "a", "")
	s.write(30, "b", "a")
	s.drain()
	s.checkTotals(map[string]string{"total": fmt.Sprint(2*465 - 145), "duplicates": "30", "misrouted": "0", "reverted": "10", "logs": "2"})
	s.proven()
}
