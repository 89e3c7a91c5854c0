package bench

import (
	"context"
	"time"
)

// scale is how much is measured.
type scale struct {
	turns      int           // of ours and floor, each; the median counts
	turn       time.Duration // of an ingest row
	logEvents  int64         // of the rows that read a log
	warm       time.Duration // of the pipeline before it counts
	sustained  time.Duration
	rate       int64 // events/s of freshness: half of the pipeline's goal
	fresh      time.Duration
	waits      int // outcomes waited for
	knownIDs   int64
	knownLog   int64 // events decided beside them
	entries    int64 // under account-totals
	reads      int
	growthLog  int64
	partitions []int // of growth
	processes  []int
}

func scaleOf(quick bool) scale {
	if quick {
		return scale{
			turns: 1, turn: 300 * time.Millisecond, logEvents: 6_000, warm: 500 * time.Millisecond, sustained: 2 * time.Second,
			rate: 500, fresh: 2 * time.Second, waits: 5, knownIDs: 20_000, knownLog: 4_000, entries: 20_000, reads: 5, growthLog: 2_000,
			partitions: []int{1, 4}, processes: []int{2},
		}
	}
	return scale{
		turns: 3, turn: 8 * time.Second, logEvents: 1_000_000, warm: 10 * time.Second, sustained: time.Minute,
		rate: pipelineGoal / 2, fresh: 30 * time.Second, waits: 300, knownIDs: knownGoal, knownLog: 500_000, entries: 20_000_000, reads: 60,
		growthLog: 400_000, partitions: []int{1, 4, 16}, processes: []int{2, 3},
	}
}

// pipelineGoal is what the whole pipeline has to sustain, in events a second.
const pipelineGoal = 80_000

// knownGoal is how many ids an aggregator has to know without becoming slow.
const knownGoal = 50_000_000

// row is a line of the table.
type row struct {
	name, what, unit, goal string
	full                   time.Duration // its bound
	run                    func(ctx context.Context, s *site, r *Result) error
}

// bound of a quick run is for slow machines, and for the race detector.
func (r *row) bound(s scale) time.Duration {
	if s.turns == 1 {
		return 2 * time.Minute
	}
	return r.full
}
