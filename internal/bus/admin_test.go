package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

func TestEnsureTopics(t *testing.T) {
	b := brokertest.Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Brokers: 3})
	c := open(t, b)
	specs := bus.Topics(16, 3)
	for range 2 { // the second time there is nothing to do
		if err := c.EnsureTopics(within(t), specs); err != nil {
			t.Fatal(err)
		}
	}
	names, err := c.Topics(within(t))
	if diff := cmp.Diff([]string{"catalog", "usage.deadletter", "usage.events", "usage.outcomes"}, names); err != nil || diff != "" {
		t.Error(diff, err)
	}
	config, err := c.TopicConfig(within(t), bus.TopicEvents, []string{"retention.ms", "message.timestamp.type", "cleanup.policy", "min.insync.replicas"})
	want := map[string]string{"retention.ms": "-1", "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete", "min.insync.replicas": "2"}
	if diff := cmp.Diff(want, config); err != nil || diff != "" {
		t.Error(diff, err)
	}
	for topic, want := range map[string]int{bus.TopicEvents: 16, bus.TopicOutcomes: 4, bus.TopicDeadLetter: 4, bus.TopicCatalog: 1} {
		if n, err := c.Partitions(within(t), topic); err != nil || n != want {
			t.Errorf("%s has %d partitions, %v", topic, n, err)
		}
	}
}

