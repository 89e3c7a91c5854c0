package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"reckoner/internal/app"
	"reckoner/internal/bus"
	"reckoner/internal/config"
	chfloor "reckoner/ledger/clickhouse/floor"
)

// restore rebuilds the states of all partitions side by side, as an aggregator does that starts without any.
func restore(ctx context.Context, s *site, r *Result) error {
	f, err := s.fill(s.scale.logEvents)
	if err != nil {
		return err
	}
	if _, err := s.decide(f, oursDatabase, 1, nil); err != nil {
		return err
	}
	if err := s.proven(f, oursDatabase); err != nil {
		return err
	}
	db, err := chfloor.Open(within(s.clickhouse, oursDatabase))
	if err != nil {
		return err
	}
	s.ends = append(s.ends, db.Close)
	var ours, floors []float64
	m, fm := s.meter(), meter{}
	for turn := range s.scale.turns {
		var took time.Duration
		err := m.during(func() (int64, error) {
			took, err = s.restored(f, turn+1)
			return f.events, err
		})
		if err != nil {
			return err
		}
		err = fm.during(func() (int64, error) {
			took, err := s.restoreFloor(ctx, db, f)
			floors = append(floors, rate(f.events, took))
			return f.events, err
		})
		if err != nil {
			return err
		}
		ours = append(ours, rate(f.events, took))
		s.say("  turn %d: ours %.0f, floor %.0f rows/s", turn+1, ours[turn], floors[turn])
	}
	r.ratio(median(ours), median(floors))
	r.extra("rows", float64(f.events))
	m.report(r)
	fm.reportFloor(r)
	r.Met = *r.Ratio >= 0.4
	return nil
}

// restored starts an aggregator without states, and returns how long it took from the moment at which it had partitions
// until every state was open.
func (s *site) restored(f *filled, number int) (time.Duration, error) {
	p, err := s.start(s.settings(oursDatabase, func(c *config.Settings) {
		c.DataDir = s.states(oursDatabase, number)
		c.Kafka.Group = fmt.Sprintf("%s-%d", oursDatabase, number)
		c.Aggregator.RestoreDelay = 0
	}), app.Aggregate)
	if err != nil {
		return 0, err
	}
	list := []*app.Process{p}
	for total(list, metricAssigned) == 0 {
		if err := sleep(s.ctx, 2*time.Millisecond); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	for {
		if _, open := metric(p, metricNext); open == f.partitions {
			break
		}
		if err := sleep(s.ctx, 10*time.Millisecond); err != nil {
			return 0, err
		}
	}
	took := time.Since(began)
	if rows := total(list, metricRestored); int64(rows) != f.events {
		return 0, fmt.Errorf("%.0f rows were restored of %d", rows, f.events)
	}
	if err := s.stop(p); err != nil {
		return 0, err
	}
	return took, os.RemoveAll(s.states(oursDatabase, number))
}

// metricRestored counts the rows that were read to rebuild states.
const metricRestored = "reckoner_aggregator_restored_rows_total"

// restoreFloor makes the same queries, side by side, and looks at none of the rows.
func (s *site) restoreFloor(ctx context.Context, db *chfloor.DB, f *filled) (time.Duration, error) {
	ends, err := s.kafka.Ends(ctx, bus.TopicEvents, f.partitions)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	rows := make([]int64, f.partitions)
	for p, end := range ends {
		g.Go(func() (err error) { rows[p], err = db.Restore(ctx, int32(p), end); return err })
	}
	err = g.Wait()
	took := time.Since(began)
	var all int64
	for _, n := range rows {
		all += n
	}
	if err == nil && all != f.events {
		err = fmt.Errorf("the bare query gave %d rows of %d", all, f.events)
	}
	return took, err
}
