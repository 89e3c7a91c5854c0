package aggregator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"reckoner/internal/bus"
	"reckoner/ledger"
)

// The reasons why a partition does not start. Each is final until someone acts; its text names the remedy.
var (
	// ErrLedgerBehind says that the local state holds more than the ledger: an older ledger was restored from a backup.
	ErrLedgerBehind = errors.New("the ledger is behind the local state, as after restoring an old backup: write its rows again with `reckoner replay`")
	// ErrLogTruncated says that records which the ledger does not hold are gone from the log.
	ErrLogTruncated = errors.New("the log no longer reaches back to the checkpoint: records between them are lost to this log")
	// ErrLogShort says that the log ends before the checkpoint.
	ErrLogShort = errors.New("the log ends before the ledger's checkpoint, as after a topic was deleted and created again, or its last copy was lost")
	// ErrLogChanged says that the record before the checkpoint is not the one that was counted.
	ErrLogChanged = errors.New("the log holds another record before the checkpoint than the one that was counted, as after a topic was deleted and created again, or in another cluster (kafka.brokers)")
	// ErrLedgerMismatch says that the ledger's rows are not those that its checkpoint counts.
	ErrLedgerMismatch = errors.New("the ledger's rows do not match its checkpoint: see `reckoner verify`, write them again with `reckoner replay`")
)

// starter opens partitions by the start rule of the design: go on from the local state when the ledger has all of it
// and the log reaches it; else rebuild it from the ledger; never skip, never guess.
type starter struct {
	dir      string // of all states of this log
	log      ledger.Log
	of       Partitioner
	source   Source
	restorer ledger.Restorer
	watcher  ledger.Watcher
	options  storeOptions
	metrics  *metrics
	slog     *slog.Logger
	// doubt is how long a log is asked again that seems to end before the checkpoint; 0: not at all.
	doubt time.Duration
	// vacancies makes partitions without a state wait before they are restored; nil: they do not.
	vacancies *vacancies
	rules     ruleSet               // nil: those of this build
	progress  func(partition int32) // told of rows that were restored; nil: nobody is
	batchRows int                   // of a restore, that leave memory together; 0: restoreRows
	bulkRows  int                   // of a restore, that go to the store together; 0: batchRows, or bulkRows
}

func (s *starter) path(partition int32) string {
	return filepath.Join(s.dir, fmt.Sprintf("log-%d", s.log.Number), fmt.Sprintf(partitionDir, partition))
}

const partitionDir = "partition-%04d"

// facts are what the ledger and the log say about a partition.
type facts struct {
	known       ledger.Checkpoint // the ledger's; at the log's start when there is none
	first, next int64             // what the log holds
}

// gather asks the ledger and the log, and holds one against the other: when the log is not the one that was counted,
// nothing else may be believed.
func (s *starter) gather(ctx context.Context, number int32) (facts, error) {
	known, err := s.known(ctx, number)
	if err != nil {
		return facts{}, err
	}
	first, next, err := s.reach(ctx, number, known.Next)
	if err != nil {
		return facts{}, fmt.Errorf("read the log's offsets: %w", err)
	}
	f := facts{known: known, first: first, next: next}
	return f, s.held(ctx, known, f)
}

// known is the ledger's checkpoint of a partition; at the log's start when there is none.
func (s *starter) known(ctx context.Context, number int32) (ledger.Checkpoint, error) {
	c, have, err := s.restorer.Checkpoint(ctx, s.log.Number, number)
	if err != nil {
		return c, fmt.Errorf("read the checkpoint: %w", err)
	}
	if !have {
		c = ledger.Checkpoint{Log: s.log.Number, Partition: number, Next: s.log.Start(number)}
	}
	return c, nil
}

// reach asks what the log holds. An answer that ends before an offset is not believed at once: a broker that was frozen
// while another took its place answers with what it had, until it learns of it.
func (s *starter) reach(ctx context.Context, number int32, to int64) (first, next int64, err error) {
	const attempts = 10
	for range attempts {
		if first, next, err = s.source.Offsets(ctx, number); err != nil || next >= to || s.doubt == 0 {
			return first, next, err
		}
		if !sleep(ctx, s.doubt/attempts) {
			return 0, 0, ctx.Err()
		}
	}
	return s.source.Offsets(ctx, number)
}