// What goes wrong while topics are made and passes does not end the making; each topic is there once and right.
func TestEnsureTopicsRidesOutWhatPasses(t *testing.T) {
	for name, trouble := range map[string]func(t *testing.T, b *broker.Broker){
		"the controller moved away":    func(_ *testing.T, b *broker.Broker) { b.FailCreateTopics(3) },
		"the acknowledgement was lost": func(_ *testing.T, b *broker.Broker) { b.DropCreateTopicsAck(1) },
		"the connection was cut": func(t *testing.T, b *broker.Broker) {
			pause := b.PauseCreateTopics()
			cut := make(chan struct{})
			go func() {
				defer close(cut)
				for ctx := within(t); pause.Held() == 0 && ctx.Err() == nil; {
					time.Sleep(time.Millisecond)
				}
				b.CutConnections()
				pause.Resume()
			}()
			t.Cleanup(func() {
				if <-cut; pause.Held() == 0 {
					t.Error("no request was held")
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := brokertest.Start(t)
			c := open(t, b)
			trouble(t, b)
			specs := bus.Topics(4, 0)
			if err := c.EnsureTopics(within(t), specs); err != nil {
				t.Fatal(err)
			}
			for _, s := range specs {
				if n, err := c.Partitions(within(t), s.Name); err != nil || n != s.Partitions {
					t.Errorf("%s has %d partitions, %v", s.Name, n, err)
				}
			}
		})
	}
}

func TestEnsureTopicsOfSeveralMigrators(t *testing.T) {
	b := brokertest.Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Brokers: 3})
	b.FailCreateTopics(2)
	var all sync.WaitGroup
	for range 4 {
		c := open(t, b)
		all.Go(func() {
			if err := c.EnsureTopics(within(t), bus.Topics(16, 3)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// heard tells of every line of a log.
type heard struct {
	slog.Handler
	tell func(slog.Record)
}

func (h heard) Enabled(context.Context, slog.Level) bool { return true }

func (h heard) Handle(_ context.Context, r slog.Record) error { h.tell(r); return nil }

// expiring is a context whose time is over when a test says so.
type expiring struct {
	context.Context
	over chan struct{}
}

func (e expiring) Done() <-chan struct{} { return e.over }

func (e expiring) Err() error {
	select {
	case <-e.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestEnsureTopicsGivesUp(t *testing.T) {
	_, b := start(t, 1)
	ctx := expiring{t.Context(), make(chan struct{})}
	expire := sync.OnceFunc(func() { close(ctx.over) })
	defer time.AfterFunc(patience, expire).Stop()
	refused := func(r slog.Record) { // its time is over once it was refused, however long that took
		r.Attrs(func(a slog.Attr) bool {
			if strings.Contains(a.Value.String(), "Not Controller") {
				expire()
			}
			return true
		})
	}
	c, err := bus.Open(bus.Options{Brokers: b.Addrs(), IOTimeout: 2 * time.Second, MetadataTTL: 500 * time.Millisecond, Log: slog.New(heard{slog.DiscardHandler, refused})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	b.FailCreateTopics(-1)
	err = c.EnsureTopics(ctx, []bus.TopicSpec{{Name: "x", Partitions: 1}})
	if err == nil || !strings.Contains(err.Error(), "topic x: [41] Not Controller") || !strings.Contains(err.Error(), "tried for ") {
		t.Errorf("got %v", err)
	}
}

func TestEnsureTopicsReportsAllDifferences(t *testing.T) {
	c, _ := start(t, 1)
	if err := c.EnsureTopics(within(t), []bus.TopicSpec{{Name: bus.TopicEvents, Partitions: 3, Config: map[string]string{"retention.ms": "1000"}}}); err != nil {
		t.Fatal(err)
	}
	err := c.EnsureTopics(within(t), bus.Topics(4, 0))
	var mismatch *bus.TopicMismatchError
	if !errors.As(err, &mismatch) || bus.Retryable(err) {
		t.Fatalf("got %v", err)
	}
	want := []string{
		"usage.events has 3 partitions, not 4",
		"usage.events has message.timestamp.type=CreateTime, not LogAppendTime",
		"usage.events has retention.ms=1000, not -1",
	}
	if diff := cmp.Diff(want, mismatch.Differences); diff != "" {
		t.Error(diff)
	}
	// The others were made all the same, and what differs was left alone.
	if n, err := c.Partitions(within(t), bus.TopicCatalog); err != nil || n != 1 {
		t.Errorf("catalog has %d partitions, %v", n, err)
	}
	if n, err := c.Partitions(within(t), bus.TopicEvents); err != nil || n != 3 {
		t.Errorf("usage.events has %d partitions, %v", n, err)
	}
}

func TestImpossibleTopic(t *testing.T) {
	c, _ := start(t, 1)
	if err := c.EnsureTopics(within(t), []bus.TopicSpec{{Name: "x", Partitions: 1, Replication: 5}}); err == nil || bus.Retryable(err) ||
		!strings.Contains(err.Error(), "topic x") || !strings.Contains(err.Error(), "kafka.replication_factor") {
		t.Errorf("five copies on one broker: %v", err)
	}
}

func TestOffsets(t *testing.T) {
	c, b := start(t, 2)
	p := producer(t, c, bus.ProducerOptions{})
	if err := p.ProduceTo(within(t), "t", 1, numbered("k", 0, 10)); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteRecords("t", 1, 3); err != nil {
		t.Fatal(err)
	}
	all, err := c.AllOffsets(within(t), "t")
	if diff := cmp.Diff(map[int]bus.Range{0: {}, 1: {First: 3, Next: 10}}, all); err != nil || diff != "" {
		t.Error(diff, err)
	}
	if first, next, err := c.Offsets(within(t), "t", 1); first != 3 || next != 10 || err != nil {
		t.Errorf("got %d, %d, %v", first, next, err)
	}
	if _, _, err := c.Offsets(within(t), "t", 2); err == nil {
		t.Error("a partition that is not there has offsets")
	}
}

func TestPing(t *testing.T) {
	c, b := start(t, 1)
	if err := c.Ping(within(t)); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(within(t)); err == nil || !bus.Retryable(err) || !strings.Contains(err.Error(), b.Addr()) {
		t.Errorf("a closed broker: %v", err)
	}
}

func TestOpenChecksItsOptions(t *testing.T) {
	for _, brokers := range [][]string{nil, {"localhost"}, {"localhost:9092", ""}} {
		if _, err := bus.Open(bus.Options{Brokers: brokers}); err == nil {
			t.Errorf("brokers %q were taken", brokers)
		}
	}
}

func TestMinInsyncReplacesTheDefault(t *testing.T) {
	specs := bus.Topics(16, 3)
	for i := range specs {
		if specs[i].SetMinInsync(3); specs[i].Config["min.insync.replicas"] != "3" {
			t.Errorf("%s: %v", specs[i].Name, specs[i].Config)
		}
	}
}
