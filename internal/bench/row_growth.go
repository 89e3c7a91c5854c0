package bench

import (
	"context"
	"fmt"

	"reckoner/internal/config"
)

// growth decides logs of several numbers of partitions, with one aggregator and with several, and compares what an event
// costs: the time of all threads, the engines' included. The aggregators are members of one group in this process, each
// with a directory, connections and a flusher of its own.
func growth(ctx context.Context, s *site, r *Result) error {
	type shape struct{ partitions, processes int }
	var shapes []shape
	for _, n := range s.scale.partitions {
		shapes = append(shapes, shape{n, 1})
	}
	for _, n := range s.scale.processes {
		shapes = append(shapes, shape{s.scale.partitions[len(s.scale.partitions)-1], n})
	}
	all := meter{}
	least, most := 0.0, 0.0
	for i, one := range shapes {
		m := s.meter()
		m.turns = i // a profile for each
		perSecond, err := s.grown(ctx, one.partitions, one.processes, &m)
		if err != nil {
			return fmt.Errorf("%d partitions, %d aggregators: %w", one.partitions, one.processes, err)
		}
		cost := m.cpu.Seconds() / float64(m.events) * 1e6
		s.say("  %d partitions, %d aggregators: %.1f microseconds of CPU an event, %.0f events/s", one.partitions, one.processes, cost, perSecond)
		name := fmt.Sprintf("p%d_a%d", one.partitions, one.processes)
		r.extra(name+"_cpu_us", cost)
		r.extra(name+"_events_per_s", perSecond)
		if least == 0 || cost < least {
			least = cost
		}
		most = max(most, cost)
		all.cpu, all.events = all.cpu+m.cpu, all.events+m.events
		all.peak, all.goPeak, all.engine = max(all.peak, m.peak), max(all.goPeak, m.goPeak), max(all.engine, m.engine)
	}
	r.Ours = new((most - least) / least * 100)
	all.report(r)
	r.Met = *r.Ours <= 15
	return nil
}

// grown decides a log of so many partitions, on engines of its own.
func (s *site) grown(ctx context.Context, partitions, processes int, m *meter) (eventsPerSecond float64, err error) {
	sub, err := s.newSite(ctx)
	if err == nil {
		eventsPerSecond, err = sub.decidedOver(partitions, processes, m)
	}
	if e := sub.close(); err == nil {
		err = e
	}
	return eventsPerSecond, err
}

func (s *site) decidedOver(partitions, processes int, m *meter) (eventsPerSecond float64, err error) {
	s.tune = func(c *config.Settings) { c.Kafka.Partitions = partitions }
	f, err := s.fill(s.scale.growthLog)
	if err != nil {
		return 0, err
	}
	err = m.during(func() (int64, error) {
		eventsPerSecond, err = s.decide(f, oursDatabase, processes, nil)
		return f.events, err
	})
	if err == nil {
		err = s.proven(f, oursDatabase)
	}
	return eventsPerSecond, err
}
