// Package app wires the processes: what is started, in which order, and how it stops. Every process is a straight
// line of starts (dev.go, ingest.go, aggregate.go, engines.go); each registers its own end the moment it exists, and
// ends come in the opposite order.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Lifecycle holds what was started. Its methods are for one goroutine.
type Lifecycle struct {
	log   *slog.Logger
	ctx   context.Context // ends when something that must run has failed
	fail  context.CancelCauseFunc
	stops []stop
}

type stop struct {
	name string
	end  func(ctx context.Context) error
}

// NewLifecycle returns a lifecycle with nothing in it.
func NewLifecycle(log *slog.Logger) *Lifecycle {
	ctx, fail := context.WithCancelCause(context.Background())
	return &Lifecycle{log: log, ctx: ctx, fail: fail}
}

// OnStop registers the end of something that was started.
func (l *Lifecycle) OnStop(name string, end func(ctx context.Context) error) {
	l.stops = append(l.stops, stop{name, end})
}

// Close registers the end of something that only has to be closed.
func (l *Lifecycle) Close(name string, end func() error) {
	l.OnStop(name, func(context.Context) error { return end() })
}

// Go runs something in the background until its turn to stop comes. When it ends before, with or without an error, the
// whole process stops: whatever it did is missing.
func (l *Lifecycle) Go(name string, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		if err = run(ctx); ctx.Err() == nil {
			early := fmt.Errorf("%s ended: %w", name, orEnded(err))
			if l.fail(early); errors.Is(context.Cause(l.ctx), early) {
				err = nil // Wait tells it
			}
		}
	}()
	l.OnStop(name, func(limit context.Context) error {
		cancel()
		select {
		case <-done:
		case <-limit.Done():
			return limit.Err()
		}
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
}

var errEnded = errors.New("nothing went wrong, but it must not end")

func orEnded(err error) error {
	if err == nil {
		return errEnded
	}
	return err
}

// Wait returns nil when ctx ends, or why something that must run has ended.
func (l *Lifecycle) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
}

// Stop ends everything, last started first, within a time. What does not end in time is named and left behind, and
// what was started before it is still ended: it may hold data to be flushed.
func (l *Lifecycle) Stop(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var errs []error
	for i := len(l.stops) - 1; i >= 0; i-- {
		s := l.stops[i]
		started := time.Now()
		if err := s.end(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
			l.log.Error("stopped with an error", "what", s.name, "error", err)
			continue
		}
		l.log.Debug("stopped", "what", s.name, "took", time.Since(started))
	}
	l.stops = nil
	return errors.Join(errs...)
}
