package verify

import (
	"context"
	"testing"

	"reckoner/aggregator"
	"reckoner/ledger"
)

// BenchmarkVerify is the cost of a verification beside that of the replay alone, with a ledger that costs nothing.
func BenchmarkVerify(b *testing.B) {
	const records = 200_000
	w := newWorld(b, 1, records)
	w.fs = nil
	w.fill()
	b.Run("replay", func(b *testing.B) {
		for b.Loop() {
			r := w.replay()
			for p := range int32(partitions) {
				err := r.Partition(context.Background(), p, int64(len(w.log.recs[p])), aggregator.Visitor{Batch: func(*aggregator.Replayed) error { return nil }})
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if r, err := Run(context.Background(), w.options(w.ledger)); err != nil || r.Found != 0 {
				b.Fatal(r, err)
			}
		}
		b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// fill gives an empty ledger all that the log gives, at once.
func (w *world) fill() {
	totals := make(map[ledger.TotalKey]ledger.Total)
	r := w.replay()
	for p := range int32(partitions) {
		err := r.Partition(context.Background(), p, int64(len(w.log.recs[p])), aggregator.Visitor{Batch: func(b *aggregator.Replayed) error {
			w.ledger.entries = append(w.ledger.entries, b.Entries...)
			w.ledger.refusals = append(w.ledger.refusals, b.Refusals...)
			for _, t := range b.Totals {
				totals[t.TotalKey] = t
			}
			w.ledger.write(&ledger.Batch{Checkpoints: []ledger.Checkpoint{b.Checkpoint}})
			return nil
		}})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	for _, t := range totals {
		w.ledger.totals = append(w.ledger.totals, t)
	}
}
