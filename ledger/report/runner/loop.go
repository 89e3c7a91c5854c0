package runner

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Loop runs at once and then every so often, each time after a random wait of at most jitter, until ctx ends. A run that the ledger
// ends is begun again soon, with backoff. Those that wait to be tried again never delay the next run: it leaves them out.
func (r *Runner) Loop(ctx context.Context, every, jitter time.Duration) error {
	r.loop.every.Store(int64(every))
	var tails sync.WaitGroup
	defer tails.Wait()
	next, failures := time.Now(), 0
	for {
		pause := time.Until(next)
		if bound := min(jitter, every/2); bound > 0 && failures == 0 {
			pause += r.o.Random(bound)
		}
		if !sleep(ctx, pause) {
			return nil
		}
		run := r.begin(ctx, Request{}, nil)
		run.sweep(r.fast)
		err := run.broken()
		mine := r.loop.slow.CompareAndSwap(false, true)
		tails.Go(func() { r.tail(run, mine) })
		now := time.Now()
		if err != nil {
			next = now.Add(min(every, r.backoff(failures)+r.o.RetryBackoffMin))
			failures++
			continue
		}
		failures = 0
		for !next.After(now) { // ticks that passed meanwhile are made up for by the next one
			next = next.Add(every)
		}
	}
}

// tail ends a run. One that comes while those that fared badly in an earlier one are still being worked leaves them alone.
func (r *Runner) tail(run *run, slow bool) {
	began := time.Now()
	s, err := run.finish(slow)
	if slow {
		r.loop.slow.Store(false)
	}
	level, what := r.o.Log.Info, "reports sent"
	if err != nil && run.ctx.Err() == nil {
		level, what = r.o.Log.Error, "reports: the run ended early; the next one makes up for it"
	}
	level(what, "accepted", s.Reports, "installations", s.Installations, "unchanged", s.Unchanged, "failed", s.Failed, "refused", s.Refused,
		"superseded", s.Superseded, "skipped", s.Skipped, "unsendable", s.Unsendable, "stale", s.Stale, "expired", s.Expired,
		"seconds", time.Since(began).Seconds(), "error", err)
	r.loop.told(s, err, r.o.Now())
}

// loopStatus is what Loop does.
type loopStatus struct {
	every atomic.Int64
	slow  atomic.Bool // the slow lane is being worked

	mu    sync.Mutex
	last  Summary
	err   error
	ended time.Time // the last run that was whole
	tried time.Time // the last run
}

func (l *loopStatus) told(s Summary, err error, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried, l.err = at, err
	if err == nil {
		l.last, l.ended = s, at
	}
}

// Status is how reports stand, for health checks.
type Status struct {
	Counts
	Every   time.Duration // of Loop; 0: it does not run
	Last    Summary       // of Loop's last whole run
	EndedAt time.Time     // when that one ended; zero: there was none
	TriedAt time.Time     // when the last run ended, whole or not
	Err     error         // why that one ended early; nil: it did not
}

// Status returns how reports stand.
func (r *Runner) Status() Status {
	r.loop.mu.Lock()
	defer r.loop.mu.Unlock()
	return Status{
		Counts: r.state.counts(), Every: time.Duration(r.loop.every.Load()), Last: r.loop.last, EndedAt: r.loop.ended,
		TriedAt: r.loop.tried, Err: r.loop.err,
	}
}
