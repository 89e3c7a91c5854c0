package aggregator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/ledger"
)

// restoreRows is how many rows are held in memory before they go to the store being built.
const restoreRows = 20_000

// restore rebuilds a partition's state from the ledger's entries and refusals below a checkpoint, beside the place
// where it belongs, and moves it there when it is whole: a half-built state is never found. Rows from the checkpoint
// on may be half a batch and are not read; totals are never read, they follow from the entries.
func (s *starter) restore(ctx context.Context, to ledger.Checkpoint) (*store, error) {
	return s.rebuild(ctx, to, true)
}

// restoreUnchecked is restore for an offset that no checkpoint stands at: counts and digests are those of the rows.
func (s *starter) restoreUnchecked(ctx context.Context, to ledger.Checkpoint) (*store, error) {
	return s.rebuild(ctx, to, false)
}

func (s *starter) rebuild(ctx context.Context, to ledger.Checkpoint, checked bool) (*store, error) {
	dir := s.path(to.Partition)
	building := dir + ".building"
	fs := s.options.files()
	if err := errors.Join(fs.RemoveAll(building), fs.MkdirAll(filepath.Dir(dir), 0o750)); err != nil {
		return nil, err
	}
	st, err := createStore(building, s.log, to.Partition, s.options)
	if err != nil {
		return nil, err
	}
	r := &restoration{
		starter: s, store: st, layer: newLayer(st), want: to, checked: checked,
		machine: machine{log: s.log, number: to.Partition, partitionOf: s.of},
		got:     ledger.Checkpoint{Log: to.Log, Partition: to.Partition, Next: to.Next, Rules: to.Rules, RecordHash: to.RecordHash},
	}
	if err := errors.Join(r.run(ctx), st.close()); err != nil {
		return nil, fmt.Errorf("restore partition %d: %w", to.Partition, err)
	}
	if err := moveState(fs, building, dir); err != nil {
		return nil, err
	}
	return openStore(dir, s.log, to.Partition, s.options)
}

// restoration is a state being rebuilt.
type restoration struct {
	*starter
	machine   machine
	store     *store
	layer     *layer
	got, want ledger.Checkpoint
	checked   bool // the rows have to be those that want counts
	rows      int
}

func (r *restoration) run(ctx context.Context) error {
	if err := r.earlier(ctx); err != nil {
		return fmt.Errorf("earlier logs: %w", err)
	}
	// What earlier logs left is no part of this log's counts.
	r.got.Entries, r.got.Refusals, r.got.EntriesDigest, r.got.RefusalsDigest = 0, 0, 0, 0
	if err := r.below(ctx); err != nil {
		return err
	}
	if r.metrics != nil {
		r.metrics.restoring(r.want.Partition, r.rows%restoreRows)
	}
	if r.checked && r.got != r.want {
		return fmt.Errorf("%w (checkpoint %+v, rows %+v)", ErrLedgerMismatch, r.want, r.got)
	}
	return r.store.commit(r.layer, r.got, r.log)
}

// earlier rebuilds what the logs before this one left of the partition's accounts, wherever they stood then.
func (r *restoration) earlier(ctx context.Context) error {
	if r.log.Number == 1 {
		return nil
	}
	entries := r.restorer.EarlierEntries(ctx, r.log, r.want.Partition)
	return r.feed(entries, r.restorer.EarlierRefusals(ctx, r.log, r.want.Partition))
}

// below rebuilds what this log left below the checkpoint.
func (r *restoration) below(ctx context.Context) error {
	if r.want.Next == r.log.Start(r.want.Partition) {
		return nil
	}
	entries := r.restorer.Entries(ctx, r.want.Log, r.want.Partition, r.want.Next)
	return r.feed(entries, r.restorer.Refusals(ctx, r.want.Log, r.want.Partition, r.want.Next))
}

func (r *restoration) feed(entries iter.Seq2[ledger.Entry, error], refusals iter.Seq2[ledger.Refusal, error]) error {
	for e, err := range entries {
		if err != nil {
			return fmt.Errorf("read entries: %w", err)
		}
		if err := r.entry(&e); err != nil {
			return fmt.Errorf("entry at %s: %w", e.Position, err)
		}
	}
	for f, err := range refusals {
		if err != nil {
			return fmt.Errorf("read refusals: %w", err)
		}
		if err := r.refusal(&f); err != nil {
			return fmt.Errorf("refusal at %s: %w", f.Position, err)
		}
	}
	return nil
}

