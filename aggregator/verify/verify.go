// Package verify proves a ledger: it replays the log from its first record through a fresh machine and compares every
// entry, refusal and total, and every checkpoint's counts and digests, with what the ledger holds.
package verify

import (
	"context"
	"errors"
	"fmt"
	"os"

	"reckoner"
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
}

// Difference is one thing in which the ledger is not what the log gives.
type Difference struct {
	Partition int32
	Table     string // entries, refusals, totals or checkpoints
	What      string // the row: its position and id, or a total's key
	Text      string // what is wrong with it
}

// Partition is what was compared of one partition.
type Partition struct {
	Number     int32
	Checkpoint int64 // every event below it was compared
	From       int64 // the first record that the log still holds
	Replayed   int64 // records
	Entries    int64 // rows compared
	Refusals   int64
	Totals     int64
}

// Report is the result.
type Report struct {
	Partitions  []Partition
	Differences []Difference
	Found       int64 // differences, listed or not
}

// Run verifies every partition of a log. Its error means that the verification could not be done; differences are in
// the report.
//
// It may run beside the system: events are compared below the checkpoint that it reads first, and each total at its
// own position.
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
	return report, nil
}

func (o *Options) partition(ctx context.Context, report *Report, number int32) (err error) {
	known, _, err := o.Ledger.Checkpoint(ctx, o.Replay.Log.Number, number)
	if err != nil {
		return fmt.Errorf("read the checkpoint: %w", err)
	}
	dir, err := os.MkdirTemp(o.Replay.TempDir, "reckoner-verify-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rows, err := openRows(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()

	c := &comparison{
		Options: o, report: report, rows: rows, known: known,
		result: Partition{Number: number, Checkpoint: known.Next}, want: ledger.Checkpoint{Log: known.Log, Partition: number, Next: known.Next},
	}
	// The totals before the replay: a total is compared at its own position, which the replay must reach.
	to, err := c.snapshotTotals(ctx)
	if err != nil {
		return err
	}
	if err := c.replay(ctx, max(to, known.Next)); err != nil {
		return err
	}
	if err := errors.Join(c.compareEntries(ctx), c.compareRefusals(ctx), c.compareTotals()); err != nil {
		return err
	}
	c.compareCheckpoint()
	report.Partitions = append(report.Partitions, c.result)
	return nil
}

// comparison is the work on one partition.
type comparison struct {
	*Options
	report *Report
	rows   *rows
	known  ledger.Checkpoint // the ledger's
	want   ledger.Checkpoint // the replay's, at the same offset
	result Partition
	failed error // of a hook that cannot return it
}

func (c *comparison) differ(table, what, format string, args ...any) {
	c.report.Found++
	if len(c.report.Differences) < c.DifferencesMax {
		c.report.Differences = append(c.report.Differences, Difference{c.result.Number, table, what, fmt.Sprintf(format, args...)})
	}
}

// replay decides the log and keeps what has to be in the ledger, by account, in the order in which the ledger gives it.
func (c *comparison) replay(ctx context.Context, to int64) error {
	err := c.Replay.Partition(ctx, c.result.Number, to, aggregator.Visitor{
		Began: func(from int64) error {
			c.result.From = from
			return c.startAt(ctx, from)
		},
		Total: c.totalChanged,
		Cut:   c.known.Next,
		Batch: func(b *aggregator.Replayed) error {
			c.result.Replayed += int64(b.Records)
			if c.Progress != nil {
				c.Progress(c.result.Number, b.Checkpoint.Next-c.result.From, to-c.result.From)
			}
			return errors.Join(c.failed, c.keep(b))
		},
	})
	return errors.Join(err, c.failed)
}

// startAt takes what stood before the log's first record from the ledger: it can only be checked for consistency.
func (c *comparison) startAt(ctx context.Context, from int64) error {
	if from == 0 {
		return nil
	}
	below, err := c.Ledger.Audit(ctx, c.want.Log, c.want.Partition, from)
	if err != nil {
		return err
	}
	c.want.Entries, c.want.Refusals = below.Entries, below.Refusals
	c.want.EntriesDigest, c.want.RefusalsDigest = below.EntriesDigest, below.RefusalsDigest
	return nil
}

// keep stores the rows below the checkpoint, and counts them as the checkpoint has to.
func (c *comparison) keep(b *aggregator.Replayed) error {
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Position.Offset >= c.known.Next {
			break // positions rise
		}
		c.want.Entries++
		c.want.EntriesDigest += ledger.RowDigest(e.Position, e.Outcome, e.Quantity, e.AccountID, e.EventID)
		c.rows.add(tableEntries, e.AccountID, e.Position, entryFields(e))
	}
	for i := range b.Refusals {
		r := &b.Refusals[i]
		if r.Position.Offset >= c.known.Next {
			break
		}
		c.want.Refusals++
		c.want.RefusalsDigest += ledger.RowDigest(r.Position, r.Outcome, reckoner.Quantity{}, r.AccountID, r.EventID)
		c.rows.add(tableRefusals, r.AccountID, r.Position, refusalFields(r))
	}
	if b.Checkpoint.Next == c.known.Next {
		c.want.RecordHash, c.want.Rules = b.Checkpoint.RecordHash, b.Checkpoint.Rules
	}
	return c.rows.flush()
}

// compareCheckpoint holds the checkpoint against the replay. Where the log begins at the checkpoint or behind it,
// nothing was replayed that could give the record's hash and the rules.
func (c *comparison) compareCheckpoint() {
	want := c.want
	if c.result.From >= c.known.Next {
		want.RecordHash, want.Rules = c.known.RecordHash, c.known.Rules
	}
	if want != c.known {
		c.differ("checkpoints", fmt.Sprintf("%d/%d", c.known.Log, c.known.Partition), "the ledger has %+v, the log gives %+v", c.known, want)
	}
}
