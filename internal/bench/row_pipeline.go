package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// pipelineWindow is how many events may be acknowledged and not visible yet, in seconds of the goal. Without it
// producers would run ahead of the aggregator, and the rate would be that of a queue that grows.
const pipelineWindow = 3 * pipelineGoal

// pipelineProducers are how many connections carry usages. Each waits for its answer, so with few of them the rate is that of
// the disk's syncs, which the embedded Kafka does one after the other, and not of the processors.
const pipelineProducers = 64

// memoryGoal bounds what the process takes beside the ClickHouse engine under the sustained load.
const memoryGoal = 2 << 30

// pipeline is everything in one process, the producers included.
func pipeline(ctx context.Context, s *site, r *Result) error {
	api, err := s.dev()
	if err != nil {
		return err
	}
	sources, err := s.sources(100, pipelineProducers, 0, true)
	if err != nil {
		return err
	}
	out := &sent{}
	v := &visible{site: s}
	l := &load{
		addr: api, sources: sources, lasting: s.scale.warm + s.scale.sustained, reverts: revertConnections, keep: true,
		gate: func(ctx context.Context) error { return v.gate(ctx, out) },
	}
	m := s.meter()
	err = m.during(func() (int64, error) {
		stop := v.watch(ctx)
		err := l.run(ctx, out)
		stop()
		return out.events.Load(), err
	})
	if err != nil {
		return err
	}
	f := &filled{events: out.events.Load(), sums: s.sums(100, out)}
	if err := v.await(ctx, f.events); err != nil {
		return err
	}
	if err := s.proven(f, devDatabase); err != nil {
		return err
	}
	sustained, worst := v.rates(s.scale.warm)
	r.Ours = &sustained
	r.spread(out.latencies)
	r.extra("worst_10s", worst)
	r.extra("events", float64(f.events))
	m.report(r)
	beside := m.goPeak
	if s.External {
		beside = m.peak
	}
	r.Met = sustained >= pipelineGoal && beside <= memoryGoal
	return nil
}

// revertConnections carry reverts, which wait for their outcome: a hundred milliseconds or two, some hundreds a second.
const revertConnections = 128

// visible watches how much of what was sent is visible in the ledger.
type visible struct {
	*site
	began  time.Time
	events atomic.Int64
	points []point
}

// point is when the ledger was first seen to hold so many events.
type point struct {
	at     time.Duration
	events int64
}

// watch looks ten times a second, until it is stopped.
func (v *visible) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	v.began = time.Now()
	var work sync.WaitGroup
	work.Go(func() {
		for sleep(ctx, 100*time.Millisecond) == nil {
			if err := v.look(); err != nil {
				v.cancel(fmt.Errorf("watch the ledger: %w", err))
			}
		}
	})
	return func() { cancel(); work.Wait() }
}

func (v *visible) look() error {
	n, err := v.decided(devDatabase)
	if err != nil {
		return err
	}
	if n > v.events.Load() {
		v.events.Store(n)
		v.points = append(v.points, point{time.Since(v.began), n})
	}
	return nil
}

// gate waits while too much is on its way.
func (v *visible) gate(ctx context.Context, out *sent) error {
	for out.events.Load()-v.events.Load() > pipelineWindow {
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// await returns when everything is visible.
func (v *visible) await(ctx context.Context, events int64) error {
	for v.events.Load() < events {
		if err := v.look(); err != nil {
			return err
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d events are visible: %w", v.events.Load(), events, err)
		}
	}
	return nil
}

// rates are the rate after the warm-up, and that of its slowest ten seconds, both from one flush to another.
func (v *visible) rates(warm time.Duration) (sustained, worst float64) {
	points := v.points
	for len(points) > 2 && points[0].at < warm {
		points = points[1:]
	}
	if len(points) < 2 {
		return 0, 0
	}
	between := func(a, b point) float64 { return rate(b.events-a.events, b.at-a.at) }
	sustained = between(points[0], points[len(points)-1])
	worst = sustained
	for i, a := range points {
		for _, b := range points[i:] {
			if b.at-a.at >= 10*time.Second {
				worst = min(worst, between(a, b))
				break
			}
		}
	}
	return sustained, worst
}
