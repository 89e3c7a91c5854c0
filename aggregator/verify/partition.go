package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"reckoner"
	"reckoner/aggregator"
	"reckoner/ledger"
)

// comparison is the work on one partition.
type comparison struct {
	*Options
	report  *Report
	rows    *rows
	pack    packer
	buffers buffers           // of rows of the ledger
	key     []byte            // of a row on its way to the store
	known   ledger.Checkpoint // the ledger's
	counted bool              // the ledger has a checkpoint
	want    ledger.Checkpoint // the replay's, at the same offset
	result  Partition
	touched map[string]*total // by key, of the run of records on its way
	failed  error             // of a hook that cannot return it
	// truncated says that the log begins above the checkpoint.
	truncated bool
	// last says that the row of the last record before the checkpoint is not what the log gives.
	last   bool
	before tally // of the report, before this partition
}

// differ is a difference that a replay mends.
func (c *comparison) differ(table, what, format string, args ...any) {
	c.tell(Replay, table, what, format, args...)
}

// extra is one that it does not: the row has to be deleted.
func (c *comparison) extra(table, what, format string, args ...any) {
	c.tell(Delete, table, what, format, args...)
}

func (c *comparison) tell(r Remedy, table, what, format string, args ...any) {
	c.report.add(c.DifferencesMax, Difference{c.result.Number, table, what, fmt.Sprintf(format, args...), r})
}

func (c *comparison) run(ctx context.Context) error {
	// The totals before the log's end: what they stand at, the log has.
	to, err := c.snapshotTotals(ctx)
	if err != nil {
		return err
	}
	first, next, err := c.Replay.Reach(ctx, c.result.Number)
	if err != nil {
		return err
	}
	name := c.name()
	c.result.First, c.result.End = first, next
	if c.known.Next > next {
		c.foreign(aggregator.LogShort(c.known, next))
		return nil
	}
	to = min(max(to, c.known.Next), next)
	if c.truncated = first > c.known.Next; c.truncated {
		c.tell(Named, "log", name, "%v", aggregator.LogTruncated(c.known, first))
		to = c.known.Next // nothing of the log can be replayed from there
	}
	err = c.replay(ctx, to)
	if errors.Is(err, aggregator.ErrLedgerMismatch) {
		c.differ("entries", name, "not compared: %v", err) // what follows from a wrong state would say nothing
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(c.compareEntries(ctx), c.compareRefusals(ctx), c.compareTotals(to)); err != nil {
		return err
	}
	if !c.counted {
		return c.uncounted(ctx, name)
	}
	c.compareCheckpoint(name)
	return nil
}

func (c *comparison) name() string { return fmt.Sprintf("%d/%d", c.known.Log, c.known.Partition) }

// foreign says that the log is not the one that was counted. Whatever else differs follows from that, and none of it is to
// be mended: the rows are all that is left of what was counted.
func (c *comparison) foreign(why error) {
	c.report.rewind(c.before)
	c.result.Foreign = true
	c.tell(Named, "checkpoints", c.name(), "%v; its rows were not compared, and none is to be deleted", why)
}

// uncounted looks again for a checkpoint that was not there when the totals were: it may have been the partition's first
// batch, on its way.
func (c *comparison) uncounted(ctx context.Context, name string) error {
	_, have, err := c.Ledger.Checkpoint(ctx, c.known.Log, c.known.Partition)
	if err != nil {
		return fmt.Errorf("read the checkpoint: %w", err)
	}
	if !have && c.result.Totals > 0 {
		c.differ("checkpoints", name, "missing, and the ledger holds %d totals of the partition", c.result.Totals)
	}
	return nil
}

// replay decides the log and keeps what has to be in the ledger, by account, in the order in which the ledger gives it.
func (c *comparison) replay(ctx context.Context, to int64) error {
	err := c.Replay.Partition(ctx, c.result.Number, to, aggregator.Visitor{
		Began: func(from int64) error {
			c.result.From = from
			return c.startAt(ctx, from)
		},
		Restored: c.meetRestored,
		Total:    c.totalChanged,
		Cut:      c.known.Next,
		Batch: func(b *aggregator.Replayed) error {
			c.result.Replayed += int64(b.Records)
			if c.Progress != nil {
				c.Progress(c.result.Number, b.Checkpoint.Next-c.result.From, to-c.result.From)
			}
			return errors.Join(c.failed, c.keep(b), c.keepTotals())
		},
	})
	return errors.Join(err, c.failed, c.keepTotals())
}

// startAt takes what stood before the log's first record from the ledger: it can only be checked for consistency.
func (c *comparison) startAt(ctx context.Context, from int64) error {
	if from == c.result.Start {
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
		c.key = rowKey(c.key[:0], tableEntries, e.AccountID, e.Position)
		if err := c.rows.set(c.key, again(&c.pack, (*packer).entry, e)); err != nil {
			return err
		}
	}
	for i := range b.Refusals {
		r := &b.Refusals[i]
		if r.Position.Offset >= c.known.Next {
			break
		}
		c.want.Refusals++
		c.want.RefusalsDigest += ledger.RowDigest(r.Position, r.Outcome, reckoner.Quantity{}, r.AccountID, r.EventID)
		c.key = rowKey(c.key[:0], tableRefusals, r.AccountID, r.Position)
		if err := c.rows.set(c.key, again(&c.pack, (*packer).refusal, r)); err != nil {
			return err
		}
	}
	if b.Checkpoint.Next == c.known.Next {
		c.want.RecordHash, c.want.Rules = b.Checkpoint.RecordHash, b.Checkpoint.Rules
	}
	return nil
}

// compareCheckpoint holds the checkpoint against the replay. Where the log begins at the checkpoint or behind it,
// nothing was replayed that could give the record's hash and the rules.
func (c *comparison) compareCheckpoint(name string) {
	want := c.want
	if c.result.From >= c.known.Next {
		want.RecordHash, want.Rules = c.known.RecordHash, c.known.Rules
	}
	w, k := packed((*packer).checkpoint, &want), packed((*packer).checkpoint, &c.known)
	if want.RecordHash != c.known.RecordHash && c.last {
		c.foreign(fmt.Errorf("%w; %s", aggregator.ErrLogChanged, aggregator.GoOn(c.known.Partition, ledger.UnknownLoss)))
		return
	}
	if !bytes.Equal(w, k) {
		remedy := Replay
		if want.RecordHash != c.known.RecordHash {
			remedy = Delete // a replay holds the log against it, and refuses
		}
		c.tell(remedy, "checkpoints", name, "%s", differ(columns((*packer).checkpoint), w, k))
	}
}
