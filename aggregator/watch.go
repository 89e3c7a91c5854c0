package aggregator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reckoner/ledger"
)

// exchangedError says that the ledger no longer holds what was settled in some partitions: it was exchanged while they
// were worked on. Writing on would put a checkpoint over rows that are not there.
type exchangedError struct {
	partitions map[int32]error // ErrLedgerBehind or ErrLedgerMismatch
}

// Error names the partitions.
func (e *exchangedError) Error() string {
	var all []string
	for _, number := range slices.Sorted(maps.Keys(e.partitions)) {
		all = append(all, fmt.Sprintf("partition %d: %v", number, e.partitions[number]))
	}
	return strings.Join(all, "; ")
}

// watch holds the ledger's checkpoints against those that it must have reached by now, one a partition, and returns an
// exchangedError for those that it lacks. A ledger that is ahead is fine: another process went on.
//
// It never decides anything, so it may be asked at any time. The checkpoints must be settled before it is called.
func (s *starter) watch(ctx context.Context, settled []ledger.Checkpoint) error {
	all, err := s.watcher.Checkpoints(ctx, s.log.Number)
	if err != nil {
		return fmt.Errorf("hold the ledger against the local states: %w", err)
	}
	known := make(map[int32]ledger.Checkpoint, len(all))
	for _, c := range all {
		known[c.Partition] = c
	}
	lacking := make(map[int32]error)
	for _, c := range settled {
		now, have := known[c.Partition]
		if have && reached(c, now) == nil || !have && c.Next == s.log.Start(c.Partition) {
			continue
		}
		// A replica that lags looks the same: only an answer that waits for it is believed.
		now, err := s.known(ctx, c.Partition)
		if err != nil {
			return err
		}
		if err := reached(c, now); err != nil {
			lacking[c.Partition] = err
		}
	}
	if len(lacking) > 0 {
		return &exchangedError{lacking}
	}
	return nil
}
