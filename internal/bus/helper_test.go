package bus_test

import (
	"context"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
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

func producer(t testing.TB, c *bus.Client, o bus.ProducerOptions) *bus.Producer {
	t.Helper()
	return bustest.Producer(t, c, o, patience)
}

func record(key, value string) bus.Record { return bustest.Record(key, value) }

func numbered(key string, from, to int) []bus.Record { return bustest.Numbered(key, from, to) }

func values(recs []bus.Record) []string { return bustest.Values(recs) }

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	bustest.Eventually(t, patience, what, holds)
}
