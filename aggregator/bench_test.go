package aggregator

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// BenchmarkDecide is the cost of one event from its bytes to its rows, over a state on disk.
func BenchmarkDecide(b *testing.B) {
	const run = 1000
	a := accountIn(testPartition, 0)
	for _, bb := range []struct {
		name  string
		event func(i int) *reckoner.Event
	}{
		{"fresh ids", func(i int) *reckoner.Event { return usage(a, "fresh-"+strconv.Itoa(i), 1) }},
		{"known ids", func(i int) *reckoner.Event { return usage(a, "known-"+strconv.Itoa(i%run), 1) }},
		{"fresh ids under a limit", func(i int) *reckoner.Event {
			return usage(a, "limited-"+strconv.Itoa(i), 1, limited("s", 1<<60))
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := mustCreate(b, filepath.Join(b.TempDir(), "p"), testOptions(b))
			p := newPartition(testLog(), testPartition, bus.PartitionFor, s)
			var known []*reckoner.Event
			for i := range run {
				known = append(known, usage(a, "known-"+strconv.Itoa(i), 1))
			}
			mustDecide(b, p, known...)
			p.seal()
			must(b, p.settle())
			recs := make([]Record, run)
			made := 0
			b.ReportAllocs()
			for b.Loop() {
				if made%run == 0 { // encode the next thousand, and settle the last, outside of the time
					b.StopTimer()
					settleAll(b, p)
					for i := range recs {
						recs[i] = recordOf(b, p.next()+int64(i), bb.event(made+i))
					}
					b.StartTimer()
				}
				if _, err := p.decide(recs[made%run : made%run+1]); err != nil {
					b.Fatal(err)
				}
				made++
			}
			settleAll(b, p)
			must(b, p.close())
		})
	}
}

func settleAll(b *testing.B, p *partition) {
	b.Helper()
	if p.seal() != nil {
		must(b, p.settle())
	}
}

// BenchmarkSettle is the cost of making a batch part of the state: its keys sorted, written and synced.
func BenchmarkSettle(b *testing.B) {
	const run = 20_000
	s := mustCreate(b, filepath.Join(b.TempDir(), "p"), testOptions(b))
	p := newPartition(testLog(), testPartition, bus.PartitionFor, s)
	accounts := make([]string, 200)
	for i := range accounts {
		accounts[i] = accountIn(testPartition, i)
	}
	b.ReportAllocs()
	for round := 0; b.Loop(); round++ {
		b.StopTimer()
		recs := make([]Record, run)
		for i := range recs {
			// Ids in no order, as they come.
			n := uint64(round*run+i) * 0x9e3779b97f4a7c15
			id := fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n>>32), i)
			recs[i] = recordOf(b, p.next()+int64(i), usage(accounts[n%200], id, 1))
		}
		if _, err := p.decide(recs); err != nil {
			b.Fatal(err)
		}
		p.seal()
		b.StartTimer()
		must(b, p.settle())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/run, "ns/event")
	must(b, p.close())
}

// BenchmarkRestore is the cost of a state from the ledger's rows, with a ledger that costs nothing.
func BenchmarkRestore(b *testing.B) {
	const rows, accounts = 200_000, 2000
	l := &rowsLedger{}
	use := day()
	period := reckoner.Period{Start: use.AddDate(0, 0, -1), End: use.AddDate(0, 1, 0)}
	for i := range rows {
		n := uint64(i) * 0x9e3779b97f4a7c15 // ids in no order, as they come
		at := use.Add(time.Duration(i%accounts) * time.Second)
		l.entries = append(l.entries, ledger.Entry{
			Position:  reckoner.Position{Log: 1, Partition: testPartition, Offset: int64(i)},
			AccountID: fmt.Sprintf("00000000-0000-4000-8000-%012x", i/(rows/accounts)), Meter: "calls", MeterType: reckoner.Interval,
			EventID: fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n>>32), i), Kind: reckoner.Usage, Type: "credit",
			Quantity: reckoner.Thousandths(int64(1000 + i)), Outcome: reckoner.Applied, Period: period, Bucket: reckoner.BucketOf(at), UsageTime: at,
			Fingerprint: reckoner.Fingerprint{byte(i), byte(n >> 32)}, Rules: 1,
		})
	}
	options := testOptions(b)
	b.ReportAllocs()
	for b.Loop() {
		s := &starter{dir: b.TempDir(), log: testLog(), of: bus.PartitionFor, restorer: l, options: options, slog: options.log}
		st, err := s.restoreUnchecked(b.Context(), ledger.Checkpoint{Log: 1, Partition: testPartition, Next: rows})
		must(b, err)
		must(b, st.close())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}

// rowsLedger yields ready rows.
type rowsLedger struct {
	ledger.Restorer
	entries []ledger.Entry
}

// Entries implements ledger.Restorer.
func (l *rowsLedger) Entries(context.Context, uint32, int32, int64, *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for i := range l.entries {
			if !yield(l.entries[i], nil) {
				return
			}
		}
	}
}

// Refusals implements ledger.Restorer: there are none.
func (l *rowsLedger) Refusals(context.Context, uint32, int32, int64, *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return func(func(ledger.Refusal, error) bool) {}
}
