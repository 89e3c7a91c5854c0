package bus_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"reckoner/internal/bus"
)

// shapes are two ways to carry the events of one request: a record each, or all in one (docs/adr/0023). The key counts
// for bytes, too.
func shapes() []shape {
	return []shape{{"a record an event", 1, 300}, {"a record a request", 100, 300}, {"a record a request, stamps once", 100, 190}}
}

type shape struct {
	name   string
	events int // in a record
	bytes  int // of each event
}

// requests are so many of 100 events, as ride together under load. Their bytes are drawn, as ids and times are.
func (s shape) requests(n int, dice *rand.ChaCha8) []bus.Record {
	recs := make([]bus.Record, n*100/s.events)
	for i := range recs {
		value := make([]byte, s.events*s.bytes)
		_, _ = dice.Read(value) // never fails
		recs[i] = bus.Record{Key: []byte("9c1e0000-0000-4000-8000-000000000001"), Value: value}
	}
	return recs
}

// BenchmarkShapeProduce and BenchmarkShapeFetch give the processor time of an event, the embedded broker's part included.
func BenchmarkShapeProduce(b *testing.B) {
	const together = 10
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			c, _ := start(b, 1)
			p := producer(b, c, bus.ProducerOptions{})
			recs := s.requests(together, rand.NewChaCha8([32]byte{1}))
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if err := p.Produce(b.Context(), "t", recs); err != nil {
					b.Fatal(err)
				}
			}
			perEvent(b, before, together*100)
		})
	}
}

func BenchmarkShapeFetch(b *testing.B) {
	const requests = 500
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			c, _ := start(b, 1)
			p := producer(b, c, bus.ProducerOptions{})
			dice := rand.NewChaCha8([32]byte{1})
			total := int64(0)
			for range requests / 50 {
				recs := s.requests(50, dice)
				if err := p.Produce(b.Context(), "t", recs); err != nil {
					b.Fatal(err)
				}
				total += int64(len(recs))
			}
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				r, err := c.OpenReader(b.Context(), "t", 0, 0)
				if err != nil {
					b.Fatal(err)
				}
				for r.Next() < total {
					if _, _, err := r.Fetch(b.Context(), bus.Limits{}); err != nil {
						b.Fatal(err)
					}
				}
			}
			perEvent(b, before, requests*100)
		})
	}
}

func perEvent(b *testing.B, before int64, n int) {
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/float64(n), "cpu-ns/event")
}

// processorTime is that of the whole process, in nanoseconds. Unlike the clock it does not mind company.
func processorTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(fmt.Errorf("processor time: %w", err))
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
