package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"reckoner/internal/bus"
	kafkafloor "reckoner/internal/bus/floor"
	pb "reckoner/internal/wire/usagev1"
	chfloor "reckoner/ledger/clickhouse/floor"
)

// aggregate decides a log that is there, with one aggregator and nothing else at work.
func aggregate(ctx context.Context, s *site, r *Result) error {
	f, err := s.fill(s.scale.logEvents)
	if err != nil {
		return err
	}
	var ours, floors []float64
	m, fm := s.meter(), meter{}
	for turn := range s.scale.turns {
		perSecond, err := s.oursDecided(f, &m, r, turn == 0)
		if err != nil {
			return err
		}
		err = fm.during(func() (int64, error) {
			took, err := s.floorDecided(ctx, f)
			floors = append(floors, rate(f.events, took))
			return f.events, err
		})
		if err != nil {
			return err
		}
		ours = append(ours, perSecond)
		s.say("  turn %d: ours %.0f, floor %.0f events/s", turn+1, ours[turn], floors[turn])
	}
	r.ratio(median(ours), median(floors))
	r.extra("events", float64(f.events))
	m.report(r)
	fm.reportFloor(r)
	r.Met = *r.Ratio >= 0.6
	return nil
}

// oursDecided is one turn of ours. What was decided is dropped; before that one turn is proven, and what its events
// take of each store is told.
func (s *site) oursDecided(f *filled, m *meter, r *Result, prove bool) (eventsPerSecond float64, err error) {
	err = m.during(func() (int64, error) {
		eventsPerSecond, err = s.decide(f, oursDatabase, 1, nil)
		return f.events, err
	})
	if err == nil && prove {
		err = errors.Join(s.proven(f, oursDatabase), s.stored(f, oursDatabase, r))
	}
	if err == nil {
		err = s.drop(oursDatabase)
	}
	if err == nil {
		err = os.RemoveAll(s.states(oursDatabase, 0))
	}
	return eventsPerSecond, err
}

// floorInsert is how many rows the floor inserts at once: what the product's own default is.
const floorInsert = 100_000

// floorDecided is one turn of the floor: every record is fetched and decoded, and becomes a row of a table like
// `entries`. Partitions are read side by side, and one insert is on its way while they are.
func (s *site) floorDecided(ctx context.Context, f *filled) (time.Duration, error) {
	if err := s.floorTable(ctx); err != nil {
		return 0, err
	}
	ends, err := s.kafka.Ends(ctx, bus.TopicEvents, f.partitions)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	chunks := make(chan []chfloor.Row, f.partitions)
	g, gctx := errgroup.WithContext(ctx)
	var readers sync.WaitGroup
	for p, end := range ends {
		readers.Add(1)
		g.Go(func() error {
			defer readers.Done()
			return s.kafka.Fetch(gctx, bus.TopicEvents, p, 0, end, func(recs []kafkafloor.Record) error {
				return decodeTo(gctx, chunks, int32(p), recs)
			})
		})
	}
	g.Go(func() error { readers.Wait(); close(chunks); return nil })
	g.Go(func() error { return insertAll(gctx, s.db.NewInserter(floorDatabase+".entries"), chunks) })
	if err := g.Wait(); err != nil {
		return 0, err
	}
	took := time.Since(began)
	var rows uint64
	if err := s.db.One(ctx, "SELECT count() FROM "+floorDatabase+".entries", &rows); err != nil {
		return 0, err
	}
	if int64(rows) != f.events {
		return 0, fmt.Errorf("the floor inserted %d rows of %d", rows, f.events)
	}
	return took, s.drop(floorDatabase)
}

// floorTable makes a table like `entries`, with all that makes an insert durable.
func (s *site) floorTable(ctx context.Context) error {
	if err := s.migrate(floorDatabase, nil); err != nil {
		return err
	}
	// The migrated one has no rows, and is as good as any like it.
	return s.db.Exec(ctx, "TRUNCATE TABLE "+floorDatabase+".entries")
}

func decodeTo(ctx context.Context, to chan<- []chfloor.Row, partition int32, recs []kafkafloor.Record) error {
	rows := make([]chfloor.Row, len(recs))
	for i, rec := range recs {
		e := &pb.Event{}
		if err := proto.Unmarshal(rec.Value, e); err != nil {
			return fmt.Errorf("record %d/%d: %w", partition, rec.Offset, err)
		}
		rows[i] = chfloor.Row{Partition: partition, Offset: rec.Offset, Event: e}
	}
	select {
	case to <- rows:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func insertAll(ctx context.Context, to *chfloor.Inserter, chunks <-chan []chfloor.Row) error {
	var rows []chfloor.Row
	for chunk := range chunks {
		if rows = append(rows, chunk...); len(rows) < floorInsert {
			continue
		}
		if err := to.Insert(ctx, rows); err != nil {
			return err
		}
		rows = rows[:0]
	}
	if len(rows) == 0 {
		return nil
	}
	return to.Insert(ctx, rows)
}
