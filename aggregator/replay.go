package aggregator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

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
	// FS takes the place of the disk, for tests; nil: the disk.
	FS   vfs.FS
	Slog *slog.Logger
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
	// Began is called once with the offset of the first record. Above the log's start, what stood before it
	// came from the ledger.
	Began func(from int64) error
	// Restored is called, before any record, with every total that the rows before the first record come to. It may be
	// nil.
	Restored func(*ledger.Total) error
	// Total is called with every change of a total, in the log's order. It may be nil.
	Total func(*ledger.Total)
	// Batch is called with every run of records.
	Batch func(*Replayed) error
	// Cut is an offset at which a run ends, so that Batch sees the checkpoint there.
	Cut int64
}

// A run is shown when it has so many records, or so many bytes of them.
const (
	replayRecords = 20_000
	replayBytes   = 16 << 20
)

// Partition replays one partition up to, and without, an offset that the log must reach.
func (r *Replay) Partition(ctx context.Context, number int32, to int64, v Visitor) (err error) {
	dir, err := os.MkdirTemp(r.TempDir, "reckoner-replay-")
	if err != nil {
		return fmt.Errorf("directory of the replay: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cache := pebble.NewCache(max(r.CacheBytes, 8<<20))
	defer cache.Unref()
	p, err := r.open(ctx, dir, number, to, storeOptions{
		cache: cache, log: r.Slog, fs: r.FS, temporary: true, memtable: memtableOf(r.Log.Partitions),
	})
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
	if v.Restored != nil {
		if err := r.restored(p.store, v.Restored); err != nil {
			return err
		}
	}
	return r.run(ctx, p, to, v)
}

// open returns the state before the first record that the log holds: nothing, or what the ledger's rows say.
func (r *Replay) open(ctx context.Context, dir string, number int32, to int64, o storeOptions) (*partition, error) {
	first, next, err := r.Reach(ctx, number)
	if err != nil {
		return nil, err
	}
	if to > next {
		return nil, fmt.Errorf("%w (wanted up to %d, the log ends before %d)", ErrLogShort, to, next)
	}
	rules := &greatestRules{Restorer: r.Restorer}
	s := &starter{
		dir: dir, log: r.Log, of: r.Partitioner, source: r.Source, restorer: rules, options: o, slog: r.Slog,
	}
	at, start := min(first, to), r.Log.Start(number)
	st, err := s.restoreUnchecked(ctx, ledger.Checkpoint{Log: r.Log.Number, Partition: number, Next: at})
	if err != nil {
		return nil, err
	}
	// No checkpoint counts the rows below this offset alone, but every record has one row.
	if c := st.checkpoint; c.Entries+c.Refusals != uint64(at-start) {
		err := fmt.Errorf("%w (records below offset %d are gone from the log; for these %d the ledger holds %d entries and %d refusals)",
			ErrLedgerMismatch, at, at-start, c.Entries, c.Refusals)
		return nil, errors.Join(err, st.close())
	}
	st.checkpoint.Rules = rules.seen
	return newPartition(r.Log, number, r.Partitioner, st), nil
}

// greatestRules notes the greatest rules among the rows of a log, as its checkpoint carries them.
type greatestRules struct {
	ledger.Restorer
	seen uint32
}

// Entries implements ledger.Restorer.
func (g *greatestRules) Entries(ctx context.Context, log uint32, partition int32, below int64, after *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for e, err := range g.Restorer.Entries(ctx, log, partition, below, after) {
			g.seen = max(g.seen, e.Rules)
			if !yield(e, err) {
				return
			}
		}
	}
}

// Refusals implements ledger.Restorer.
func (g *greatestRules) Refusals(ctx context.Context, log uint32, partition int32, below int64, after *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return func(yield func(ledger.Refusal, error) bool) {
		for f, err := range g.Restorer.Refusals(ctx, log, partition, below, after) {
			g.seen = max(g.seen, f.Rules)
			if !yield(f, err) {
				return
			}
		}
	}
}

// restored shows the totals of a state that this log changed. Those of earlier logs are theirs to verify.
func (r *Replay) restored(s *store, show func(*ledger.Total) error) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixTotal}, UpperBound: []byte{prefixTotal + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for more := it.First(); more; more = it.Next() {
		t, err := parseTotal(it.Key(), it.Value())
		if err != nil {
			return err
		}
		if t.Position.Log != r.Log.Number {
			continue
		}
		if err := show(&t); err != nil {
			return err
		}
	}
	return it.Error()
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
			r.Slog.Warn("read the log again", "partition", p.machine.number, "offset", p.next(), "error", err)
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
		if err := r.decide(p, before, to, v); err != nil {
			return err
		}
		if err := errors.Join(r.decide(p, after, to, v), ctx.Err()); err != nil {
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
	b := p.pending
	if next := b.checkpoint.Next; b.records >= replayRecords || b.bytes >= replayBytes || next >= to || next == v.Cut {
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

// Reach returns the first offset that a partition of the log holds now, and the one before which it is readable. The
// first is above the log's start when retention has eaten its begin.
func (r *Replay) Reach(ctx context.Context, number int32) (first, next int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if first, next, err = r.Source.Offsets(ctx, number); err != nil {
		return 0, 0, fmt.Errorf("read the log's offsets: %w", err)
	}
	return max(first, r.Log.Start(number)), next, nil
}

// Check holds the log against the ledger's checkpoint of a partition before anything is written: it must be the log that
// was counted, and reach from the checkpoint on. The errors are ErrLogTruncated, ErrLogShort and ErrLogChanged.
func (r *Replay) Check(ctx context.Context, known ledger.Checkpoint) error {
	first, next, err := r.Reach(ctx, known.Partition)
	if err != nil {
		return err
	}
	if known.Next < first {
		return LogTruncated(known, first)
	}
	s := &starter{log: r.Log, source: r.Source}
	return s.held(ctx, known, facts{known: known, first: first, next: next})
}
