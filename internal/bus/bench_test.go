package bus_test

import (
	"bytes"
	"fmt"
	"testing"

	"reckoner/internal/bus"
)

// events returns records of the size of a usage event: 300 bytes under a key of 36.
func events(n int) []bus.Record {
	recs := make([]bus.Record, n)
	for i := range recs {
		recs[i] = bus.Record{Key: fmt.Appendf(nil, "9c1e0000-0000-4000-8000-%012d", i%500), Value: bytes.Repeat([]byte{byte(i)}, 300)}
	}
	return recs
}

func BenchmarkProduce(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			c, _ := start(b, 4)
			p := producer(b, c, bus.ProducerOptions{})
			recs := events(n)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Produce(ctx, "t", recs); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b, n)
		})
	}
}

// BenchmarkProduceTogether is many callers with one record each, as producers that send event by event.
func BenchmarkProduceTogether(b *testing.B) {
	c, _ := start(b, 4)
	p := producer(b, c, bus.ProducerOptions{})
	recs := events(500)
	ctx := b.Context()
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if err := p.Produce(ctx, "t", recs[i%len(recs):i%len(recs)+1]); err != nil {
				b.Error(err)
				return
			}
		}
	})
	perRecord(b, 1)
}

func BenchmarkFetch(b *testing.B) {
	const total = 100_000
	c, _ := start(b, 1)
	p := producer(b, c, bus.ProducerOptions{})
	for range total / 10_000 {
		if err := p.Produce(b.Context(), "t", events(10_000)); err != nil {
			b.Fatal(err)
		}
	}
	ctx := b.Context()
	for _, limit := range []int{0, 1000} { // 1000 is what an aggregator decides at once
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := c.OpenReader(ctx, "t", 0, 0)
				if err != nil {
					b.Fatal(err)
				}
				for r.Next() < total {
					recs, _, err := r.Fetch(ctx, bus.Limits{MaxRecords: limit})
					if err != nil {
						b.Fatal(err)
					}
					for i := range recs { // as whoever fetches them
						if recs[i].Key[0] != '9' || recs[i].Value[0] != recs[i].Value[299] {
							b.Fatal("not what was written")
						}
					}
				}
			}
			perRecord(b, total)
		})
	}
}

func perRecord(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}
