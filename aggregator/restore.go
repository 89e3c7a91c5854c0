package aggregator

import (
	"cmp"
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

// restoration is a state being rebuilt, from the ledger's entries and refusals below a checkpoint. Rows from the
// checkpoint on may be half a batch and are not read; totals are never read, they follow from the entries.
type restoration struct {
	*starter
	building
	machine machine
	store   *store
	layer   *layer
	bulk    *bulk
	checked bool         // the rows have to be those that the checkpoint counts
	held    int          // rows in the layer
	spilled bool         // rows of the last account are in the bulk or the store, not in the layer
	place   ledger.Place // what after points to
}

// building says how far a restoration is. It is stored with the rows that it speaks for.
type building struct {
	want  ledger.Checkpoint // what the state is to be
	got   ledger.Checkpoint // what the rows of the log come to so far
	stage stage
	after *ledger.Place // the last row of the stage; nil at its begin
	rows  uint64        // of all stages
}

// stage is what a restoration reads, in this order: what earlier logs left of the partition's accounts, wherever they
// stood then, and what this log left below the checkpoint.
type stage uint8

const (
	stageEarlierEntries stage = iota + 1
	stageEarlierRefusals
	stageEntries
	stageRefusals
	stageDone
)

func (r *restoration) run(ctx context.Context) error {
	for r.stage < stageDone {
		if err := r.read(ctx); err != nil {
			return err
		}
		if r.stage, r.after = r.stage+1, nil; r.stage == stageEntries {
			// What earlier logs left is no part of this log's counts.
			r.got.Entries, r.got.Refusals, r.got.EntriesDigest, r.got.RefusalsDigest = 0, 0, 0, 0
			if err := r.found(ctx); err != nil {
				return err
			}
		}
	}
	r.shown()
	if r.checked && r.got != r.want {
		return fmt.Errorf("%w (checkpoint %+v, rows %+v)", ErrLedgerMismatch, r.want, r.got)
	}
	if r.bulk.rows > 0 { // what is less than a layer in all takes the way of a batch
		if err := r.bulk.add(ctx, r.layer, r.held, &r.building); err != nil {
			return err
		}
		r.layer = newLayer(r.store)
		if err := r.bulk.ingest(ctx); err != nil {
			return err
		}
	}
	return r.store.finish(r.layer, r.got, r.log)
}

// found puts all that earlier logs left into the store, what is still in memory, too: the entries of this log look for
// theirs there. Left in the layer it would go to a table with the first of them, where those that follow do not look.
func (r *restoration) found(ctx context.Context) error {
	if r.held > 0 {
		if err := r.spill(ctx); err != nil {
			return err
		}
	}
	return r.bulk.ingest(ctx)
}

// read feeds the rows of a stage.
func (r *restoration) read(ctx context.Context) error {
	c := r.want
	if before := r.stage < stageEntries; before && r.log.Number == 1 || !before && c.Next == r.log.Start(c.Partition) {
		return nil // there are none
	}
	switch r.stage {
	case stageEarlierEntries:
		return feed(ctx, r.restorer.EarlierEntries(ctx, r.log, c.Partition, r.after), r.entry)
	case stageEarlierRefusals:
		return feed(ctx, r.restorer.EarlierRefusals(ctx, r.log, c.Partition, r.after), r.refusal)
	case stageEntries:
		return feed(ctx, r.restorer.Entries(ctx, c.Log, c.Partition, c.Next, r.after), r.entry)
	case stageRefusals:
		return feed(ctx, r.restorer.Refusals(ctx, c.Log, c.Partition, c.Next, r.after), r.refusal)
	case stageDone:
	}
	return fmt.Errorf("nothing to read in stage %d", r.stage)
}

func feed[T any](ctx context.Context, rows iter.Seq2[T, error], take func(context.Context, *T) error) error {
	var row T // one for all: take keeps none
	for next, err := range rows {
		if damaged, ok := errors.AsType[*ledger.RowError](err); ok {
			return fmt.Errorf("%w (%w)", ErrLedgerMismatch, damaged)
		}
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		row = next
		if err := take(ctx, &row); err != nil {
			return err
		}
	}
	return nil
}

// enter prepares the layer for a row of an account. The ledger yields an account's rows together, so the store holds
// nothing of an account that begins, unless earlier logs left it: nothing has to be looked for there.
func (r *restoration) enter(ctx context.Context, account string, p reckoner.Position) error {
	switch {
	case r.after == nil || account > r.after.AccountID:
		r.spilled, r.layer.below = false, void{}
		if r.stage == stageEntries && r.log.Number > 1 {
			r.layer.below = r.store
		}
	case account < r.after.AccountID:
		return contradicts(p, "account %s comes after account %s", account, r.after.AccountID)
	case r.spilled:
		r.spilled, r.layer.below = false, r.store
		return r.bulk.ingest(ctx)
	}
	return nil
}

// entry does to the state what deciding the event did.
func (r *restoration) entry(ctx context.Context, e *ledger.Entry) error {
	if err := r.enter(ctx, e.AccountID, e.Position); err != nil {
		return err
	}
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
	case reckoner.Revert:
		if err := r.revert(e, &key); err != nil {
			return err
		}
	default:
		return contradicts(e.Position, "unknown kind %d", e.Kind)
	}
	if err := r.remember(e, &m); err != nil {
		return err
	}
	return r.more(ctx, e.AccountID, e.Position)
}

