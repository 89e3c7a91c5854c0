//go:build kafka

package onkafka_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/bus"
)

// TestApacheEnsureTopics makes the topics of an installation, as `migrate` does.
func TestApacheEnsureTopics(t *testing.T) {
	c := open(t)
	specs := bus.Topics(16, 3)
	for range 2 { // the second time there is nothing to do
		if err := c.EnsureTopics(within(t), specs); err != nil {
			t.Fatal(err)
		}
	}
	names, err := c.Topics(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range specs {
		if !slices.Contains(names, s.Name) {
			t.Errorf("%s is not among %v", s.Name, names)
		}
		if n, err := c.Partitions(within(t), s.Name); err != nil || n != s.Partitions {
			t.Errorf("%s has %d partitions, %v", s.Name, n, err)
		}
		if _, inSync := cluster.Admin().Partition(t, s.Name, 0); len(inSync) != 3 {
			t.Errorf("%s has copies on %v", s.Name, inSync)
		}
	}
	config, err := c.TopicConfig(within(t), bus.TopicEvents, []string{"retention.ms", "message.timestamp.type", "cleanup.policy", "min.insync.replicas"})
	want := map[string]string{"retention.ms": "-1", "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "min.insync.replicas": "2"}
	if diff := cmp.Diff(want, config); err != nil || diff != "" {
		t.Error(diff, err)
	}
	// Room for any event with the headers of a dead letter.
	p := producer(t, c, bus.ProducerOptions{RecordBytes: bus.DeadLetterBytesMax - 1024})
	if err := p.Produce(within(t), bus.TopicDeadLetter, []bus.Record{record("k", strings.Repeat("x", 1_900_000))}); err != nil {
		t.Error(err)
	}

	// What is asked for and what is there differ: all of it is told, and nothing is changed.
	specs = bus.Topics(8, 3)
	specs[0].Config["retention.ms"] = "1000"
	err = c.EnsureTopics(within(t), specs)
	var mismatch *bus.TopicMismatchError
	if !errors.As(err, &mismatch) || bus.Retryable(err) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff([]string{"usage.events has 16 partitions, not 8", "usage.events has retention.ms=-1, not 1000"}, mismatch.Differences); diff != "" {
		t.Error(diff)
	}
}

func TestApacheImpossibleTopics(t *testing.T) {
	c := open(t)
	for name, spec := range map[string]bus.TopicSpec{
		"five copies":       {Name: "five-copies", Partitions: 1, Replication: 5},
		"an unknown config": {Name: "unknown-config", Partitions: 1, Config: map[string]string{"no.such.thing": "1"}},
		"a bad value":       {Name: "bad-value", Partitions: 1, Config: map[string]string{"retention.ms": "long"}},
		"a bad name":        {Name: "bad/name", Partitions: 1},
	} {
		err := c.EnsureTopics(within(t), []bus.TopicSpec{spec})
		if err == nil || bus.Retryable(err) || !strings.Contains(err.Error(), "topic "+spec.Name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApacheOffsets(t *testing.T) {
	c, topic := topic(t, 2)
	p := producer(t, c, bus.ProducerOptions{})
	if err := p.ProduceTo(within(t), topic, 1, numbered("k", 0, 10)); err != nil {
		t.Fatal(err)
	}
	cluster.Admin().DeleteRecords(t, topic, 1, 3)
	all, err := c.AllOffsets(within(t), topic)
	if diff := cmp.Diff(map[int]bus.Range{0: {}, 1: {First: 3, Next: 10}}, all); err != nil || diff != "" {
		t.Error(diff, err)
	}
	if _, _, err := c.Offsets(within(t), topic, 2); err == nil {
		t.Error("a partition that is not there has offsets")
	}
	if err := p.Produce(within(t), "no-such-topic", numbered("k", 0, 1)); err == nil || !strings.Contains(err.Error(), "reckoner migrate") {
		t.Errorf("a topic that is not there: %v", err)
	}
	names, err := c.Topics(within(t))
	if err != nil || slices.Contains(names, "no-such-topic") {
		t.Errorf("topics %v, %v: none may be made by mistake", names, err)
	}
	if err := c.Ping(within(t)); err != nil {
		t.Error(err)
	}
}
