package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"reckoner/internal/bus"
	"reckoner/ledger"
)

// logReader is what lags are read from.
type logReader interface {
	AllOffsets(ctx context.Context, topic string) (map[int]bus.Range, error)
	ReadRecord(ctx context.Context, topic string, partition int, offset int64) (bus.Record, error)
}

// lagLedger is what lags are measured against.
type lagLedger interface {
	ledger.Logs
	ledger.Watcher
}

// reportLag tells how far the ledger is behind the log, for reports to say so.
type reportLag struct {
	log     logReader
	ledger  lagLedger
	timeout time.Duration // for one measurement
	now     func() time.Time
	slog    *slog.Logger
}

// unknownLag is that of a partition of which nobody could tell.
const unknownLag = time.Duration(-1)

// Lag measures once, and returns how far the ledger is behind for an account: the age of the first record of its partition
// that the ledger does not have yet, 0 when it has all; false when it is not known. What Kafka does not tell in time is
// unknown: a report never waits for it.
//
// An age is that of the producer's clock at writing, since Kafka's client shows no other. It informs and decides nothing.
func (l *reportLag) Lag(ctx context.Context) (of func(accountID string) (time.Duration, bool), err error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	current, lags, err := l.partitions(ctx)
	if len(lags) > 0 && err != nil {
		l.slog.Warn("it is not known how far some partitions are behind the log", "error", err)
		err = nil // of the others it is
	}
	return func(accountID string) (time.Duration, bool) {
		if len(lags) == 0 {
			return 0, false
		}
		lag := lags[bus.PartitionFor([]byte(accountID), int(current.Partitions))]
		return lag, lag != unknownLag
	}, err
}

// partitions measures every partition of the log. Those that could not be measured are unknown, and the error says why.
func (l *reportLag) partitions(ctx context.Context) (current ledger.Log, lags []time.Duration, err error) {
	if current, err = l.ledger.CurrentLog(ctx); err != nil {
		return current, nil, err
	}
	next := make([]int64, current.Partitions)
	for i := range next {
		next[i] = current.Start(int32(i))
	}
	checkpoints, err := l.ledger.Checkpoints(ctx, current.Number)
	if err != nil {
		return current, nil, err
	}
	for i := range checkpoints {
		if p := checkpoints[i].Partition; int(p) < len(next) {
			next[p] = checkpoints[i].Next
		}
	}
	ends, err := l.log.AllOffsets(ctx, current.Topic)
	if err != nil {
		return current, nil, err
	}
	lags = make([]time.Duration, len(next))
	var mu sync.Mutex
	var errs []error
	var group errgroup.Group
	group.SetLimit(8)
	for i := range lags {
		end, there := ends[i]
		if there && end.Next <= next[i] {
			continue // the ledger has all
		}
		group.Go(func() error {
			rec, err := l.log.ReadRecord(ctx, current.Topic, i, next[i])
			if err == nil {
				lags[i] = max(0, l.now().Sub(rec.Time))
				return nil
			}
			lags[i] = unknownLag
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			return nil
		})
	}
	_ = group.Wait() // none of them fails: what cannot be read is unknown
	return current, lags, errors.Join(errs...)
}
