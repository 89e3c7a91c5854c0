package app

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
)

func (s *site) list(o DeadLetterListOptions) string {
	s.t.Helper()
	var out bytes.Buffer
	p := s.process("3")
	if err := p.End(ListDeadLetters(s.t.Context(), p, &out, o)); err != nil {
		s.t.Fatal(err)
	}
	return out.String()
}

func (s *site) show(position string) (string, error) {
	var out bytes.Buffer
	p := s.process("3")
	err := p.End(ShowDeadLetter(s.t.Context(), p, &out, position))
	return out.String(), err
}

func (s *site) requeue(position string) (all bool, out string) {
	s.t.Helper()
	var b bytes.Buffer
	p := s.process("3")
	all, err := RequeueDeadLetters(s.t.Context(), p, &b, position)
	if err := p.End(err); err != nil {
		s.t.Fatalf("requeue: %v\n%s", err, b.String())
	}
	return all, b.String()
}

// bury writes records to the dead letter topic, as an aggregator does.
func (s *site) bury(recs ...bus.Record) {
	s.t.Helper()
	producer := s.client.NewProducer(bus.ProducerOptions{})
	if err := producer.Produce(s.t.Context(), bus.TopicDeadLetter, recs); err != nil {
		s.t.Fatal(err)
	}
	if err := producer.Close(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// buried is a dead letter of a position that carries a value.
func buried(position string, value []byte, more ...bus.Header) bus.Record {
	return bus.Record{Key: []byte("some key"), Value: value, Headers: append([]bus.Header{
		{Key: "reckoner-reason", Value: []byte("an older build could not read it")},
		{Key: "reckoner-position", Value: []byte(position)},
		{Key: "reckoner-time", Value: []byte("2026-05-01T12:00:00.000Z")},
	}, more...)}
}

func dayUsage(id string, quantity int64) *reckoner.Event {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	q := reckoner.Units(quantity)
	return &reckoner.Event{
		Rules: reckoner.Rules, Kind: reckoner.Usage, ID: id, AccountID: account(1), ReceivedAt: at, Type: "credit",
		Meter: reckoner.Meter{Name: "credit", Type: reckoner.Interval}, UsageTime: at, Period: reckoner.Cycle{}.At(at),
		Written: reckoner.Written{Quantity: &q, Source: "a source"}, Metadata: []reckoner.Label{{Key: "region", Value: "eu\x1b[2J"}},
	}
}

// What an aggregator buried is listed once each, in full where it is shown, and refused again where it still is no event.
func TestDeadLettersOfARunningAggregator(t *testing.T) {
	s := newSite(t)
	if err := s.do(Migrate, "3"); err != nil {
		t.Fatal(err)
	}
	s.raw("plain", "plain", "\x1b[31m", "")
	invalid := dayUsage("", 5) // it can be read, and is not valid
	s.bury(bus.Record{Key: []byte("of somebody else"), Value: []byte("x")})
	value, err := wire.EncodeEvent(invalid)
	if err != nil {
		t.Fatal(err)
	}
	producer := s.client.NewProducer(bus.ProducerOptions{})
	rec := bus.Record{Key: []byte(account(1)), Value: value, Headers: []bus.Header{{Key: "trace", Value: []byte("t-1")}}}
	if err := producer.Produce(t.Context(), bus.TopicEvents, []bus.Record{rec}); err != nil {
		t.Fatal(err)
	}
	if err := producer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.decided++
	s.drain()

	all := s.list(DeadLetterListOptions{Partition: -1})
	positions := regexp.MustCompile(`(?m)^1/\d+/\d+\.0`).FindAllString(all, -1)
	if len(positions) != 5 || strings.Contains(all, "\x1b") || !strings.Contains(all, `"\x1b[31m"`) || !strings.Contains(all, "not a protobuf") {
		t.Errorf("list:\n%s", all)
	}
	found := 0
	for partition := range int32(3) {
		found += strings.Count(s.list(DeadLetterListOptions{Partition: partition}), fmt.Sprintf("\n1/%d/", partition))
	}
	if found != 5 {
		t.Errorf("%d dead letters by partition, want 5", found)
	}
	if few := s.list(DeadLetterListOptions{Partition: -1, Limit: 2}); strings.Count(few, "\n1/") != 2 || !strings.Contains(few, "--limit 0") {
		t.Errorf("list of two:\n%s", few)
	}
	shown := false
	for _, position := range positions {
		out, err := s.show(position)
		if err != nil || !strings.Contains(out, "would be refused again") {
			t.Errorf("show %s: %v\n%s", position, err, out)
		}
		if strings.Contains(out, "header trace") {
			shown = true
			for _, want := range []string{"t-1", "id: missing", "event account_id", account(1), `event metadata region  "eu\x1b[2J"`, "|"} {
				if !strings.Contains(out, want) {
					t.Errorf("show does not say %q:\n%s", want, out)
				}
			}
		}
	}
	if !shown {
		t.Error("the invalid event was not among them")
	}
	if ok, out := s.requeue(""); ok || !strings.Contains(out, "0 written to usage.events again, 5 would be refused again") {
		t.Errorf("requeue all: %v\n%s", ok, out)
	}
	if ok, out := s.requeue(positions[0]); ok || !strings.Contains(out, positions[0]+": would be refused again: ") {
		t.Errorf("requeue one: %v\n%s", ok, out)
	}
	for _, position := range []string{"1/0/999.0", "nowhere"} {
		if out, err := s.show(position); err == nil {
			t.Errorf("show %s:\n%s", position, out)
		}
	}
	s.proven()
}

// What this build can read goes back to the log, under the account's key, and counts once, however often.
func TestRequeuedDeadLettersCountOnce(t *testing.T) {
	s := newSite(t)
	if err := s.do(Migrate, "3"); err != nil {
		t.Fatal(err)
	}
	good, err := wire.EncodeEvent(dayUsage("late", 7))
	if err != nil {
		t.Fatal(err)
	}
	newer := dayUsage("newer", 1)
	newer.Rules++
	future, err := wire.EncodeEvent(newer)
	if err != nil {
		t.Fatal(err)
	}
	s.raw("kept in the log") // the contents of the dead letter without contents
	partition := bus.PartitionFor([]byte("kept in the log"), 3)
	size := len("no event of kept in the log")
	s.bury(buried("1/0/77.0", good), buried("1/0/77.0", good), buried("1/0/78.0", future),
		buried(fmt.Sprintf("1/%d/0.0", partition), nil, bus.Header{Key: "reckoner-omitted", Value: []byte(fmt.Sprint(size))}),
		buried(fmt.Sprintf("1/%d/0.1", partition), nil, bus.Header{Key: "reckoner-omitted", Value: []byte("5")}))
	if out := s.list(DeadLetterListOptions{Partition: -1}); strings.Count(out, "1/0/77.0") != 1 {
		t.Errorf("two copies are listed:\n%s", out)
	}
	if out, err := s.show("1/0/77"); err != nil || !strings.Contains(out, "this build would take it") {
		t.Errorf("show: %v\n%s", err, out)
	}
	if out, err := s.show(fmt.Sprintf("1/%d/0.0", partition)); err != nil || !strings.Contains(out, "|no event of kept|") {
		t.Errorf("show contents from the log: %v\n%s", err, out)
	}
	if out, err := s.show(fmt.Sprintf("1/%d/0.1", partition)); err == nil || !strings.Contains(err.Error(), "holds another record") {
		t.Errorf("show contents that the log does not have: %v\n%s", err, out)
	}
	if ok, out := s.requeue("1/0/77"); !ok || !strings.Contains(out, "1/0/77.0: written again") {
		t.Errorf("requeue: %v\n%s", ok, out)
	}
	ok, out := s.requeue("")
	if ok || !strings.Contains(out, "1 written to usage.events again, 3 would be refused again") || !strings.Contains(out, "decision rules 2") {
		t.Errorf("requeue all: %v\n%s", ok, out)
	}
	s.decided += 2
	s.drain()
	if got := s.query("SELECT event_id, outcome, quantity FROM reckoner.usage_entries"); got != "late\tapplied\t7" {
		t.Errorf("entries: %s", got)
	}
	if got := s.query("SELECT event_id, outcome FROM reckoner.usage_refusals WHERE outcome != 'undecodable'"); got != "late\tduplicate" {
		t.Errorf("refusals: %s", got)
	}
	s.proven()
}
