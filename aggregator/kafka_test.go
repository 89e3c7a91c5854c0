package aggregator

import (
	"context"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker/brokertest"
	"reckoner/ledger"
)

// overKafka is an aggregator over a real broker and a real consumer group.
type overKafka struct {
	t        *testing.T
	client   *bus.Client
	producer *bus.Producer
	ledger   *memLedger
	made     map[int][]generated
	gens     map[int]*generator
}

func newOverKafka(t *testing.T) *overKafka {
	b := brokertest.Start(t)
	c, err := bus.Open(bus.Options{Brokers: b.Addrs(), IOTimeout: 2 * time.Second, MetadataTTL: 500 * time.Millisecond})
	must(t, err)
	t.Cleanup(c.Close)
	must(t, c.EnsureTopics(within(t), bus.Topics(testPartitions, 0)))
	o := &overKafka{
		t: t, client: c, producer: c.NewProducer(bus.ProducerOptions{}), ledger: newMemLedger(t),
		made: make(map[int][]generated), gens: make(map[int]*generator),
	}
	t.Cleanup(func() { must(t, o.producer.Close(context.WithoutCancel(within(t)))) })
	for p := range testPartitions {
		o.gens[p] = &generator{t: t, partition: p, pick: rand.New(rand.NewPCG(5, uint64(p))).IntN}
	}
	return o
}

// produce writes generated records into every partition.
func (o *overKafka) produce(n int) {
	o.t.Helper()
	for p := range testPartitions {
		var recs []bus.Record
		for range n {
			g := o.gens[p].next(int64(len(o.made[p])))
			o.made[p] = append(o.made[p], g)
			recs = append(recs, g.rec)
		}
		must(o.t, o.producer.ProduceTo(within(o.t), bus.TopicEvents, p, recs))
	}
}

// start runs an aggregator with its states in dir, and returns what stops it.
func (o *overKafka) start(dir string) (stop func()) {
	o.t.Helper()
	group := &KafkaGroup{Client: o.client, Partitions: testPartitions, Options: bus.GroupOptions{
		Group: "aggregate", Topic: bus.TopicEvents, Heartbeat: 50 * time.Millisecond, JoinBackoff: 50 * time.Millisecond,
	}}
	a, err := New(Options{
		Dir: dir, Log: testLog(), Group: group, Ledger: o.ledger, Publisher: o.producer, Partitioner: bus.PartitionFor,
		Source:     &KafkaSource{Client: o.client, Topic: bus.TopicEvents, FetchBytes: 1 << 20, MaxWait: 50 * time.Millisecond},
		Limits:     Limits{RecordsMax: 100, BytesMax: 1 << 20, Interval: 20 * time.Millisecond, WaitInterval: 5 * time.Millisecond},
		CacheBytes: 1 << 20, BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond,
		WriteTimeout: patience, AnswerTimeout: patience, DrainTimeout: patience,
		Registerer: prometheus.NewRegistry(), Slog: quiet(),
	})
	must(o.t, err)
	group.Options.Held = a.Held
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- a.Run(ctx) }()
	return func() {
		cancel()
		must(o.t, <-result)
		must(o.t, a.Close())
	}
}

func (o *overKafka) await() {
	o.t.Helper()
	for p := range testPartitions {
		eventually(o.t, "the ledger has the log", func() bool { return o.ledger.next(int32(p)) == int64(len(o.made[p])) })
	}
}

// Over the real protocol: two members share the partitions, one is stopped and started again, one comes with an empty
// disk, and the ledger is what the model says.
func TestOverKafka(t *testing.T) {
	o := newOverKafka(t)
	dir := t.TempDir()
	stopOne := o.start(dir)
	o.produce(60)
	o.await()
	stopTwo := o.start(t.TempDir())
	o.produce(60)
	o.await()
	stopOne()
	o.produce(60)
	o.await()
	stopOne = o.start(dir)
	stopTwo()
	o.produce(60)
	o.await()
	stopOne()

	must(t, o.ledger.complete())
	totals, broken, waiting := make(map[ledger.TotalKey]ledger.Total), 0, 0
	for p := range testPartitions {
		m := newModel(p)
		for _, g := range o.made[p] {
			m.step(g.rec.Offset, string(g.rec.Key), g.e, g.broken)
			if g.broken {
				broken++
			} else if g.e.ReplyTo != "" {
				waiting++
			}
		}
		maps.Copy(totals, m.totals())
	}
	same(t, "totals", totals, o.ledger.totals)
	if n := o.count(bus.TopicDeadLetter); n < broken { // a copy may appear twice
		t.Errorf("%d dead letters of %d broken records", n, broken)
	}
	if n := o.count(bus.TopicOutcomes); n < waiting {
		t.Errorf("%d answers to %d who wait", n, waiting)
	}
}

// count is how many records a topic holds.
func (o *overKafka) count(topic string) (n int) {
	o.t.Helper()
	partitions, err := o.client.Partitions(within(o.t), topic)
	must(o.t, err)
	for p := range partitions {
		first, next, err := o.client.Offsets(within(o.t), topic, p)
		must(o.t, err)
		n += int(next - first)
	}
	return n
}
