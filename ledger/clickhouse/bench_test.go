package clickhouse

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// benchBatch is a batch as the aggregator flushes it: entries of many accounts, their totals, one checkpoint.
func benchBatch(rows int, log uint32) *ledger.Batch {
	use := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	b := &ledger.Batch{Checkpoints: []ledger.Checkpoint{{Log: log, Next: int64(rows)}}}
	for i := range rows {
		e := usageAt(int64(i), reckoner.Thousandths(int64(1000+i%977)), use.Add(time.Duration(i)*time.Millisecond))
		e.Position.Log = log
		e.AccountID = fmt.Sprintf("%08x-0000-4000-8000-%012d", uint32(i%5000)*2654435761, i%5000)
		e.EventID = fmt.Sprintf("%08x-%04x-4000-8000-%012d", uint32(i)*2654435761, log, i)
		e.OrganizationID, e.SubscriptionID, e.Source, e.Description = "org_1", "sub_1", "api", "a call"
		e.UserID, e.Metadata = fmt.Sprint("user", i%100), []reckoner.Label{{Key: "region", Value: "eu"}}
		b.Entries = append(b.Entries, e)
	}
	for i := range min(rows, 5000) {
		e := b.Entries[i]
		b.Totals = append(b.Totals, ledger.Total{TotalKey: ledger.TotalKey{AccountID: e.AccountID, SubscriptionID: e.SubscriptionID,
			Meter: e.Meter, MeterType: e.MeterType, Period: e.Period, Bucket: e.Bucket}, Quantity: e.Quantity, Events: 1,
			FirstUse: e.UsageTime, LastUse: e.UsageTime, Reading: e.Position, Position: e.Position})
	}
	return b
}

func BenchmarkWrite(b *testing.B) {
	for _, rows := range []int{100, 50_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			l := openLedger(b)
			batch := benchBatch(rows, 1)
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Write(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkEngine is what the engine alone takes for the same entries, without a client: the floor under BenchmarkWrite.
func BenchmarkEngine(b *testing.B) {
	l := openLedger(b)
	if err := l.Write(context.Background(), benchBatch(50_000, 1)); err != nil {
		b.Fatal(err)
	}
	if err := l.conn.Exec(context.Background(), "CREATE TABLE copy AS entries"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := l.conn.Exec(context.Background(), "INSERT INTO copy SELECT * FROM entries ORDER BY `offset` SETTINGS max_threads = 1"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(50_000*b.N)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkRestore(b *testing.B) {
	l := openLedger(b)
	if err := l.Write(context.Background(), benchBatch(200_000, 1)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range l.Entries(context.Background(), 1, 0, 1<<40, nil) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 200_000 {
			b.Fatalf("%d entries", n)
		}
	}
	b.ReportMetric(float64(200_000*b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkCheckpoints is what a flush pays for looking whether the ledger is still the one that it wrote to.
func BenchmarkCheckpoints(b *testing.B) {
	l := openLedger(b)
	for next := range int64(20) { // rows that are not merged yet
		var batch ledger.Batch
		for p := range int32(16) {
			batch.Checkpoints = append(batch.Checkpoints, ledger.Checkpoint{Log: 1, Partition: p, Next: next + 1})
		}
		if err := l.Write(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if all, err := l.Checkpoints(b.Context(), 1); err != nil || len(all) != 16 {
			b.Fatal(len(all), err)
		}
	}
}

// nowhere is a column that takes values and keeps none.
type nowhere struct{ driver.BatchColumn }

func (nowhere) Append(any) error    { return nil }
func (nowhere) AppendRow(any) error { return nil }

// BenchmarkFillEntries is what it costs to take entries apart into columns for the native protocol, without the driver and
// the engine.
func BenchmarkFillEntries(b *testing.B) {
	const rows = 10_000
	q, err := loadQueries()
	if err != nil {
		b.Fatal(err)
	}
	table, entries := newTables(q).entries, newFlushes().batch(rows).Entries
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range table.columns {
			if err := c.fill(nowhere{}, entries); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(entries)), "ns/entry")
}

// BenchmarkEncodeEntries is the same over HTTP: all that is done before the bytes are sent.
func BenchmarkEncodeEntries(b *testing.B) {
	q, err := loadQueries()
	if err != nil {
		b.Fatal(err)
	}
	table, entries := newTables(q).entries, newFlushes().batch(50_000).Entries
	for _, method := range []ch.CompressionMethod{ch.CompressionNone, ch.CompressionLZ4} {
		b.Run(method.String(), func(b *testing.B) {
			from := newBlocks(&ch.Compression{Method: method})
			b.ReportAllocs()
			bytes := int64(0)
			for b.Loop() {
				body := newBody(table, entries, from)
				if bytes, err = io.Copy(io.Discard, body); err != nil {
					b.Fatal(err)
				}
				body.end()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(entries)), "ns/entry")
			b.ReportMetric(float64(bytes)/float64(len(entries)), "B/entry")
		})
	}
}
