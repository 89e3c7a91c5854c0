package aggregator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"reckoner/ledger"
)

// LogTruncated is ErrLogTruncated of a log that begins above a checkpoint, with the remedy.
func LogTruncated(c ledger.Checkpoint, first int64) error {
	return fmt.Errorf("%w (checkpoint %d, the log begins at %d); %s", ErrLogTruncated, c.Next, first, GoOn(c.Partition, first-c.Next))
}

// LogShort is ErrLogShort of a log that ends before a checkpoint, with the remedy.
func LogShort(c ledger.Checkpoint, end int64) error {
	return fmt.Errorf("%w (checkpoint %d, the log ends before %d); %s", ErrLogShort, c.Next, end, GoOn(c.Partition, ledger.UnknownLoss))
}

// GoOn names the remedy for a log that lost records: they are brought back, or someone gives them up.
func GoOn(partition int32, records int64) string {
	return "bring back what the topic held, or go on without it: stop ingest and the aggregators, then " + ledger.AcceptLoss(partition, records) +
		" (with --dry-run it only shows what is lost)"
}

// Uncounted shows the totals that follow from rows at an offset and above, of a partition whose log is given up at that
// checkpoint. Such rows were written, and their totals and checkpoint perhaps not, when the log was lost: the states of
// the next log count them, so the totals have to.
func (r *Replay) Uncounted(ctx context.Context, number int32, from int64, show func(*ledger.Total) error) (err error) {
	dir, err := os.MkdirTemp(r.TempDir, "reckoner-replay-")
	if err != nil {
		return fmt.Errorf("directory of the replay: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cache := pebble.NewCache(max(r.CacheBytes, 8<<20))
	defer cache.Unref()
	s := &starter{
		dir: dir, log: r.Log, of: r.Partitioner, source: r.Source, restorer: r.Restorer, slog: r.Slog,
		options: storeOptions{cache: cache, log: r.Slog, fs: r.FS},
	}
	st, err := s.restoreUnchecked(ctx, ledger.Checkpoint{Log: r.Log.Number, Partition: number, Next: math.MaxInt64})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	return r.restored(st, func(t *ledger.Total) error {
		if t.Position.Offset < from {
			return nil
		}
		return show(t)
	})
}
