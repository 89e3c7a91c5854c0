package aggregator

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"reckoner/internal/bus"
	"reckoner/ledger"
)

// fakeGroup gives out the generations that a test sends, one after the other, as a consumer group does.
type fakeGroup struct {
	generations chan fakeGeneration
	left        chan struct{} // closed when the member leaves
	onLeave     func()        // called when its context ends
}

type fakeGeneration struct {
	partitions []int32
	over       context.Context // ends the generation
	commits    func(map[int]int64)
}

func (g fakeGeneration) Partitions() []int32 { return g.partitions }
func (g fakeGeneration) Commit(_ context.Context, next map[int]int64) error {
	if g.commits != nil {
		g.commits(next)
	}
	return g.over.Err()
}

func (f *fakeGroup) Run(ctx context.Context, work func(context.Context, Generation) error) error {
	defer close(f.left) // a second time would panic
	noted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { f.onLeave(); close(noted) })
	defer func() {
		if !stop() {
			<-noted
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case g := <-f.generations:
			gen, cancel := context.WithCancel(ctx)
			stop := context.AfterFunc(g.over, cancel)
			err := work(gen, g)
			if err == nil {
				<-gen.Done()
			}
			stop()
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// rig is an aggregator over a fake group, log and ledger.
type rig struct {
	t       *testing.T
	log     *memLog
	ledger  *memLedger
	group   *fakeGroup
	a       *Aggregator
	stop    context.CancelFunc
	result  chan error
	mu      sync.Mutex
	atLeave ledger.Checkpoint // of testPartition, when the member left
	dead    []bus.Record
	said    []bus.Record
}

// Produce implements Publisher.
func (r *rig) Produce(_ context.Context, topic string, recs []bus.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if topic == bus.TopicDeadLetter {
		r.dead = append(r.dead, recs...)
	} else {
		r.said = append(r.said, recs...)
	}
	return nil
}

// newRig starts an aggregator that no limit makes flush before a stop, unless change says otherwise.
func newRig(t *testing.T, change func(o *Options)) *rig {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	return rigBeside(t, change)
}

// rigBeside is newRig where another one runs: it is the first that looks for leaks, when all have ended.
func rigBeside(t *testing.T, change func(o *Options)) *rig {
	t.Helper()
	r := &rig{t: t, log: newMemLog(), ledger: newMemLedger(t), result: make(chan error, 1)}
	r.group = &fakeGroup{generations: make(chan fakeGeneration), left: make(chan struct{})}
	r.group.onLeave = func() {
		c, _, _ := r.ledger.Checkpoint(context.Background(), 1, testPartition)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.atLeave = c
	}
	o := Options{
		Dir: t.TempDir(), Log: testLog(), Source: r.log, Group: r.group, Ledger: r.ledger, Publisher: r, Partitioner: bus.PartitionFor,
		Limits:     Limits{RecordsMax: 10_000, BytesMax: 1 << 20, Interval: time.Hour, WaitInterval: time.Hour},
		CacheBytes: 1 << 20, BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond,
		WriteTimeout: patience, AnswerTimeout: patience, DrainTimeout: patience,
		Registerer: prometheus.NewRegistry(), Slog: quiet(),
	}
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	must(t, err)
	r.a = a
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.result <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-r.group.left
		must(t, a.Close())
	})
	return r
}

// soon flushes every few milliseconds.
func soon(o *Options) { o.Limits.Interval = 2 * time.Millisecond }

// fill puts generated records into a partition and returns how many there are.
func (r *rig) fill(partition int32, n int) int64 {
	g := &generator{t: r.t, partition: int(partition), pick: rand.New(rand.NewPCG(3, uint64(partition))).IntN}
	for range n {
		r.log.add(partition, g.next(int64(len(r.log.recs[partition]))).rec)
	}
	return int64(len(r.log.recs[partition]))
}

// begin starts a generation and returns what ends it.
func (r *rig) begin(partitions ...int32) (end func()) {
	r.t.Helper()
	over, end := context.WithCancel(context.Background())
	r.t.Cleanup(end)
	select {
	case r.group.generations <- fakeGeneration{partitions: partitions, over: over}:
	case <-time.After(patience):
		r.t.Fatal("the generation before never ended")
	}
	return end
}

// ended waits for Run's result.
func (r *rig) ended() error {
	r.t.Helper()
	select {
	case err := <-r.result:
		return err
	case <-time.After(patience):
		r.t.Fatal("Run did not return")
		return nil
	}
}

// decided is the next offset that a partition would decide.
func (r *rig) decided(partition int32) int64 {
	r.a.mu.Lock()
	defer r.a.mu.Unlock()
	if p := r.a.open[partition]; p != nil {
		return p.next()
	}
	return -1
}