// start opens one partition. Errors of the log or the ledger that may pass are returned as they are.
func (s *starter) start(ctx context.Context, number int32) (*partition, error) {
	f, err := s.gather(ctx, number)
	if err != nil {
		return nil, err
	}
	st, err := openStore(s.path(number), s.log, number, s.options)
	if err == nil {
		if err = s.usable(ctx, st.checkpoint, f); err == nil {
			s.forget(number)
			return s.partition(number, st), nil
		}
		err = errors.Join(err, st.close())
	}
	if !errors.Is(err, errNoState) {
		return nil, err
	}
	if f.known.Next < f.first {
		return nil, LogTruncated(f.known, f.first)
	}
	if err := s.mastered(f.known); err != nil {
		return nil, err
	}
	if f.known.Next > s.log.Start(number) {
		if errors.Is(err, fs.ErrNotExist) {
			if waited, err := s.vacancies.wait(ctx, number); err != nil {
				return nil, err
			} else if waited {
				return s.start(ctx, number) // another process may have moved the checkpoint meanwhile
			}
		}
		s.slog.Warn("local state is not usable, restoring it from the ledger", "partition", number, "reason", err)
	}
	if st, err = s.restore(ctx, f); err != nil {
		return nil, err
	}
	return s.partition(number, st), nil
}

func (s *starter) partition(number int32, st *store) *partition {
	p := newPartition(s.log, number, s.of, st)
	p.machine.rules = s.rules
	return p
}

// mastered returns an error when a state comes from rules that this build does not know: it could not be told apart
// from one that it decides wrongly upon.
func (s *starter) mastered(c ledger.Checkpoint) error {
	if newest := s.rules.newest(); c.Rules > newest {
		return fmt.Errorf("%w (checkpoint %d was decided by rules %d, known %d)", ErrNewerRules, c.Next, c.Rules, newest)
	}
	return nil
}

// check holds a state that stayed open between two generations to the same rule. Nothing may be on its way.
func (s *starter) check(ctx context.Context, p *partition) error {
	f, err := s.gather(ctx, p.machine.number)
	if err != nil {
		return err
	}
	return s.usable(ctx, p.settled, f)
}

// usable returns nil when the partition may go on from a local state, errNoState when the state must be restored from
// the ledger, or why the partition must stop.
func (s *starter) usable(ctx context.Context, c ledger.Checkpoint, f facts) error {
	if err := errors.Join(reached(c, f.known), s.mastered(c)); err != nil {
		return err
	}
	if c.Next < f.first {
		return fmt.Errorf("%w: it is behind the log's begin (state %d, log from %d)", errNoState, c.Next, f.first)
	}
	return s.held(ctx, c, f)
}

// reached returns nil when the ledger has all of a state. It may have more: another process may have gone on.
func reached(c, known ledger.Checkpoint) error {
	switch {
	case c.Next > known.Next:
		return fmt.Errorf("%w (state %d, ledger %d)", ErrLedgerBehind, c.Next, known.Next)
	case c.Next == known.Next && c != known:
		return fmt.Errorf("%w (state %+v, ledger %+v)", ErrLedgerMismatch, c, known)
	default:
		return nil
	}
}

// held holds the log against a checkpoint: it must reach it, and the record before it must be the one that was
// counted, as far as the log still has it.
func (s *starter) held(ctx context.Context, c ledger.Checkpoint, f facts) error {
	if c.Next > f.next {
		return LogShort(c, f.next)
	}
	if c.Next-1 < max(f.first, s.log.Start(c.Partition)) {
		return nil // the record is gone, or belongs to the log before this one
	}
	rec, err := s.source.Record(ctx, c.Partition, c.Next-1)
	if err != nil {
		return fmt.Errorf("read the record before the checkpoint: %w", err)
	}
	if h := ledger.RecordHash(rec.Key, rec.Value); h != c.RecordHash {
		return fmt.Errorf("%w (offset %d, hash %x, counted %x); %s", ErrLogChanged, rec.Offset, h, c.RecordHash, GoOn(c.Partition, ledger.UnknownLoss))
	}
	return nil
}

// final reports whether an error stops a partition until someone acts. It is tried again all the same, seldom.
func final(err error) bool {
	for _, known := range [...]error{
		ErrLedgerBehind, ErrLogTruncated, ErrLogShort, ErrLogChanged, ErrLedgerMismatch, ErrNewerRules, ledger.ErrSchema,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	var gap *GapError
	var missing *bus.GapError
	var beyond *bus.OutOfRangeError
	return errors.As(err, &gap) || errors.As(err, &missing) || errors.As(err, &beyond)
}