// entry does to the state what deciding the event did.
func (r *restoration) entry(e *ledger.Entry) error {
	r.got.Entries++
	r.got.EntriesDigest += ledger.RowDigest(e.Position, e.Outcome, e.Quantity, e.AccountID, e.EventID)
	key := ledger.TotalKey{
		AccountID: e.AccountID, SubscriptionID: e.SubscriptionID, Meter: e.Meter, MeterType: e.MeterType,
		Period: e.Period, Bucket: e.Bucket,
	}
	m := memory{fingerprint: e.Fingerprint, outcome: e.Outcome, quantity: e.Quantity}
	switch e.Kind {
	case reckoner.Usage:
		if err := r.machine.addUsage(r.layer, e.Position, &key, e.UsageTime, e.Quantity); err != nil {
			return err
		}
		m.counted = &counted{total: key, typ: e.Type, time: e.UsageTime}
		if err := r.keepReverted(e, &m); err != nil {
			return err
		}
	case reckoner.Revert:
		if err := r.revert(e, &key); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown kind %d", e.Kind)
	}
	r.layer.memories[string(r.machine.keys.id(e.AccountID, e.Kind, e.EventID))] = m
	return r.more()
}

// keepReverted is for a ledger that yields an account's entries in another order than the log's: it never happens, and
// would silently undo a revert.
func (r *restoration) keepReverted(e *ledger.Entry, m *memory) error {
	was, found, err := r.layer.memory(r.machine.keys.id(e.AccountID, e.Kind, e.EventID))
	if err != nil {
		return err
	}
	if found {
		return fmt.Errorf("id %q of account %s counted twice (%s, %s)", e.EventID, e.AccountID, was.outcome, m.outcome)
	}
	return nil
}

func (r *restoration) revert(e *ledger.Entry, key *ledger.TotalKey) error {
	usage, found, err := r.layer.memory(r.machine.keys.id(e.AccountID, reckoner.Usage, e.UsageID))
	if err != nil {
		return err
	}
	if !found || usage.counted == nil || usage.counted.reverted {
		return fmt.Errorf("reverts usage %q, which no entry before it can be", e.UsageID)
	}
	if err := r.machine.subtract(r.layer, e.Position, key, e.Quantity); err != nil {
		return err
	}
	r.machine.markReverted(r.layer, e.AccountID, e.UsageID, usage)
	return nil
}

// refusal remembers the ids whose first event was refused.
func (r *restoration) refusal(f *ledger.Refusal) error {
	r.got.Refusals++
	r.got.RefusalsDigest += ledger.RowDigest(f.Position, f.Outcome, reckoner.Quantity{}, f.AccountID, f.EventID)
	switch f.Outcome {
	case reckoner.LimitExceeded, reckoner.AlreadyReverted, reckoner.UnknownUsage, reckoner.ExceedsUsage, reckoner.NotRevertable:
		key := r.machine.keys.id(f.AccountID, f.Kind, f.EventID)
		r.layer.memories[string(key)] = memory{fingerprint: f.Fingerprint, outcome: f.Outcome}
	case reckoner.Duplicate, reckoner.Conflict, reckoner.Misrouted, reckoner.Undecodable:
		// These left no memory.
	case reckoner.Applied, reckoner.Clipped, reckoner.Reverted:
		return fmt.Errorf("outcome %s is not a refusal", f.Outcome)
	default:
		return fmt.Errorf("unknown outcome %d", f.Outcome)
	}
	return r.more()
}

// more moves what piled up into the store, without a sync: only the last commit counts.
func (r *restoration) more() error {
	if r.rows++; r.rows%restoreRows != 0 {
		return nil
	}
	if err := r.store.load(r.layer); err != nil {
		return err
	}
	r.layer = newLayer(r.store)
	if r.metrics != nil {
		r.metrics.restoring(r.want.Partition, restoreRows)
	}
	r.slog.Info("restoring", "partition", r.want.Partition, "rows", r.rows, "of", r.want.Entries+r.want.Refusals)
	return nil
}

// moveState puts a whole state where it belongs. The mark of a corrupt one goes last: it must not outlive the state it
// is about, nor go before it.
func moveState(fs vfs.FS, from, to string) error {
	if err := fs.RemoveAll(to); err != nil {
		return err
	}
	if err := fs.Rename(from, to); err != nil {
		return err
	}
	if err := syncDir(fs, filepath.Dir(to)); err != nil {
		return err
	}
	return fs.RemoveAll(to + condemned)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
