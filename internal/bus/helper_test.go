package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// patience is how long a test waits for what must come. It is never waited out by a test that passes.
const patience = 20 * time.Second

func open(t testing.TB, b *broker.Broker) *bus.Client {
	t.Helper()
	c, err := bus.Open(bus.Options{Brokers: b.Addrs(), IOTimeout: 2 * time.Second, MetadataTTL: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// start returns a client of a new broker that has one topic, "t", of so many partitions.
func start(t testing.TB, partitions int) (*bus.Client, *broker.Broker) {
	t.Helper()
	b := brokertest.Start(t)
	c := open(t, b)
	makeTopic(t, c, "t", partitions)
	return c, b
}

func makeTopic(t testing.TB, c *bus.Client, name string, partitions int) {
	t.Helper()
	if err := c.EnsureTopics(within(t), []bus.TopicSpec{{Name: name, Partitions: partitions}}); err != nil {
		t.Fatal(err)
	}
}

// within returns a context that ends when patience or the test does.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func producer(t testing.TB, c *bus.Client, o bus.ProducerOptions) *bus.Producer {
	t.Helper()
	p := c.NewProducer(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("close the producer: %v", err)
		}
	})
	return p
}

func record(key, value string) bus.Record { return bus.Record{Key: []byte(key), Value: []byte(value)} }

func numbered(key string, from, to int) []bus.Record {
	var recs []bus.Record
	for i := from; i < to; i++ {
		recs = append(recs, record(key, fmt.Sprintf("%s-%d", key, i)))
	}
	return recs
}

// readAll reads a partition from an offset to its end.
func readAll(t testing.TB, c *bus.Client, topic string, partition int, from int64) []bus.Record {
	t.Helper()
	ctx := within(t)
	r, err := c.OpenReader(ctx, topic, partition, from)
	if err != nil {
		t.Fatal(err)
	}
	_, next, err := c.Offsets(ctx, topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	var all []bus.Record
	for r.Next() < next {
		recs, _, err := r.Fetch(ctx, bus.Limits{})
		if err != nil && (ctx.Err() != nil || !bus.Retryable(err)) {
			t.Fatal(err)
		}
		all = append(all, recs...)
	}
	return all
}

func values(recs []bus.Record) []string {
	var vs []string
	for _, r := range recs {
		vs = append(vs, string(r.Value))
	}
	return vs
}

// eventually polls a condition until it holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
