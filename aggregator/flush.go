package aggregator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"reckoner/ledger"
)

// flusher is the one inserter of a process: it gathers what the partitions decided into one insert per table, one
// flush at a time. Those who wait ride the next.
type flusher struct {
	budget  *budget
	order   commitOrder
	now     func() time.Time
	settled func(all []sealed, started time.Time) // told of every flush that went through
	drain   time.Duration                         // bound of what is flushed after done
	// watch holds the ledger against checkpoints that it has had, when nothing was flushed for the interval; 0: never.
	watch    func(ctx context.Context, settled []ledger.Checkpoint) error
	interval time.Duration
	// stopped is told of a partition that must not be written on, and why.
	stopped func(number int32, err error)

	watched    time.Time // when the ledger was last looked at, by a flush or without one
	mu         sync.Mutex
	partitions []*partition
}

// join adds a partition to the flushes.
func (f *flusher) join(p *partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.partitions = append(f.partitions, p)
}

// joined returns a partition that joined, or nil.
func (f *flusher) joined(number int32) *partition {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.partitions {
		if p.machine.number == number {
			return p
		}
	}
	return nil
}

// run flushes whenever a flush is due. When done is closed it finishes the flush that is on its way, flushes what is
// left, both within the time of drain, and returns; when ctx ends it returns at once, with nil: what was not settled
// must be abandoned either way. An error means that going on could not be right.
func (f *flusher) run(ctx context.Context, done <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	var bound sync.WaitGroup
	defer bound.Wait()
	defer cancel()
	bound.Go(func() { f.bound(ctx, done, cancel) })
	for {
		wait := f.budget.due(f.now())
		if wait == 0 {
			if err := f.flush(ctx); err != nil {
				return ended(ctx, err)
			}
			continue
		}
		select {
		case <-after(wait):
		case <-after(f.unwatched()):
			f.look(ctx)
		case <-f.budget.changed:
		case <-ctx.Done():
			return nil
		case <-done:
			return ended(ctx, f.flush(ctx))
		}
	}
}

// bound ends the work when the time of drain after done is over. The flush that is on its way at done needs the bound,
// too: a ledger that is down would hold an orderly stop for ever.
func (f *flusher) bound(ctx context.Context, done <-chan struct{}, cancel func()) {
	select {
	case <-done:
		if sleep(ctx, f.drain) {
			cancel()
		}
	case <-ctx.Done():
	}
}

// ended returns nil for an error that only says that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, errState) {
		return nil
	}
	return err
}

// after returns a channel that is ready after a time, never when it is negative.
func after(wait time.Duration) <-chan time.Time {
	if wait < 0 {
		return nil
	}
	return time.After(wait)
}

// flush takes what every partition has decided through the commit order.
func (f *flusher) flush(ctx context.Context) error {
	started := f.now()
	// Before sealing: what is decided in between is sealed too and only counted again, never forgotten.
	f.budget.take(started)
	f.mu.Lock()
	partitions := slices.Clone(f.partitions)
	f.mu.Unlock()
	var all []sealed
	for _, p := range partitions {
		if b := p.seal(); b != nil {
			all = append(all, sealed{p, b})
		}
	}
	for len(all) > 0 {
		err := f.order.run(ctx, all)
		if exchanged, ok := errors.AsType[*exchangedError](err); ok {
			f.fence(exchanged)
			all = slices.DeleteFunc(all, func(s sealed) bool { return exchanged.partitions[s.partition.machine.number] != nil })
			continue // the others' rows are written again, which changes nothing
		}
		if err != nil {
			return err
		}
		f.watched = f.now()
		f.budget.done(f.watched)
		f.settled(all, started)
		return nil
	}
	return nil
}

// unwatched is how long the ledger need not be looked at; negative: for ever.
func (f *flusher) unwatched() time.Duration {
	if f.interval == 0 {
		return -1
	}
	return max(f.interval-f.now().Sub(f.watched), 0)
}

// look holds the ledger against all that is settled. Nothing may be on its way.
func (f *flusher) look(ctx context.Context) {
	f.watched = f.now()
	f.mu.Lock()
	settled := make([]ledger.Checkpoint, 0, len(f.partitions))
	for _, p := range f.partitions {
		settled = append(settled, p.settledAt())
	}
	f.mu.Unlock()
	if len(settled) == 0 {
		return
	}
	if exchanged, ok := errors.AsType[*exchangedError](f.watch(ctx, settled)); ok {
		f.fence(exchanged)
	}
}

// fence takes partitions out of the flushes, for good: they join again when the start rule lets them.
func (f *flusher) fence(e *exchangedError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.partitions = slices.DeleteFunc(f.partitions, func(p *partition) bool {
		err := e.partitions[p.machine.number]
		if err != nil {
			p.stop(err)
			f.stopped(p.machine.number, err)
		}
		return err != nil
	})
}
