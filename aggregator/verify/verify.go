// Package verify proves a ledger: it replays the log from its first record through a fresh machine and compares every
// entry, refusal and total, and every checkpoint's counts and digests, with what the ledger holds.
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

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
	// Progress is told how many records of a partition have been replayed, out of how many. It may be nil.
	Progress func(partition int32, done, total int64)
	// DifferencesMax bounds the differences that are kept; all are counted. 0: 1,000.
	DifferencesMax int
	Slog           *slog.Logger
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
// own position. Memory is bounded; the temporary directory takes about what the largest partition's rows take.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.DifferencesMax == 0 {
		o.DifferencesMax = 1000
	}
	report := &Report{}
	for number := range o.Replay.Log.Partitions {
		if err := o.partition(ctx, report, number); err != nil {
			return report, fmt.Errorf("partition %d: %w", number, err)
		}
	}
	return report, o.strays(ctx, report)
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
