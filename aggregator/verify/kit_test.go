package verify

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/aggregator"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
	"reckoner/ledger"
)

const partitions = 2

// memLog is a log in memory, as an aggregator.Source.
type memLog struct {
	recs  [partitions][]aggregator.Record
	first [partitions]int64 // what retention left
}

// Offsets implements aggregator.Source.
func (l *memLog) Offsets(ctx context.Context, partition int32) (first, next int64, err error) {
	return l.first[partition], int64(len(l.recs[partition])), ctx.Err()
}

// Record implements aggregator.Source.
func (l *memLog) Record(_ context.Context, partition int32, offset int64) (aggregator.Record, error) {
	return l.recs[partition][offset], nil
}

// Open implements aggregator.Source.
func (l *memLog) Open(_ context.Context, partition int32, from int64) (aggregator.Reader, error) {
	if first, next := l.first[partition], int64(len(l.recs[partition])); from < first || from > next {
		return nil, &bus.OutOfRangeError{Partition: int(partition), Want: from, First: first, Next: next}
	}
	return &memReader{log: l, partition: partition, next: from}, nil
}

type memReader struct {
	log       *memLog
	partition int32
	next      int64
}

// Fetch implements aggregator.Reader.
func (r *memReader) Fetch(ctx context.Context) ([]aggregator.Record, int64, error) {
	all := r.log.recs[r.partition]
	recs := slices.Clone(all[r.next:min(int64(len(all)), r.next+1000)])
	r.next += int64(len(recs))
	return recs, int64(len(all)), ctx.Err()
}

// world is a log, and the ledger that it gives.
type world struct {
	t      testing.TB
	log    *memLog
	ledger *memLedger
	temp   string
	fs     vfs.FS // nil: the disk
	rand   *rand.Rand
	ids    int
	usages [partitions][]*reckoner.Event
}

func newWorld(t testing.TB, seed uint64, records int) *world {
	t.Helper()
	registered := ledger.Log{Number: 1, Topic: bus.TopicEvents, Partitions: partitions, RegisteredAt: now()}
	w := &world{
		t: t, log: &memLog{}, ledger: &memLedger{t: t, log: registered}, temp: t.TempDir(), fs: vfs.NewMem(), rand: rand.New(rand.NewPCG(seed, 1)),
	}
	w.produce(records)
	return w
}

func now() time.Time { return time.Date(2026, 3, 1, 10, 7, 0, 0, time.UTC) }

func (w *world) replay() aggregator.Replay {
	return aggregator.Replay{
		Log: w.ledger.log, Source: w.log, Partitioner: bus.PartitionFor, Restorer: w.ledger, TempDir: w.temp, FS: w.fs, Slog: slog.New(slog.DiscardHandler),
	}
}

func (w *world) verify(l *memLedger) *Report {
	w.t.Helper()
	r, err := Run(w.t.Context(), w.options(l))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) options(l *memLedger) Options {
	o := Options{Replay: w.replay(), Ledger: l, Slog: slog.New(slog.DiscardHandler)}
	o.Replay.Restorer = l
	if l.asked != nil { // what it does, it does to a ledger that nobody else reads meanwhile
		o.Parallel = 1
	}
	return o
}

