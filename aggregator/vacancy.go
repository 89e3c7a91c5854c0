package aggregator

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// vacancies are partitions that came to this process without a state. Their holder may only be starting again, as in
// every deploy; so they wait a while for it before they are restored. When it comes back, the group gives the partition
// to it and this process's generation ends, with nothing restored.
//
// The time runs from when the partition came, over all generations since: a neighbour that comes and goes does not put
// the restore off for ever.
type vacancies struct {
	delay time.Duration
	slog  *slog.Logger

	mu    sync.Mutex
	since map[int32]time.Time
}

func newVacancies(delay time.Duration, log *slog.Logger) *vacancies {
	return &vacancies{delay: delay, slog: log, since: make(map[int32]time.Time)}
}

// wait waits for what is left of the delay, and reports whether that was anything. The error is that of ctx.
func (v *vacancies) wait(ctx context.Context, partition int32) (waited bool, err error) {
	if v == nil {
		return false, nil
	}
	left := v.left(partition)
	if left <= 0 {
		return false, nil
	}
	v.slog.Info("no local state of a partition, waiting for the process that has it before restoring",
		"partition", partition, "wait", left)
	if !sleep(ctx, left) {
		return true, ctx.Err()
	}
	return true, nil
}

func (v *vacancies) left(partition int32) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	since, ok := v.since[partition]
	if !ok {
		since = time.Now()
		v.since[partition] = since
	}
	return v.delay - time.Since(since)
}

// keep forgets all partitions but those that are this process's still.
func (v *vacancies) keep(partitions []int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	kept := make(map[int32]time.Time, len(partitions))
	for _, p := range partitions {
		if since, ok := v.since[p]; ok {
			kept[p] = since
		}
	}
	v.since = kept
}

// filled forgets a partition that has a state now.
func (v *vacancies) filled(partition int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.since, partition)
}
