package clickhouse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// flushes makes batches as an aggregator under load flushes them: four partitions, requests of a hundred usages of one
// account with ids of their own, one refusal in fifty, the totals that changed. No two batches have an id in common.
type flushes struct {
	dice  *rand.Rand
	users *rand.Zipf
	next  [4]int64
}

func newFlushes() *flushes {
	dice := rand.New(rand.NewPCG(1, 2))
	return &flushes{dice: dice, users: rand.NewZipf(dice, 1.1, 8, 99_999)}
}

func (f *flushes) uuid(hi, lo uint64) string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", hi>>32, hi>>16&0xffff, hi&0xfff, lo>>52, lo&0xffff_ffff_ffff)
}

func (f *flushes) batch(rows int) *ledger.Batch {
	b, use := &ledger.Batch{Entries: make([]ledger.Entry, 0, rows)}, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	totals := map[ledger.TotalKey]*ledger.Total{}
	for n := 0; n < rows; n += 100 {
		partition, user := f.dice.IntN(4), f.users.Uint64()
		account := f.uuid(user*0x9e3779b97f4a7c15, user*0xbf58476d1ce4e5b9)
		for range min(100, rows-n) {
			e := f.entry(int32(partition), account, use)
			if f.dice.IntN(50) == 0 {
				b.Refusals = append(b.Refusals, refusalOf(&e))
				continue
			}
			b.Entries = append(b.Entries, e)
			key := ledger.TotalKey{AccountID: e.AccountID, Meter: e.Meter, MeterType: e.MeterType, Period: e.Period, Bucket: e.Bucket}
			if totals[key] == nil {
				totals[key] = &ledger.Total{TotalKey: key, FirstUse: e.UsageTime}
			}
			t := totals[key]
			t.Quantity, t.Events, t.LastUse, t.Reading, t.Position = e.Quantity, t.Events+1, e.UsageTime, e.Position, e.Position
		}
	}
	for _, t := range totals {
		b.Totals = append(b.Totals, *t)
	}
	for p, next := range f.next {
		b.Checkpoints = append(b.Checkpoints, ledger.Checkpoint{Log: 1, Partition: int32(p), Next: next})
	}
	return b
}

func (f *flushes) entry(partition int32, account string, day time.Time) ledger.Entry {
	sources, models := []string{"chat", "embeddings", "search", "batch-worker-7"}, []string{"large-2", "small-2", "vision-1", "large-1"}
	more := f.dice.Uint64()
	use := day.Add(time.Duration(more % uint64(time.Hour))).Truncate(time.Microsecond)
	e := usageAt(f.next[partition], reckoner.Units(1+int64(more>>40%2000)), use)
	e.Position.Partition = partition
	f.next[partition]++
	e.AccountID, e.EventID, e.OrganizationID = account, f.uuid(f.dice.Uint64(), f.dice.Uint64()), "demo"
	if more>>20%5 == 0 {
		e.Meter, e.Type = "feature", "feature"
	}
	e.ReceivedAt = day.Add(time.Hour + time.Duration(e.Position.Offset/100)*time.Millisecond)
	e.Source, e.Description = sources[more>>8%4], "tokens of a chat"
	e.CustomerID, e.UserID = fmt.Sprintf("cus_%08d", more%100_000_000), fmt.Sprintf("usr_%08d", more>>16%100_000_000)
	e.Metadata = []reckoner.Label{{Key: "model", Value: models[more>>12%4]}, {Key: "region", Value: "eu-west-1"},
		{Key: "tokens", Value: fmt.Sprint(more >> 32 % 100_000), JSON: true}}
	for i := range 2 {
		word := f.dice.Uint64()
		for k := range 8 {
			e.Fingerprint[8*i+k] = byte(word >> (8 * k))
		}
	}
	return e
}

func refusalOf(e *ledger.Entry) ledger.Refusal {
	return ledger.Refusal{Position: e.Position, AccountID: e.AccountID, OrganizationID: e.OrganizationID, Meter: e.Meter,
		MeterType: e.MeterType, EventID: e.EventID, Kind: e.Kind, Type: e.Type, Requested: e.Requested, Outcome: reckoner.Duplicate,
		UsageTime: e.UsageTime, ReceivedAt: e.ReceivedAt, Source: e.Source, Fingerprint: e.Fingerprint, Rules: e.Rules}
}

// BenchmarkFlushes is what rows cost in all: the client, the engine, and the merges that follow.
func BenchmarkFlushes(b *testing.B) {
	for _, rows := range []int{5_000, 100_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			l, f := openLedger(b), newFlushes()
			var insert, merges time.Duration
			for range b.N {
				batch := f.batch(rows)
				began := processCPU(b)
				if err := l.Write(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				insert += processCPU(b) - began
			}
			began := processCPU(b)
			waitForMerges(b, l)
			merges = processCPU(b) - began
			all := float64(rows * b.N)
			b.ReportMetric(float64(insert.Nanoseconds())/all, "cpu-ns/row")
			b.ReportMetric(float64(merges.Nanoseconds())/all, "merges-cpu-ns/row")
			b.ReportMetric(float64(scalar[uint64](b, l, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"))/all, "bytes/row")
		})
	}
}

// waitForMerges returns when nothing was merged for a while.
func waitForMerges(b *testing.B, l *Ledger) {
	for quiet := 0; quiet < 10; quiet++ {
		if scalar[uint64](b, l, "SELECT count() FROM system.merges") > 0 {
			quiet = 0
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// processCPU is the processor time of all threads, the engine's included.
func processCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
