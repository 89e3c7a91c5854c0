package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"reckoner/internal/bench/workload"
	"reckoner/internal/bus"
	kafkafloor "reckoner/internal/bus/floor"
)

func ingestBatch(ctx context.Context, s *site, r *Result) error {
	return (&ingestRow{site: s, batch: 100, connections: 16, goal: 0.6}).run(ctx, r)
}

func ingestSingle(ctx context.Context, s *site, r *Result) error {
	return (&ingestRow{site: s, batch: 1, connections: 64, goal: 0.75}).run(ctx, r)
}

// ingestRow sends the same requests to the product and to a handler that only reads and writes. Reverts are left out:
// they wait for a decision, and nobody decides here.
type ingestRow struct {
	*site
	batch, connections int
	goal               float64
	turn               int
}

func (i *ingestRow) run(ctx context.Context, r *Result) error {
	const database = "reckoner_bench_ingest"
	if err := i.engines(); err != nil {
		return err
	}
	if err := i.migrate(database, nil); err != nil {
		return err
	}
	p, err := i.ingest(database, nil)
	if err != nil {
		return err
	}
	api := p.Addresses.API
	partitions := i.Settings.Kafka.Partitions
	if err := i.kafka.CreateTopic(ctx, floorTopic, partitions); err != nil {
		return err
	}
	if _, err := i.send(ctx, api, bus.TopicEvents, i.scale.turn/4, false); err != nil { // connections, caches, lanes
		return err
	}
	size, err := i.recordBytes(ctx, partitions)
	if err != nil {
		return err
	}
	floor, linger, err := i.bestFloor(ctx, size)
	if err != nil {
		return err
	}
	var ours, floors []float64
	var took, floorTook []time.Duration
	m, fm := i.meter(), meter{}
	for i.turn = 1; i.turn <= i.scale.turns; i.turn++ {
		err := m.during(func() (int64, error) {
			out, err := i.send(ctx, api, bus.TopicEvents, i.scale.turn, true)
			if err != nil {
				return 0, err
			}
			ours, took = append(ours, rate(out.events.Load(), out.took)), append(took, out.latencies...)
			return out.events.Load(), nil
		})
		if err != nil {
			return err
		}
		err = fm.during(func() (int64, error) {
			out, err := i.send(ctx, floor, floorTopic, i.scale.turn, true)
			if err != nil {
				return 0, err
			}
			floors, floorTook = append(floors, rate(out.events.Load(), out.took)), append(floorTook, out.latencies...)
			return out.events.Load(), nil
		})
		if err != nil {
			return err
		}
		i.say("  turn %d: ours %.0f, floor %.0f events/s", i.turn, ours[len(ours)-1], floors[len(floors)-1])
	}
	r.ratio(median(ours), median(floors))
	r.spread(took)
	r.extra("floor_p50_ms", quantile(floorTook, 50))
	r.extra("floor_p99_ms", quantile(floorTook, 99))
	r.extra("floor_linger_ms", millis(linger))
	r.extra("record_bytes", float64(size))
	m.report(r)
	fm.reportFloor(r)
	r.Met = *r.Ratio >= i.goal
	return nil
}

// send sends for some time, and makes sure that the topic has got a record for every event that was acknowledged.
func (i *ingestRow) send(ctx context.Context, addr, topic string, lasting time.Duration, keep bool) (*sent, error) {
	partitions := i.Settings.Kafka.Partitions
	before, err := i.kafka.Records(ctx, topic, partitions)
	if err != nil {
		return nil, err
	}
	sources, err := i.sources(i.batch, i.connections, i.turn*i.connections, false)
	if err != nil {
		return nil, err
	}
	out := &sent{}
	if err := (&load{addr: addr, sources: sources, lasting: lasting, keep: keep}).run(ctx, out); err != nil {
		return nil, err
	}
	after, err := i.kafka.Records(ctx, topic, partitions)
	if err != nil {
		return nil, err
	}
	if got, want := after-before, out.events.Load(); got != want || want == 0 {
		return nil, fmt.Errorf("topic %s got %d records where %d were acknowledged", topic, got, want)
	}
	return out, nil
}

