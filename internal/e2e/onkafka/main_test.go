//go:build kafka

package onkafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
	"reckoner/internal/kafkatest"
)

// patience is how long a test waits for what must come. It is never waited out by a test that passes.
const patience = time.Minute

// cluster is what all tests share: each has topics and groups of its own, and leaves all brokers running.
var cluster *kafkatest.Cluster

func TestMain(m *testing.M) {
	if group := os.Getenv(memberOf); group != "" {
		os.Exit(beMember(group))
	}
	var err error
	status := 1
	// A leader is given up sooner than Kafka's default of 9 s, for the tests to be quick.
	cluster, err = kafkatest.Start(context.Background(), kafkatest.Options{Config: map[string]string{
		"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500",
	}})
	if err == nil {
		status = m.Run()
		err = cluster.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Apache Kafka:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// open returns a client that is as patient as in production: on a busy machine a request that is given up too soon is
// sent twice.
func open(t testing.TB) *bus.Client { return openWith(t, bus.Options{}) }

// hasty returns a client that gives requests up soon, for tests in which brokers are lost.
func hasty(t testing.TB) *bus.Client {
	return openWith(t, bus.Options{IOTimeout: hastyTimeout, MetadataTTL: 500 * time.Millisecond})
}

const hastyTimeout = 3 * time.Second

func openWith(t testing.TB, o bus.Options) *bus.Client {
	t.Helper()
	if o.Brokers == nil {
		o.Brokers = cluster.Brokers()
	}
	o.Log = logTo(t)
	c, err := bus.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// logTo returns a logger that writes into the test's output.
func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// topic returns a client, and the name of a new topic of the test's own with three copies.
func topic(t testing.TB, partitions int) (*bus.Client, string) {
	t.Helper()
	c, name := open(t), fmt.Sprintf("%s-%x", t.Name(), time.Now().UnixNano()) // its own also with -count=2
	makeTopic(t, c, name, partitions)
	return c, name
}

func makeTopic(t testing.TB, c *bus.Client, name string, partitions int) {
	t.Helper()
	spec := bus.TopicSpec{Name: name, Partitions: partitions, Replication: 3, Config: map[string]string{
		"min.insync.replicas": "2", "message.timestamp.type": "LogAppendTime",
	}}
	if err := c.EnsureTopics(within(t), []bus.TopicSpec{spec}); err != nil {
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
	var next int64
	var r *bus.Reader
	eventually(t, "the partition can be read", func() bool {
		var err, err2 error
		r, err = c.OpenReader(ctx, topic, partition, from)
		_, next, err2 = c.Offsets(ctx, topic, partition)
		if err = errors.Join(err, err2); err != nil && !bus.Retryable(err) {
			t.Fatal(err)
		}
		return err == nil
	})
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

// inSync waits until every broker has every record of a partition.
func inSync(t testing.TB, topic string, partitions int) {
	t.Helper()
	eventually(t, "all copies are in sync", func() bool {
		for p := range partitions {
			if _, brokers := cluster.Admin().Partition(t, topic, p); !slices.Equal(brokers, []int{1, 2, 3}) {
				return false
			}
		}
		return true
	})
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
