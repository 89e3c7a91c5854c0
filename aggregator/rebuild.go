package aggregator

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"reckoner/aggregator/disk"
	"reckoner/ledger"
)

// buildingDir is the name, after the state's, of the directory in which it is rebuilt.
const buildingDir = ".building"

// restore rebuilds a partition's state from the ledger, beside the place where it belongs, and moves it there when it
// is whole: a half-built state is never found. A restore that was interrupted goes on after the last row that it has.
func (s *starter) restore(ctx context.Context, f facts) (*store, error) {
	r, err := s.goOn(ctx, f)
	if err != nil {
		return nil, err
	}
	if r != nil {
		st, err := s.build(ctx, r)
		if !errors.Is(err, ErrLedgerMismatch) {
			return st, err
		}
		// The rows may have been exchanged between its two halves. The ledger is believed to be wrong only when all of
		// it was read at one time.
		s.slog.Warn("what was restored in two halves is thrown away", "partition", f.known.Partition, "reason", err)
	}
	if r, err = s.begin(f.known, true); err != nil {
		return nil, err
	}
	return s.build(ctx, r)
}

// restoreUnchecked rebuilds the state at an offset that no checkpoint stands at: counts and digests are those of the
// rows.
func (s *starter) restoreUnchecked(ctx context.Context, to ledger.Checkpoint) (*store, error) {
	r, err := s.begin(to, false)
	if err != nil {
		return nil, err
	}
	return s.build(ctx, r)
}

// begin starts a restoration with nothing.
func (s *starter) begin(to ledger.Checkpoint, checked bool) (*restoration, error) {
	dir, fs := s.path(to.Partition)+buildingDir, s.options.files()
	if err := errors.Join(fs.RemoveAll(dir), fs.RemoveAll(dir+condemned), fs.MkdirAll(filepath.Dir(dir), 0o750)); err != nil {
		return nil, err
	}
	st, err := createStore(dir, s.log, to.Partition, s.options)
	if err != nil {
		return nil, err
	}
	if err := syncDir(fs, filepath.Dir(dir)); err != nil { // else a loss of power takes all of it
		return nil, errors.Join(err, st.close())
	}
	return s.restoration(st, checked, building{
		want: to, stage: stageEarlierEntries,
		got: ledger.Checkpoint{Log: to.Log, Partition: to.Partition, Next: to.Next, Rules: to.Rules, RecordHash: to.RecordHash},
	}), nil
}

func (s *starter) restoration(st *store, checked bool, b building) *restoration {
	return &restoration{
		starter: s, building: b, store: st, layer: newLayer(st), bulk: newBulk(st, s.log), checked: checked, spilled: b.after != nil,
		machine: machine{log: s.log, number: b.want.Partition, partitionOf: s.of},
	}
}

// goOn returns the restoration that was interrupted, nil when there is none that fits. It goes on towards the checkpoint
// that it was begun for, also when the ledger's has moved since: rows below a checkpoint never change, and the log
// brings the rest.
func (s *starter) goOn(ctx context.Context, f facts) (*restoration, error) {
	number := f.known.Partition
	dir, fs := s.path(number)+buildingDir, s.options.files()
	if _, err := fs.Stat(dir); err != nil {
		return nil, nil //nolint:nilerr // nothing was begun
	}
	if _, err := fs.Stat(dir + condemned); err == nil {
		return nil, nil // what was begun is corrupt
	}
	st, err := openPebble(dir, s.options, true)
	if disk.Ends(err) {
		return nil, err // it may be good
	}
	if err != nil {
		s.slog.Warn("what was restored cannot be read, restoring again", "partition", number, "error", err)
		return nil, nil
	}
	b, err := st.building(s.log, number)
	if err == nil {
		err = s.fits(ctx, b.want, f)
	}
	if err == nil {
		s.slog.Info("restoring goes on where it was interrupted", "partition", number, "rows", b.rows, "of", b.want.Entries+b.want.Refusals)
		st.wake()
		r := s.restoration(st, true, b)
		if err := r.bulk.sweep(); err != nil {
			return nil, errors.Join(err, st.close())
		}
		return r, nil
	}
	if err := st.close(); err != nil {
		return nil, err
	}
	if errors.Is(err, errBegun) {
		s.slog.Info("what was restored does not fit, restoring again", "partition", number, "reason", err)
		return nil, nil
	}
	return nil, err
}

// forget removes what was begun of a restore that is not needed any more: the partition has its state. It only takes
// room.
func (s *starter) forget(number int32) {
	dir, fs := s.path(number)+buildingDir, s.options.files()
	if err := errors.Join(fs.RemoveAll(dir), fs.RemoveAll(dir+condemned)); err != nil {
		s.slog.Warn("what was restored in part is not removed", "partition", number, "dir", dir, "error", err)
	}
}

// errBegun says that what was begun is of no use.
var errBegun = errors.New("it was begun for something else")

// fits returns errBegun unless a state at a checkpoint that the ledger had once can still be built, and go on from there.
func (s *starter) fits(ctx context.Context, want ledger.Checkpoint, f facts) error {
	err := reached(want, f.known)
	if err == nil && want.Next < f.first {
		err = fmt.Errorf("the log begins at %d, after its checkpoint %d", f.first, want.Next)
	}
	if err == nil {
		if err = s.held(ctx, want, f); err != nil && !final(err) {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errBegun, err)
	}
	return nil
}

// build takes a restoration to its end and puts the state where it belongs. What is interrupted stays, to go on from;
// what contradicts itself does not.
func (s *starter) build(ctx context.Context, r *restoration) (*store, error) {
	number, fs := r.want.Partition, s.options.files()
	defer s.metrics.restoredOrNot(number)
	err := errors.Join(r.run(ctx), r.bulk.drop(), r.store.close())
	if err != nil {
		err = fmt.Errorf("restore partition %d: %w", number, err)
		if errors.Is(err, ErrLedgerMismatch) {
			err = errors.Join(err, fs.RemoveAll(r.store.dir))
		}
		return nil, err
	}
	dir := s.path(number)
	if err := moveState(fs, r.store.dir, dir); err != nil {
		return nil, err
	}
	return openStore(dir, s.log, number, s.options)
}
