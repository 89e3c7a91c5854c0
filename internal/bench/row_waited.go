package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"reckoner/internal/bench/workload"
	"reckoner/internal/bus"
	kafkafloor "reckoner/internal/bus/floor"
	pb "reckoner/internal/wire/usagev1"
	chfloor "reckoner/ledger/clickhouse/floor"
)

// idlePause lies between two requests: longer than any flush, so that none waits for another.
const idlePause = 100 * time.Millisecond

// waitedOutcome posts one usage at a time and waits for its verdict, in turns with the least that it takes: one produce,
// one fetch, one insert.
func waitedOutcome(ctx context.Context, s *site, r *Result) error {
	api, err := s.dev()
	if err != nil {
		return err
	}
	w := &waited{site: s, ours: &connection{addr: api}}
	defer w.ours.close()
	if err := w.prepare(ctx); err != nil {
		return err
	}
	var took, floors []time.Duration
	m := s.meter()
	warm := 1 + s.scale.waits/15
	for n := range warm + s.scale.waits {
		began := time.Now()
		if n < warm {
			err = w.post(ctx)
		} else {
			err = w.counted(ctx, &m)
		}
		took = append(took, time.Since(began))
		if err == nil {
			err = sleep(ctx, idlePause)
		}
		if err != nil {
			return err
		}
		began = time.Now()
		if err := w.floor(ctx); err != nil {
			return err
		}
		floors = append(floors, time.Since(began))
		if err := sleep(ctx, idlePause/4); err != nil {
			return err
		}
	}
	took, floors = took[warm:], floors[warm:]
	if err := w.proven(ctx, warm+s.scale.waits); err != nil {
		return err
	}
	r.ratio(quantile(took, 50), quantile(floors, 50))
	r.spread(took)
	r.extra("floor_p99_ms", quantile(floors, 99))
	m.look()
	m.report(r)
	r.Met = *r.Ratio <= 2
	return nil
}

type waited struct {
	*site
	ours   *connection
	insert *chfloor.Inserter
	record []byte // an event as the product writes it
	n      uint64
	raw    []byte
}

// counted is post, measured.
func (w *waited) counted(ctx context.Context, m *meter) error {
	began := processCPU()
	err := w.post(ctx)
	m.cpu += processCPU() - began
	m.events++
	return err
}

// post is ours. Only a verdict counts: 202 would mean that none came.
func (w *waited) post(ctx context.Context) error {
	w.n++
	p := probe(workload.AccountID(w.Seed, w.n%probeAccounts), workload.AccountID(w.Seed+1, w.n))
	w.raw = appendRequest(w.raw[:0], p, "wait=10")
	status, body, err := w.ours.exchange(ctx, w.raw)
	if err == nil && (status != http.StatusOK || !strings.Contains(string(body), `"outcome":"applied"`)) {
		err = fmt.Errorf("answered %d: %.200s", status, body)
	}
	return err
}

// prepare makes the floor's topic and table, and a record to write.
func (w *waited) prepare(ctx context.Context) error {
	if err := w.post(ctx); err != nil {
		return err
	}
	if err := w.kafka.CreateTopic(ctx, floorTopic, 1); err != nil {
		return err
	}
	ends, err := w.kafka.Ends(ctx, bus.TopicEvents, w.settings("", nil).Kafka.Partitions)
	if err != nil {
		return err
	}
	for p, end := range ends {
		err := w.kafka.Fetch(ctx, bus.TopicEvents, p, 0, end, func(recs []kafkafloor.Record) error {
			w.record = append([]byte(nil), recs[0].Value...)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := w.migrate(floorDatabase, nil); err != nil {
		return err
	}
	w.insert = w.db.NewInserter(floorDatabase + ".entries")
	return nil
}

// floor writes the record, reads it again, and inserts it.
func (w *waited) floor(ctx context.Context) error {
	offset, err := w.kafka.Produce(ctx, floorTopic, 0, []byte("bench"), w.record)
	if err != nil {
		return err
	}
	return w.kafka.Fetch(ctx, floorTopic, 0, offset, offset+1, func(recs []kafkafloor.Record) error {
		e := &pb.Event{}
		if err := proto.Unmarshal(recs[0].Value, e); err != nil {
			return err
		}
		return w.insert.Insert(ctx, []chfloor.Row{{Offset: recs[0].Offset, Event: e}})
	})
}

// proven makes sure that both did what they are measured for.
func (w *waited) proven(ctx context.Context, rounds int) error {
	var ours, floor uint64
	if err := w.db.One(ctx, "SELECT count() FROM "+devDatabase+".usage_entries", &ours); err != nil {
		return err
	}
	if err := w.db.One(ctx, "SELECT count() FROM "+floorDatabase+".entries", &floor); err != nil {
		return err
	}
	if int(ours) != rounds+1 || int(floor) != rounds {
		return fmt.Errorf("%d entries and %d rows of %d rounds", ours, floor, rounds)
	}
	return nil
}
