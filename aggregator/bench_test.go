package aggregator

import (
	"path/filepath"
	"strconv"
	"testing"

	"reckoner"
	"reckoner/internal/bus"
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