// contradicts is for rows that no log can have given.
func contradicts(p reckoner.Position, format string, args ...any) error {
	return fmt.Errorf("%w (at %s: %s)", ErrLedgerMismatch, p, fmt.Sprintf(format, args...))
}

// remember keeps what is known of an id. One that is known already is of a ledger that yields rows twice, or an account's
// in another order than the log's: it never happens, and would silently undo a revert.
func (r *restoration) remember(e *ledger.Entry, m *memory) error {
	key := r.machine.keys.id(e.AccountID, e.Kind, e.EventID)
	was, found, err := r.layer.memory(key)
	if err != nil {
		return err
	}
	if found {
		return contradicts(e.Position, "id %q of account %s counted twice, %s and %s", e.EventID, e.AccountID, was.outcome, m.outcome)
	}
	r.layer.setMemory(key, m)
	return nil
}

func (r *restoration) revert(e *ledger.Entry, key *ledger.TotalKey) error {
	usage, found, err := r.layer.memory(r.machine.keys.id(e.AccountID, reckoner.Usage, e.UsageID))
	if err != nil {
		return err
	}
	if !found || usage.counted == nil || usage.counted.reverted {
		return contradicts(e.Position, "reverts usage %q, which no entry before it can be", e.UsageID)
	}
	if err := r.machine.subtract(r.layer, e.Position, key, e.Quantity); err != nil {
		return err
	}
	r.machine.markReverted(r.layer, e.AccountID, e.UsageID, usage)
	return nil
}

// refusal remembers the ids whose first event was refused.
func (r *restoration) refusal(ctx context.Context, f *ledger.Refusal) error {
	r.got.Refusals++
	r.got.RefusalsDigest += ledger.RowDigest(f.Position, f.Outcome, reckoner.Quantity{}, f.AccountID, f.EventID)
	switch f.Outcome {
	case reckoner.LimitExceeded, reckoner.AlreadyReverted, reckoner.UnknownUsage, reckoner.ExceedsUsage, reckoner.NotRevertable:
		key := r.machine.keys.id(f.AccountID, f.Kind, f.EventID)
		r.layer.setMemory(key, &memory{fingerprint: f.Fingerprint, outcome: f.Outcome})
	case reckoner.Duplicate, reckoner.Conflict, reckoner.Misrouted, reckoner.Undecodable:
		// These left no memory.
	case reckoner.Applied, reckoner.Clipped, reckoner.Reverted:
		return contradicts(f.Position, "outcome %s is not a refusal", f.Outcome)
	default:
		return contradicts(f.Position, "unknown outcome %d", f.Outcome)
	}
	return r.more(ctx, f.AccountID, f.Position)
}

// more notes a row that was taken, and moves what piled up into the bulk, and from there into the store.
func (r *restoration) more(ctx context.Context, account string, p reckoner.Position) error {
	r.place = ledger.Place{AccountID: account, Position: p}
	r.after = &r.place
	r.rows++
	if r.held++; r.held < cmp.Or(r.batchRows, restoreRows) {
		return nil
	}
	if err := r.spill(ctx); err != nil {
		return err
	}
	r.slog.Info("restoring", "partition", r.want.Partition, "rows", r.rows, "of", r.want.Entries+r.want.Refusals)
	if r.bulk.rows < cmp.Or(r.bulkRows, r.batchRows, bulkRows) {
		return nil
	}
	return r.bulk.ingest(ctx)
}

// spill moves the layer into the bulk.
func (r *restoration) spill(ctx context.Context) error {
	if err := r.bulk.add(ctx, r.layer, r.held, &r.building); err != nil {
		return err
	}
	r.layer, r.spilled = newLayer(r.store), true
	r.shown()
	return nil
}

// shown counts the rows that were held.
func (r *restoration) shown() {
	if r.metrics != nil {
		left := r.want.Entries + r.want.Refusals
		if r.stage >= stageEntries { // what is left of earlier logs is not known, and comes on top
			left -= min(left, r.got.Entries+r.got.Refusals)
		}
		r.metrics.restoring(r.want.Partition, r.held, left)
	}
	if r.progress != nil && r.held > 0 {
		r.progress(r.want.Partition)
	}
	r.held = 0
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
