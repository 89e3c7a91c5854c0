package aggregator

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
	"reckoner/ledger"
)

const (
	testPartitions = 4
	testPartition  = 1
	// patience is how long a test waits for what must come. A test that passes never waits it out.
	patience = 20 * time.Second
)

func testLog() ledger.Log {
	return ledger.Log{
		Number: 1, Topic: bus.TopicEvents, Partitions: testPartitions,
		RegisteredAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
	}
}

// day is when the events of tests happen; it is the boundary of two billing periods, and lies inside a bucket.
func day() time.Time { return time.Date(2026, 3, 1, 10, 7, 0, 0, time.UTC) }

// accountIn returns the n-th account that belongs to a partition.
func accountIn(partition, n int) string {
	for i := 0; ; i++ {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012x", i)
		if bus.PartitionFor([]byte(id), testPartitions) != partition {
			continue
		}
		if n--; n < 0 {
			return id
		}
	}
}

func ptr[T any](v T) *T { return &v }

func milli(n int64) *reckoner.Quantity { return ptr(reckoner.Thousandths(n)) }

type change func(*reckoner.Event)

// usage returns a valid usage of so many thousandths of the additive meter "calls".
func usage(account, id string, thousandths int64, changes ...change) *reckoner.Event {
	e := &reckoner.Event{
		Rules: 1, Kind: reckoner.Usage, ID: id, AccountID: account,
		Written: reckoner.Written{Quantity: milli(thousandths), Source: "test"},
		Type:    "credit", Meter: reckoner.Meter{Name: "calls", Type: reckoner.Interval},
		UsageTime: day(), ReceivedAt: day().Add(time.Minute),
	}
	return with(e, changes)
}

// revert returns a valid revert of all of a usage.
func revert(account, id, usageID string, changes ...change) *reckoner.Event {
	e := &reckoner.Event{
		Rules: 1, Kind: reckoner.Revert, ID: id, AccountID: account,
		Written: reckoner.Written{UsageID: usageID}, ReceivedAt: day().Add(time.Hour),
	}
	return with(e, changes)
}

func with(e *reckoner.Event, changes []change) *reckoner.Event {
	for _, c := range changes {
		c(e)
	}
	if e.Kind == reckoner.Usage && e.Period == (reckoner.Period{}) {
		e.Period = periodOf(e.UsageTime)
	}
	return e
}

// periodOf returns the test's billing period of a time: days that begin and end at 10:07.
func periodOf(t time.Time) reckoner.Period {
	return reckoner.Cycle{Anchor: day(), Every: reckoner.Day}.At(t)
}

func at(t time.Time) change     { return func(e *reckoner.Event) { e.UsageTime = t } }
func waits(e *reckoner.Event)   { e.ReplyTo = "ingest-1" }
func partial(e *reckoner.Event) { e.Written.AcceptPartial = true }
func amount(thousandths int64) change {
	return func(e *reckoner.Event) { e.Written.Quantity = milli(thousandths) }
}

func meter(name string, t reckoner.MeterType) change {
	return func(e *reckoner.Event) { e.Meter = reckoner.Meter{Name: name, Type: t} }
}

// limited puts a usage under its subscription's limit.
func limited(subscription string, thousandths int64) change {
	return func(e *reckoner.Event) { e.SubscriptionID, e.Limit = subscription, milli(thousandths) }
}

// recordOf returns the record of an event, as ingest writes it.
func recordOf(t testing.TB, offset int64, e *reckoner.Event) Record {
	t.Helper()
	value, err := wire.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	return Record{Offset: offset, Key: []byte(e.AccountID), Value: value, Time: day()}
}

// recordsOf returns the records of events from an offset on.
func recordsOf(t testing.TB, from int64, events ...*reckoner.Event) []Record {
	t.Helper()
	recs := make([]Record, len(events))
	for i, e := range events {
		recs[i] = recordOf(t, from+int64(i), e)
	}
	return recs
}

// emptyBatch is the first of a log's partition.
func emptyBatch() *batch {
	return newBatch(void{}, ledger.Checkpoint{Log: 1, Partition: testPartition})
}

func testMachine() *machine {
	return &machine{log: testLog(), number: testPartition, partitionOf: bus.PartitionFor}
}

// same compares rows, quantities included.
func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if reflect.DeepEqual(want, got) {
		return // at a tenth of the cost
	}
	if d := diff(want, got); d != "" {
		t.Fatalf("%s: (-want +got)\n%s", what, d)
	}
}

func diff(want, got any) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b reckoner.Quantity) bool { return a == b }))
}

func testOptions(t testing.TB) storeOptions {
	cache := pebble.NewCache(16 << 20) // what a partition has of the default
	t.Cleanup(cache.Unref)
	return storeOptions{cache: cache, log: quiet()}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func testMetrics() *metrics { return newMetrics(prometheus.NewRegistry()) }

// within returns a context that ends when patience or the test does.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition until it holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