// settle writes what the log gives, up to an offset of a partition, as an aggregator would: of each total the newest.
func (w *world) settle(partition int32, to int64, parts ...string) {
	w.t.Helper()
	r := w.replay()
	// The state comes from the log alone, whatever was done to its begin or to the ledger since.
	whole := *w.log
	whole.first = [partitions]int64{}
	r.Source = &whole
	err := r.Partition(w.t.Context(), partition, to, aggregator.Visitor{Batch: func(b *aggregator.Replayed) error {
		rows := ledger.Batch{Entries: b.Entries, Refusals: b.Refusals, Totals: b.Totals, Checkpoints: []ledger.Checkpoint{b.Checkpoint}}
		if len(parts) > 0 && !slices.Contains(parts, "totals") {
			rows.Totals = nil
		}
		if len(parts) > 0 {
			rows.Checkpoints = nil
		}
		w.ledger.write(&rows)
		return nil
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// settleAll writes all that the log gives.
func (w *world) settleAll() {
	w.t.Helper()
	for p := range int32(partitions) {
		w.settle(p, int64(len(w.log.recs[p])))
	}
}

func (w *world) produce(records int) {
	w.t.Helper()
	for range records {
		w.one()
	}
}

// one appends a record to a partition: a usage, a revert, a repetition or bytes that are no event.
func (w *world) one() {
	p := w.rand.IntN(partitions)
	switch n := w.rand.IntN(12); {
	case n == 0:
		w.append(p, w.oddKey(), []byte("no event"))
	case n == 1:
		key := w.account(1 - p) // misrouted
		e := w.usage(1 - p)
		e.AccountID = key
		w.encoded(p, e)
	case n <= 4 && len(w.usages[p]) > 0:
		u := w.usages[p][w.rand.IntN(len(w.usages[p]))]
		w.encoded(p, &reckoner.Event{
			Rules: 1, Kind: reckoner.Revert, ID: w.id(), AccountID: u.AccountID, Written: reckoner.Written{UsageID: u.ID}, ReceivedAt: now(),
		})
	case n == 5 && len(w.usages[p]) > 0:
		w.encoded(p, w.usages[p][w.rand.IntN(len(w.usages[p]))])
	default:
		e := w.usage(p)
		w.usages[p] = append(w.usages[p], e)
		w.encoded(p, e)
	}
}

// oddKey is a key of any bytes: it becomes the account of a refusal.
func (w *world) oddKey() []byte {
	keys := []string{"", "\x00", "a", "a\x00", "a\x00\x00", "a\x00\xff", "a\x01", "\xff\xfe", "a\x00b", "é", "a\xc3\x28"}
	return []byte(keys[w.rand.IntN(len(keys))])
}

func (w *world) id() string {
	w.ids++
	return fmt.Sprintf("id-%d", w.ids)
}

func (w *world) account(partition int) string {
	for {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012x", w.rand.IntN(12))
		if bus.PartitionFor([]byte(id), partitions) == partition {
			return id
		}
	}
}

func (w *world) usage(partition int) *reckoner.Event {
	q := reckoner.Thousandths(1 + w.rand.Int64N(5000))
	at := now().Add(time.Duration(w.rand.IntN(3)) * 10 * time.Minute)
	e := &reckoner.Event{
		Rules: 1, Kind: reckoner.Usage, ID: w.id(), AccountID: w.account(partition), Written: reckoner.Written{Quantity: &q, Source: "test"},
		Type: "credit", UsageTime: at, ReceivedAt: at, Period: reckoner.Cycle{}.At(at), Description: "a call",
		Metadata: []reckoner.Label{{Key: "region", Value: "eu"}},
	}
	e.Meter = []reckoner.Meter{{Name: "calls", Type: reckoner.Interval}, {Name: "storage", Type: reckoner.Total}, {Name: "seats", Type: reckoner.Rate}}[w.rand.IntN(3)]
	if w.rand.IntN(2) == 0 {
		e.SubscriptionID = "s1"
		if e.Meter.Type == reckoner.Interval {
			limit := reckoner.Units(20)
			e.Limit = &limit
		}
	}
	return e
}

func (w *world) encoded(partition int, e *reckoner.Event) {
	value, err := wire.EncodeEvent(e)
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(partition, []byte(e.AccountID), value)
}

func (w *world) append(partition int, key, value []byte) {
	offset := int64(len(w.log.recs[partition]))
	w.log.recs[partition] = append(w.log.recs[partition], aggregator.Record{Partition: partition, Offset: offset, Key: key, Value: value, Time: now()})
}
