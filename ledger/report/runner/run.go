package runner

import (
	"context"
	"fmt"
	"sync"
	"time"

	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// run is one run of a Runner.
type run struct {
	*Runner
	req      Request
	began    time.Time
	ctx      context.Context // its end begins nothing new
	sends    context.Context // attempts that are under way: it ends later
	stores   context.Context // storing what came of them: it ends last
	free     []func()
	recorder recorder
	jobs     sync.WaitGroup
	slowOnes []item // installations whose last report was not accepted

	mu       sync.Mutex
	summary  Summary
	of       int
	err      error
	progress func(done, of int)
}

// item is an installation that is to be worked.
type item struct {
	id    string
	room  int // how many timestamps are claimed for it
	tries int // how often another reporter overtook it in this run
}

// Run makes and sends what is due, and waits for all deliveries. It returns an error when the ledger does not answer or ctx
// ends; the summary is then of the installations that were worked by then. What goes wrong with an installation is in the
// summary. progress, if not nil, is called as installations end, by one goroutine at a time.
func (r *Runner) Run(ctx context.Context, req Request, progress func(done, of int)) (Summary, error) {
	run := r.begin(ctx, req, progress)
	run.sweep(r.fast)
	return run.finish(true)
}

// begin gathers the installations of a run.
func (r *Runner) begin(ctx context.Context, req Request, progress func(done, of int)) *run {
	run := &run{
		Runner: r, req: req, began: time.Now(), ctx: ctx, progress: progress,
		recorder: recorder{in: make(chan result, r.o.Batch), ended: make(chan struct{})},
	}
	run.sends = run.outlives(ctx, r.o.ShutdownTimeout/2)
	run.stores = run.outlives(ctx, r.o.ShutdownTimeout)
	go run.record()
	return run
}

// outlives returns a context that ends some time after ctx, and with the run.
func (r *run) outlives(ctx context.Context, by time.Duration) context.Context {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if sleep(longer, by) {
			cancel()
		}
	})
	r.free = append(r.free, func() { stop(); cancel() })
	return longer
}

// split returns the installations that are to be worked at once; those whose last report was not accepted wait for the end.
func (r *run) split() (fast []item) {
	ids := make(map[string]bool)
	add := func(id string) {
		ids[id] = true
		if it := (item{id: id, room: room}); r.state.failing(id) {
			r.slowOnes = append(r.slowOnes, it)
		} else {
			fast = append(fast, it)
		}
	}
	c := r.o.Catalog()
	if r.req.Installation != "" {
		in, ok := installation(c, r.req.Installation)
		if !ok {
			r.fail(fmt.Errorf("the catalog has no installation %q", r.req.Installation))
			return nil
		}
		add(in.ID)
		return fast
	}
	for in := range c.Installations() {
		add(in.ID)
	}
	r.state.keep(ids)
	return fast
}

func installation(c *catalog.Catalog, id string) (*catalog.Installation, bool) {
	e, _, ok := c.Entity(catalog.InstallationKind, id)
	if !ok {
		return nil, false
	}
	in, ok := e.(*catalog.Installation)
	return in, ok
}

// sweep works the installations that fared well, or (in the slow lane) the others, batch by batch. It returns once the last
// batch is being sent.
func (r *run) sweep(l *lane) {
	items := r.slowOnes
	if l == r.fast {
		items = r.split()
		r.mu.Lock()
		r.of = len(items) + len(r.slowOnes)
		r.mu.Unlock()
	}
	for len(items) > 0 && r.broken() == nil {
		if tries := items[0].tries; tries > 0 && !sleep(r.ctx, r.backoff(tries-1)) {
			r.fail(context.Cause(r.ctx))
			return
		}
		n := min(len(items), r.o.Batch)
		again := r.batch(l, items[:n:n])
		items = append(items[n:len(items):len(items)], again...)
	}
}

// batch prepares some installations and begins to send their reports. It returns those that are to be prepared again.
func (r *run) batch(l *lane, items []item) (again []item) {
	if err := l.enter(r.ctx, len(items)); err != nil {
		r.fail(err)
		return nil
	}
	held := items[:0:0]
	for _, it := range items {
		if r.req.DryRun != nil || r.state.hold(it.id, time.Now()) {
			held = append(held, it)
			continue
		}
		l.leave()
		r.end(it.id, skipped, "", time.Time{})
	}
	p := &preparation{run: r, lane: l, items: held, jobs: make(map[string]*job)}
	err := p.prepare()
	if err != nil {
		r.fail(err)
	}
	for _, it := range held {
		j := p.jobs[it.id]
		if err != nil || j == nil {
			if r.req.DryRun == nil {
				r.state.release(it.id)
			}
			l.leave()
			continue
		}
		r.jobs.Go(func() { r.deliver(l, j) })
	}
	return p.again
}

// finish works the installations that fared badly, waits for all that is under way, and sums up.
func (r *run) finish(slow bool) (Summary, error) {
	if slow {
		r.sweep(r.slow)
	} else {
		for _, it := range r.slowOnes {
			r.end(it.id, skipped, "", time.Time{})
		}
	}
	r.jobs.Wait()
	close(r.recorder.in)
	<-r.recorder.ended
	for _, free := range r.free {
		free()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = context.Cause(r.ctx)
	}
	if r.err != nil {
		r.metrics.runErrors.Inc()
	} else if r.req.Installation == "" && r.req.DryRun == nil {
		r.metrics.ended.Set(float64(r.o.Now().Unix()))
	}
	r.metrics.run.Observe(time.Since(r.began).Seconds())
	return r.summary, r.err
}

// fail ends a run early. The first reason is told.
func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// broken returns why nothing more is to be begun.
func (r *run) broken() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		return context.Cause(r.ctx)
	}
	return r.err
}

// end counts an installation. what says what went wrong, if anything did.
func (r *run) end(id string, o outcome, what string, acceptedAt time.Time) {
	before := o
	if r.req.DryRun == nil {
		before = r.state.ended(id, o, acceptedAt)
	}
	bad := o == failed || o == refused || o == unsendable
	switch {
	case bad && before != o:
		r.o.Log.Warn("reports of an installation do not reach its partner", "installation", id, "error", what)
	case bad:
		r.o.Log.Debug("reports of an installation still do not reach its partner", "installation", id, "error", what)
	case (o == accepted || o == unchanged) && (before == failed || before == refused || before == unsendable):
		r.o.Log.Info("reports of an installation reach its partner again", "installation", id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.summary
	s.Installations++
	for _, c := range []struct {
		o  outcome
		at *int
	}{
		{accepted, &s.Accepted}, {unchanged, &s.Unchanged}, {failed, &s.Failed}, {refused, &s.Refused},
		{superseded, &s.Superseded}, {skipped, &s.Skipped}, {unsendable, &s.Unsendable},
	} {
		if c.o == o {
			*c.at++
		}
	}
	if bad && len(s.Errors) < errorsMax {
		s.Errors = append(s.Errors, Error{Installation: id, What: what})
	}
	if r.progress != nil {
		r.progress(s.Installations, r.of)
	}
}

// count adds what was made or accepted to the summary.
func (r *run) count(rows []ledger.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range rows {
		switch rows[i].Status {
		case ledger.ReportAccepted:
			r.summary.Reports++
		case ledger.ReportExpired:
			r.summary.Expired++
		case ledger.ReportSending:
			if rows[i].Stale {
				r.summary.Stale++
			}
		default:
		}
	}
}
