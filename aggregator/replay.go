package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/cockroachdb/pebble/v2"

	"reckoner/ledger"
)

// Replay decides the log again, from its first record, through a fresh machine beside the running ones. What comes out
// is what the ledger has to hold.
type Replay struct {
	Log         ledger.Log
	Source      Source
	Partitioner Partitioner
	// Restorer gives the state below the first record that the log still holds, where retention has eaten its begin.
	Restorer ledger.Restorer
	// TempDir takes the state while it is replayed; empty: the system's.
	TempDir    string
	CacheBytes int64
	Slog       *slog.Logger
}

// Replayed is a run of records that were decided, in their order.
type Replayed struct {
	Entries    []ledger.Entry
	Refusals   []ledger.Refusal
	Totals     []ledger.Total // every total that they changed, as it is after them
	Checkpoint ledger.Checkpoint
	Records    int
}

// Visitor is told what a replay finds. An error of it ends the replay.
type Visitor struct {
	// Began is called once with the offset of the first record. Above 0, what stood before it came from the ledger.
	Began func(from int64) error
	// Total is called with every change of a total, in the log's order. It may be nil.
	Total func(*ledger.Total)
	// Batch is called with every run of records.
	Batch func(*Replayed) error
	// Cut is an offset at which a run ends, so that Batch sees the checkpoint there.
	Cut int64
}

// replayRecords bounds a run.
const replayRecords = 20_000

// Partition replays one partition up to, and without, an offset that the log must reach.
func (r *Replay) Partition(ctx context.Context, number int32, to int64, v Visitor) (err error) {
	dir, err := os.MkdirTemp(r.TempDir, "reckoner-replay-")
	if err != nil {
		return fmt.Errorf("directory of the replay: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cache := pebble.NewCache(max(r.CacheBytes, 8<<20))
	defer cache.Unref()
	p, err := r.open(ctx, dir, number, to, storeOptions{cache: cache, log: r.Slog})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	p.totalChanged, p.pending.layer.changed = v.Total, v.Total
	if v.Began != nil {
		if err := v.Began(p.next()); err != nil {
			return err
		}
	}
	return r.run(ctx, p, to, v)
}

// open returns the state before the first record that the log holds: nothing, or what the ledger's rows say.
func (r *Replay) open(ctx context.Context, dir string, number int32, to int64, o storeOptions) (*partition, error) {
	first, next, err := r.Source.Offsets(ctx, number)
	if err != nil {
		return nil, fmt.Errorf("read the log's offsets: %w", err)
	}
	if to > next {
		return nil, fmt.Errorf("%w (wanted up to %d, the log ends before %d)", ErrLogShort, to, next)
	}
	s := &starter{
		dir: dir, log: r.Log, of: r.Partitioner, source: r.Source, restorer: r.Restorer, options: o, slog: r.Slog,
	}
	st, err := s.restoreUnchecked(ctx, ledger.Checkpoint{Log: r.Log.Number, Partition: number, Next: min(first, to)})
	if err != nil {
		return nil, err
	}
	return newPartition(r.Log, number, r.Partitioner, st), nil
}

func (r *Replay) run(ctx context.Context, p *partition, to int64, v Visitor) error {
	if p.next() >= to {
		return nil
	}
	reader, err := r.Source.Open(ctx, p.machine.number, p.next())
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	wait := backoff.NewExponentialBackOff()
	for p.next() < to {
		recs, _, err := reader.Fetch(ctx)
		if err != nil && !retryable(err) {
			return fmt.Errorf("read the log: %w", err)
		}
		if err != nil {
			if !sleep(ctx, wait.NextBackOff()) {
				return ctx.Err()
			}
			continue
		}
		wait.Reset()
		for len(recs) > 0 && recs[len(recs)-1].Offset >= to {
			recs = recs[:len(recs)-1]
		}
		before, after := cut(recs, v.Cut)
		if err := errors.Join(r.decide(p, before, to, v), r.decide(p, after, to, v), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// cut splits records before an offset.
func cut(recs []Record, at int64) (before, after []Record) {
	for i := range recs {
		if recs[i].Offset == at {
			return recs[:i], recs[i:]
		}
	}
	return recs, nil
}

// decide decides records and shows them when there are enough, or when they end where a run has to.
func (r *Replay) decide(p *partition, recs []Record, to int64, v Visitor) error {
	if _, err := p.decide(recs); err != nil {
		return err
	}
	if next := p.next(); p.pending.records >= replayRecords || next >= to || next == v.Cut {
		return r.hand(p, v)
	}
	return nil
}

// hand seals what was decided, shows it, and makes it part of the replay's own state.
func (r *Replay) hand(p *partition, v Visitor) error {
	b := p.seal()
	if b == nil {
		return nil
	}
	var rows ledger.Batch
	b.appendTo(&rows)
	if err := v.Batch(&Replayed{
		Entries: rows.Entries, Refusals: rows.Refusals, Totals: rows.Totals, Checkpoint: b.checkpoint, Records: b.records,
	}); err != nil {
		return err
	}
	return p.settle()
}

// LogEnd returns the offset before which a partition of the log is readable now.
func (r *Replay) LogEnd(ctx context.Context, number int32) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, next, err := r.Source.Offsets(ctx, number)
	return next, err
}