// recordBytes is the size of a record's value as the product writes it, in the middle of them.
func (i *ingestRow) recordBytes(ctx context.Context, partitions int) (int, error) {
	ends, err := i.kafka.Ends(ctx, bus.TopicEvents, partitions)
	if err != nil {
		return 0, err
	}
	var sizes []float64
	for p, end := range ends {
		err := i.kafka.Fetch(ctx, bus.TopicEvents, p, max(0, end-200), end, func(recs []kafkafloor.Record) error {
			for _, rec := range recs {
				sizes = append(sizes, float64(len(rec.Value)))
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return int(median(sizes)), nil
}

// sources returns the requests of so many producers, from a stream on.
func (b *bench) sources(batch, producers, first int, reverts bool) ([]workload.Source, error) {
	list := make([]workload.Source, producers)
	if b.Trace != "" {
		trace, err := workload.OpenTrace(b.Trace, producers)
		if err != nil {
			return nil, err
		}
		for i := range list {
			list[i] = trace.Source(i, batch, reverts)
		}
		return list, nil
	}
	for i := range list {
		list[i] = workload.New(b.input(batch, reverts), first+i)
	}
	return list, nil
}

func (b *bench) input(batch int, reverts bool) workload.Options {
	return workload.Options{Seed: b.Seed, Batch: batch, Reverts: reverts, Now: b.now}
}

// floorLingers are what the floor's writer may wait for company: less makes more and smaller batches, more keeps a lone
// record waiting. Which is best depends on the disk, so each is tried.
func floorLingers() []time.Duration {
	return []time.Duration{time.Millisecond, 3 * time.Millisecond, 6 * time.Millisecond}
}

// bestFloor tries the floor with each linger, and returns the address of the one that did best.
func (i *ingestRow) bestFloor(ctx context.Context, size int) (addr string, linger time.Duration, err error) {
	best := 0.0
	for _, l := range floorLingers() {
		at, err := i.startFloor(size, l)
		if err != nil {
			return "", 0, err
		}
		out, err := i.send(ctx, at, floorTopic, i.scale.turn/4, false)
		if err != nil {
			return "", 0, err
		}
		if r := rate(out.events.Load(), out.took); r > best {
			best, addr, linger = r, at, l
		}
	}
	return addr, linger, nil
}

// startFloor serves the floor: a handler that reads the body and writes as many ready-made records as the request has
// events.
func (i *ingestRow) startFloor(size int, linger time.Duration) (addr string, err error) {
	w := i.kafka.NewWriter(floorTopic, linger)
	i.ends = append(i.ends, w.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: floorHandler(w, size), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(ln) }() // it ends with Close
	i.ends = append(i.ends, server.Close)
	return ln.Addr().String(), nil
}

func floorHandler(w *kafkafloor.Writer, size int) http.Handler {
	value := make([]byte, size)
	for at := range value { // as hard to compress as what it stands for, more or less
		value[at] = byte(at*at + at>>3)
	}
	return http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		_, err := io.Copy(io.Discard, req.Body)
		events, err2 := strconv.Atoi(req.Header.Get(eventsHeader))
		if err := errors.Join(err, err2); err != nil {
			http.Error(res, err.Error(), http.StatusBadRequest)
			return
		}
		key := []byte(strings.Split(req.URL.Path, "/")[5]) // the account, as the product has it
		if err := w.Write(req.Context(), key, value, events); err != nil {
			http.Error(res, err.Error(), http.StatusServiceUnavailable)
			return
		}
		res.Header().Set("Content-Type", "application/json")
		_, _ = res.Write([]byte("{}")) // the producer has gone
	})
}
