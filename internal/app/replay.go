package app

import (
	"context"
	"fmt"
	"io"
	"slices"

	"reckoner/aggregator"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// ReplayOptions say what a replay writes.
type ReplayOptions struct {
	From      int64 // rows of records below this offset are not written; the log is decided from its begin all the same
	Partition int32 // -1: all
	Progress  func(partition int32, done, total int64)
}

// Replay is the command `replay`: it writes the ledger's rows again from the log, up to the log's end. Rows are keyed by
// position and totals are versioned by it, so it changes nothing that is right, also beside running aggregators. It
// cannot remove a row that the log does not give, nor a total or a checkpoint that stands above where it belongs.
//
// It refuses a log that is not the one that the checkpoint counted, or that misses records which the ledger lacks.
func Replay(ctx context.Context, p *Process, out io.Writer, o ReplayOptions) error {
	if o.From < 0 {
		return fmt.Errorf("--from %d: offsets begin at 0", o.From)
	}
	if o.Partition < -1 {
		return fmt.Errorf("--partition %d: partitions begin at 0; leave it out for all", o.Partition)
	}
	client, err := p.kafka()
	if err != nil {
		return err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return err
	}
	r, err := p.replay(ctx, client, l)
	if err != nil {
		return err
	}
	if o.Partition >= r.Log.Partitions {
		return fmt.Errorf("partition %d does not exist: log %d has %d", o.Partition, r.Log.Number, r.Log.Partitions)
	}
	for number := range r.Log.Partitions {
		if o.Partition >= 0 && number != o.Partition {
			continue
		}
		w := &rewrite{Process: p, ledger: l, options: o}
		if err := w.partition(ctx, &r, number); err != nil {
			return fmt.Errorf("partition %d: %w", number, err)
		}
		if _, err := fmt.Fprintf(out, "partition %d: %d records replayed, %d entries, %d refusals and %d totals written, checkpoint %d\n",
			number, w.records, w.entries, w.refusals, w.totals, w.checkpoint); err != nil {
			return err
		}
		if w.began > r.Log.Start(number) {
			if _, err := fmt.Fprintf(out, "partition %d: the log begins at offset %d; rows below it were read from the ledger and not written\n", number, w.began); err != nil {
				return err
			}
		}
	}
	return nil
}

// rewrite is the replay of one partition into the ledger.
type rewrite struct {
	*Process
	ledger  *clickhouse.Ledger
	options ReplayOptions

	records, entries, refusals, totals int
	began                              int64 // the first record that the log still holds
	checkpoint                         int64
}

func (w *rewrite) partition(ctx context.Context, r *aggregator.Replay, number int32) error {
	known, have, err := w.ledger.Checkpoint(ctx, r.Log.Number, number)
	if err != nil {
		return err
	}
	if !have {
		known = ledger.Checkpoint{Log: r.Log.Number, Partition: number, Next: r.Log.Start(number)}
	}
	// A checkpoint says that everything below it is stored, so it may only be moved over rows that are written here.
	if w.options.From > known.Next {
		return fmt.Errorf("--from %d is above the ledger's checkpoint %d: rows between them would stay missing", w.options.From, known.Next)
	}
	if err := r.Check(ctx, known); err != nil {
		return err
	}
	_, to, err := r.Reach(ctx, number)
	if err != nil {
		return err
	}
	w.checkpoint = known.Next
	return r.Partition(ctx, number, to, aggregator.Visitor{
		Began: func(from int64) error { w.began = from; return nil },
		Batch: func(b *aggregator.Replayed) error {
			if w.options.Progress != nil {
				w.options.Progress(number, b.Checkpoint.Next-w.began, to-w.began)
			}
			return w.write(ctx, b)
		},
	})
}

func (w *rewrite) write(ctx context.Context, b *aggregator.Replayed) error {
	w.records += b.Records
	from := w.options.From
	if b.Checkpoint.Next <= from {
		return nil
	}
	rows := &ledger.Batch{
		Entries:     slices.DeleteFunc(b.Entries, func(e ledger.Entry) bool { return e.Position.Offset < from }),
		Refusals:    slices.DeleteFunc(b.Refusals, func(r ledger.Refusal) bool { return r.Position.Offset < from }),
		Totals:      slices.DeleteFunc(b.Totals, func(t ledger.Total) bool { return t.Position.Offset < from }),
		Checkpoints: []ledger.Checkpoint{b.Checkpoint},
	}
	w.entries, w.refusals, w.totals = w.entries+len(rows.Entries), w.refusals+len(rows.Refusals), w.totals+len(rows.Totals)
	w.checkpoint = max(w.checkpoint, b.Checkpoint.Next)
	return w.retry(ctx, rows)
}

// retry writes until it can, or until writing again cannot help.
func (w *rewrite) retry(ctx context.Context, rows *ledger.Batch) error {
	return retryUntil(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, w.Settings.ClickHouse.InsertTimeout)
		defer cancel()
		return w.ledger.Write(ctx, rows)
	}, ledger.Permanent, func(err error) { w.Log.Warn("write again", "error", err) })
}
