package runner

import (
	"context"
	"time"

	"reckoner/ledger"
)

const (
	// recordEvery is how long results are gathered before they are stored together.
	recordEvery = 200 * time.Millisecond
	// recordTimeout is how long storing is tried again. What is not stored by then stays as sending, and is sent again by the next run.
	recordTimeout = time.Minute
)

// result is what came of an installation's reports.
type result struct {
	rows []ledger.Report
	done func() // called once the rows are stored, or given up
}

// recorder stores results, many together.
type recorder struct {
	in    chan result
	ended chan struct{}
}

// record stores results until there are no more to come.
func (r *run) record() {
	defer close(r.recorder.ended)
	for first := range r.recorder.in {
		all := r.gather(first)
		var rows []ledger.Report
		for _, one := range all {
			rows = append(rows, one.rows...)
		}
		if len(rows) > 0 {
			r.o.At("record")
			if err := r.store(rows); err != nil {
				r.metrics.unrecorded.Add(float64(len(rows)))
				r.fail(err)
			}
		}
		for _, one := range all {
			one.done()
		}
	}
}

// gather waits a little for more results.
func (r *run) gather(first result) []result {
	all := []result{first}
	timer := time.NewTimer(recordEvery)
	defer timer.Stop()
	for len(all) < r.o.Batch {
		select {
		case more, ok := <-r.recorder.in:
			if !ok {
				return all
			}
			all = append(all, more)
		case <-timer.C:
			return all
		}
	}
	return all
}

// store writes results, and tries again for a while: each says what a partner has.
func (r *run) store(rows []ledger.Report) error {
	ctx, cancel := context.WithTimeout(r.stores, recordTimeout)
	defer cancel()
	for n := 0; ; n++ {
		err := r.o.Ledger.WriteReports(ctx, rows)
		if err == nil {
			return nil
		}
		if !sleep(ctx, r.backoff(n)) || r.broken() != nil { // after the first that was given up nobody waits a minute each
			return err
		}
		r.o.Log.Warn("what came of reports cannot be stored yet", "reports", len(rows), "error", err)
	}
}

// backoff returns a wait after the n-th failure in a row, counted from 0: a random part of a bound that doubles, so that
// those who failed together do not come back together.
func (r *Runner) backoff(n int) time.Duration {
	bound := r.o.RetryBackoffMin
	for range n {
		if bound *= 2; bound >= r.o.RetryBackoffMax {
			bound = r.o.RetryBackoffMax
			break
		}
	}
	return r.o.Random(bound)
}

// sleep waits; false: ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
