// Package verify proves a ledger: it replays the log from its first record through a fresh machine and compares every
// entry, refusal and total, and every checkpoint's counts and digests, with what the ledger holds.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"reckoner/aggregator"
	"reckoner/ledger"
)

// Ledger is what is verified.
type Ledger interface {
	ledger.Restorer
	ledger.Auditor
}

// Options are what a verification is made of.
type Options struct {
	Replay aggregator.Replay
	Ledger Ledger
	// Progress is told how many records of a partition have been replayed, out of how many. It may be nil. It is called by
	// one goroutine at a time, of partitions that are verified side by side in turns.
	Progress func(partition int32, done, total int64)
	// DifferencesMax bounds the differences that are kept; all are counted. 0: 1,000.
	DifferencesMax int
	// Parallel is how many partitions are verified side by side; 0: two a processor, eight at most.
	Parallel int
	Slog     *slog.Logger
}

// Difference is one thing in which the ledger is not what the log gives.
type Difference struct {
	Partition int32
	Table     string // entries, refusals, totals, checkpoints; or log, when it is the log that does not reach
	What      string // the row: its position and id, or a total's key
	Text      string // what is wrong with it
	Remedy    Remedy
}

// Remedy is what mends a difference.
type Remedy uint8

const (
	// Replay writes the row again.
	Replay Remedy = iota
	// Delete removes a row that a replay would leave as it is; where the log gives one in its place, a replay follows.
	Delete
	// Named is what the difference itself says: no row is wrong.
	Named
	remedies
)

// String is the word for a table of differences.
func (r Remedy) String() string {
	switch r {
	case Replay:
		return "replay"
	case Delete:
		return "delete"
	default:
		return "see there"
	}
}

// Partition is what was compared of one partition.
type Partition struct {
	Number     int32
	Start      int64 // where the log began
	First      int64 // the first record that it still holds
	From       int64 // what was replayed begins here; above Start, the rows before it were checked for consistency only
	Checkpoint int64 // every event below it was compared
	End        int64 // where the log ended
	Replayed   int64 // records
	Entries    int64 // rows compared
	Refusals   int64
	Totals     int64
	Foreign    bool // the log is not the one that was counted: nothing was compared
}

// Report is the result.
type Report struct {
	Partitions  []Partition
	Differences []Difference
	tally
}

// tally counts differences.
type tally struct {
	Found    int64           // listed or not
	Remedies [remedies]int64 // how many of those found each remedy mends
}

// Run verifies every partition of a log. Its error means that the verification could not be done; differences are in
// the report.
//
// It may run beside the system: events are compared below the checkpoint that it reads first, and each total at its
// own position. Memory is bounded; the temporary directory takes about what the rows of the largest partitions take that
// are verified side by side.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.DifferencesMax = cmp.Or(o.DifferencesMax, 1000)
	o.Parallel = max(1, min(cmp.Or(o.Parallel, 2*runtime.GOMAXPROCS(0)), parallelMax, int(o.Replay.Log.Partitions)))
	o.Replay.CacheBytes /= int64(o.Parallel)
	if o.Progress != nil {
		o.Progress = inTurns(o.Progress)
	}
	parts := make([]*Report, o.Replay.Log.Partitions)
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(o.Parallel)
	for number := range o.Replay.Log.Partitions {
		parts[number] = &Report{}
		g.Go(func() error {
			if err := each.Err(); err != nil {
				return err
			}
			if err := o.partition(each, parts[number], number); err != nil {
				return fmt.Errorf("partition %d: %w", number, err)
			}
			return nil
		})
	}
	err := g.Wait()
	report := &Report{}
	for _, part := range parts {
		report.append(o.DifferencesMax, part)
	}
	if err != nil {
		return report, err
	}
	return report, o.strays(ctx, report)
}

// parallelMax bounds the memory and the disk that a verification takes, whatever the machine.
const parallelMax = 8

// inTurns keeps callers of progress apart.
func inTurns(progress func(int32, int64, int64)) func(int32, int64, int64) {
	var mu sync.Mutex
	return func(partition int32, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		progress(partition, done, total)
	}
}

// append adds what was found of another partition.
func (r *Report) append(limit int, part *Report) {
	r.Partitions = append(r.Partitions, part.Partitions...)
	r.Differences = append(r.Differences, part.Differences[:min(len(part.Differences), limit-len(r.Differences))]...)
	r.Found += part.Found
	for remedy, n := range part.Remedies {
		r.Remedies[remedy] += n
	}
}

func (r *Report) add(limit int, d Difference) {
	r.Found++
	r.Remedies[d.Remedy]++
	if len(r.Differences) < limit {
		r.Differences = append(r.Differences, d)
	}
}

// rewind takes back the differences that were found since.
func (r *Report) rewind(to tally) {
	r.Differences = r.Differences[:min(int64(len(r.Differences)), to.Found)]
	r.tally = to
}

func (o *Options) partition(ctx context.Context, report *Report, number int32) (err error) {
	start := o.Replay.Log.Start(number)
	known, have, err := o.Ledger.Checkpoint(ctx, o.Replay.Log.Number, number)
	if err != nil {
		return fmt.Errorf("read the checkpoint: %w", err)
	}
	if !have {
		known = ledger.Checkpoint{Log: o.Replay.Log.Number, Partition: number, Next: start}
	}
	dir, err := os.MkdirTemp(o.Replay.TempDir, "reckoner-verify-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rows, err := openRows(dir, o.Replay.FS, o.Slog)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()

	c := &comparison{
		Options: o, report: report, rows: rows, known: known, counted: have, touched: make(map[string]*total), before: report.tally,
		result: Partition{Number: number, Start: start, Checkpoint: known.Next},
		want:   ledger.Checkpoint{Log: known.Log, Partition: number, Next: known.Next},
	}
	if err := c.run(ctx); err != nil {
		return err
	}
	report.Partitions = append(report.Partitions, c.result)
	return nil
}

// strays names rows that stand where no log has an event. It asks last: every row that it may see then stands below
// the ends that it asks for after it.
func (o *Options) strays(ctx context.Context, report *Report) error {
	log := o.Replay.Log
	ends, err := o.ends(ctx)
	if err != nil {
		return err
	}
	var later []int64
	for s, err := range o.Ledger.Strays(ctx, log.Number, ends) {
		if err != nil {
			return fmt.Errorf("look for stray rows: %w", err)
		}
		p, inLog := s.Position, s.Position.Log == log.Number && s.Position.Partition >= 0 && s.Position.Partition < log.Partitions
		if inLog && later == nil {
			if later, err = o.ends(ctx); err != nil {
				return err
			}
		}
		switch {
		case !inLog:
			report.add(o.DifferencesMax, Difference{p.Partition, s.Table, rowName(p, s.What), "no log was registered with this partition", Delete})
		case p.Offset >= later[p.Partition] && !report.Partitions[p.Partition].Foreign:
			text := fmt.Sprintf("the ledger holds it, and the log ends before offset %d", later[p.Partition])
			report.add(o.DifferencesMax, Difference{p.Partition, s.Table, rowName(p, s.What), text, Delete})
		}
	}
	return nil
}

// ends returns where the log ends now, a partition each.
func (o *Options) ends(ctx context.Context) ([]int64, error) {
	ends := make([]int64, o.Replay.Log.Partitions)
	for number := range ends {
		_, next, err := o.Replay.Reach(ctx, int32(number))
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", number, err)
		}
		ends[number] = next
	}
	return ends, nil
}
