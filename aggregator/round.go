package aggregator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"reckoner"
	"reckoner/aggregator/disk"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
	"reckoner/ledger"
)

// round is the work of one generation.
type round struct {
	*Aggregator
	generation Generation
	budget     *budget
	flusher    *flusher
}

func (a *Aggregator) newRound(g Generation) *round {
	b := newBudget(a.o.Limits)
	r := &round{Aggregator: a, generation: g, budget: b}
	r.flusher = &flusher{
		budget: b, now: time.Now, drain: a.o.DrainTimeout, settled: r.settled,
		watch: r.watch, interval: a.o.WatchInterval, stopped: r.status.fail,
		order: commitOrder{
			write: r.write, bury: r.bury, answer: r.answer, settle: (*partition).settle, report: r.report, at: a.o.At,
		},
	}
	return r
}

// work opens a partition and decides its records until ctx ends. What stops the partition is told, and tried again:
// seldom when only a person can mend it. An error is fatal to the process.
func (r *round) work(ctx context.Context, number int32) error {
	wait := r.backoff()
	for {
		err := r.consume(ctx, number, wait)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errState) || disk.Ends(err) {
			return err
		}
		pause := wait.NextBackOff()
		if final(err) {
			pause = r.o.BackoffMax
		}
		r.status.fail(number, err)
		r.metrics.retries.WithLabelValues("consume").Inc()
		r.o.Slog.Error("partition stopped", "partition", number, "error", err, "again_in", pause)
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// consume opens a partition and decides its records until something fails.
func (r *round) consume(ctx context.Context, number int32, wait *backoff.ExponentialBackOff) error {
	p := r.flusher.joined(number)
	if p == nil {
		var err error
		if p, err = r.partition(ctx, number); err != nil {
			return err
		}
		r.status.opened(number, p.next())
		r.flusher.join(p)
	}
	reader, err := r.o.Source.Open(ctx, number, p.next())
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	for failed := false; ; {
		if err := r.await(ctx, number); err != nil {
			return err
		}
		recs, next, err := reader.Fetch(ctx)
		if err != nil {
			if ctx.Err() != nil || !retryable(err) {
				return err
			}
			if !failed { // told once; health tells on
				failed = true
				r.o.Slog.Warn("partition waits for Kafka", "partition", number, "error", err)
			}
			r.status.fail(number, err) // the reader paces itself
			continue
		}
		if failed {
			failed = false
			r.o.Slog.Info("partition goes on", "partition", number)
		}
		t, err := p.decide(recs)
		r.budget.add(&t, time.Now())
		r.metrics.decided(&t)
		if err != nil {
			return err
		}
		wait.Reset()
		r.status.seen(number, next)
	}
}

// lookFor is how long a look at the ledger counts: no checkpoint follows one that began longer ago. It covers the insert of
// the totals of a few records, beside which a look takes nobody's time.
const lookFor = 20 * time.Millisecond

// write inserts until it can. The batch may be stored in part after a failure, or twice: its rows are keyed.
//
// A ledger that came back after a failure may be another one, and so may any: it has to hold what the batch goes on
// from. That is looked at right before the checkpoints, because only they can lie: other rows from the checkpoint on
// count as half a batch until it says otherwise.
func (r *round) write(ctx context.Context, rows *ledger.Batch, from []ledger.Checkpoint) error {
	failed := false
	return r.retry(ctx, "insert", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, r.o.WriteTimeout)
		defer cancel()
		if failed {
			if err := r.starter.watch(ctx, from); err != nil {
				return err
			}
		}
		failed = true
		if err := r.o.Ledger.Write(ctx, &ledger.Batch{Entries: rows.Entries, Refusals: rows.Refusals}); err != nil {
			return err
		}
		if err := r.total(ctx, rows.Totals, from); err != nil {
			return err
		}
		return r.o.Ledger.Write(ctx, &ledger.Batch{Checkpoints: rows.Checkpoints})
	}, func(err error) bool {
		_, exchanged := errors.AsType[*exchangedError](err)
		return exchanged || ledger.Permanent(err)
	})
}

// total inserts totals and holds the ledger against what the batch goes on from: both at once when the totals are few, and
// once more, or only then, when they are in later than a look counts.
func (r *round) total(ctx context.Context, totals []ledger.Total, from []ledger.Checkpoint) error {
	var looked time.Time
	both, bothCtx := errgroup.WithContext(ctx)
	if len(totals) <= totalsFew {
		looked = time.Now()
		both.Go(func() error { return r.starter.watch(bothCtx, from) })
	}
	both.Go(func() error { return r.o.Ledger.Write(bothCtx, &ledger.Batch{Totals: totals}) })
	if err := both.Wait(); err != nil || time.Since(looked) <= lookFor {
		return err
	}
	return r.starter.watch(ctx, from)
}

// totalsFew are totals whose insert is as a rule done while a look counts.
const totalsFew = 1000

// watch holds the ledger against what is settled while nothing is written.
func (r *round) watch(ctx context.Context, settled []ledger.Checkpoint) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.WriteTimeout)
	defer cancel()
	err := r.starter.watch(ctx, settled)
	if _, exchanged := errors.AsType[*exchangedError](err); err != nil && !exchanged && ctx.Err() == nil {
		r.o.Slog.Warn("the ledger was not held against the local states", "error", err)
	}
	return err
}

// bury writes dead letters until it can. One that is too large for the topic goes without its contents, which stay in
// the log at the position that it names: it must not hold the partition, which it would at every start again.
func (r *round) bury(ctx context.Context, dead []bus.Record) error {
	return r.retry(ctx, "dead letter", func(ctx context.Context) error {
		for range len(dead) + 1 {
			err := r.o.Publisher.Produce(ctx, bus.TopicDeadLetter, dead)
			large, ok := errors.AsType[*bus.TooLargeError](err)
			if !ok {
				return err
			}
			dead = slices.Clone(dead)
			dead[large.Index] = emptied(dead[large.Index])
		}
		return errors.New("dead letters are too large even without their contents")
	}, func(error) bool { return false })
}

// retry tries until it works, a failure is permanent, or ctx ends.
func (r *round) retry(ctx context.Context, what string, try func(context.Context) error, permanent func(error) bool) error {
	for wait := r.backoff(); ; {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if permanent(err) {
			return err
		}
		pause := wait.NextBackOff()
		r.metrics.retries.WithLabelValues(what).Inc()
		r.status.failAll(fmt.Errorf("%s: %w", what, err))
		r.o.Slog.Warn("attempt failed", "step", what, "error", err, "again_in", pause)
		if !sleep(ctx, pause) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// answer publishes outcomes for those who wait. Who misses one is told that the event is stored, and can read on.
func (r *round) answer(ctx context.Context, verdicts []reckoner.Verdict) {
	ctx, cancel := context.WithTimeout(ctx, r.o.AnswerTimeout)
	defer cancel()
	recs := make([]bus.Record, 0, len(verdicts))
	for i := range verdicts {
		value, err := wire.EncodeVerdict(&verdicts[i])
		if err != nil {
			r.o.Slog.Error("outcome cannot be published", "position", verdicts[i].Position, "error", err)
			continue
		}
		recs = append(recs, bus.Record{Key: []byte(verdicts[i].AccountID), Value: value})
	}
	if err := r.o.Publisher.Produce(ctx, bus.TopicOutcomes, recs); err != nil {
		r.metrics.unanswered.Add(float64(len(recs)))
		r.o.Slog.Warn("outcomes not published", "outcomes", len(recs), "error", err)
	}
}

func (r *round) report(ctx context.Context, next map[int]int64) {
	ctx, cancel := context.WithTimeout(ctx, r.o.AnswerTimeout)
	defer cancel()
	if err := r.generation.Commit(ctx, next); err != nil {
		r.metrics.unreported.Inc()
		r.o.Slog.Debug("group offset not committed", "error", err)
	}
}

func (r *round) settled(all []sealed, started time.Time) {
	records := 0
	for _, s := range all {
		records += s.batch.records
		r.status.settled(s.batch.checkpoint)
	}
	r.metrics.flushed(records, time.Since(started))
}

func (r *round) backoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = r.o.BackoffMin, r.o.BackoffMax
	return b
}

// sleep waits, and reports whether ctx is still going on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
