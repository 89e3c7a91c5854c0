//go:build kafka

package onkafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
	"reckoner/internal/kafkatest"
)

// traffic is two writers, a reader, a follower and a group member on one topic of two partitions.
type traffic struct {
	client  *bus.Client
	topic   string
	stop    context.CancelFunc
	writers sync.WaitGroup
	readers sync.WaitGroup
	acked   [2]atomic.Int64
	unknown atomic.Int64 // calls of which it is open what is stored
	read    [2]reading
	follows bustest.Follower
	unhook  func() error
	member  *bustest.Member
}

// reading is what a reader of a partition was given so far.
type reading struct {
	mu  sync.Mutex
	got []string
}

func (r *reading) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func startTraffic(t *testing.T) *traffic {
	t.Helper()
	_, topic := topic(t, 2)
	c := hasty(t)
	x := &traffic{client: c, topic: topic}
	ctx, stop := context.WithCancel(t.Context())
	x.stop = stop
	t.Cleanup(stop)
	p := producer(t, c, bus.ProducerOptions{DeliveryTimeout: 2 * time.Second})
	for i := range x.acked {
		x.writers.Go(func() { x.write(ctx, t, p, i) })
		x.readers.Go(func() { x.readOn(ctx, t, i) })
	}
	x.unhook = bustest.Follow(t, c, topic, map[int]int64{0: 0, 1: 0}, bus.Follower{Record: x.follows.Record})
	x.member = join(t, c, topic, nil)
	return x
}

// write writes 0, 1, 2 … to a partition, each again until it is acknowledged, at no more than one in two milliseconds.
// It stops between two records: one that was left on its way could still arrive while the log is being checked.
func (x *traffic) write(ctx context.Context, t *testing.T, p *bus.Producer, partition int) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := int64(0); ctx.Err() == nil; {
		err := p.ProduceTo(t.Context(), x.topic, partition, []bus.Record{record("k", fmt.Sprint(i))})
		var unknown *bus.UnknownError
		if errors.As(err, &unknown) {
			x.unknown.Add(1)
		}
		switch {
		case err == nil:
			i++
			x.acked[partition].Store(i)
			<-tick.C
		case t.Context().Err() != nil:
			return
		case !bus.Retryable(err):
			t.Errorf("write %d to %d: %v", i, partition, err)
			return
		}
	}
}

// readOn reads a partition from its first offset until ctx ends.
func (x *traffic) readOn(ctx context.Context, t *testing.T, partition int) {
	r, err := x.client.OpenReader(ctx, x.topic, partition, 0)
	if err != nil {
		t.Error(err)
		return
	}
	for ctx.Err() == nil {
		recs, _, err := r.Fetch(ctx, bus.Limits{MaxWait: 50 * time.Millisecond})
		if err != nil && ctx.Err() == nil && !bus.Retryable(err) {
			t.Error(err)
			return
		}
		to := &x.read[partition]
		to.mu.Lock()
		to.got = append(to.got, values(recs)...)
		to.mu.Unlock()
	}
}

// goesOn waits until everybody does more than now, and logs how long that took.
func (x *traffic) goesOn(t *testing.T, when string) {
	t.Helper()
	begin := time.Now()
	acked := [2]int64{x.acked[0].Load(), x.acked[1].Load()}
	read := [2]int{x.read[0].count(), x.read[1].count()}
	follows := x.follows.Count()
	took := func() time.Duration { return time.Since(begin).Round(time.Millisecond) }
	eventually(t, "the writers go on "+when, func() bool {
		return x.acked[0].Load() >= acked[0]+50 && x.acked[1].Load() >= acked[1]+50
	})
	wrote := took()
	eventually(t, "the readers go on "+when, func() bool {
		return x.read[0].count() >= read[0]+50 && x.read[1].count() >= read[1]+50 && x.follows.Count() >= follows+100
	})
	reads := took()
	eventually(t, "the group member works "+when, func() bool { return len(x.member.Partitions()) == 2 })
	t.Logf("%s: writers went on after %s, readers after %s, the group after %s", when, wrote, reads, took())
}

// end stops the traffic and holds what everybody saw against the log. Repetitions are allowed, for the client is not
// idempotent; what was acknowledged is there, in its order, and nobody read what later was not there.
func (x *traffic) end(t *testing.T) {
	t.Helper()
	x.stop()
	x.writers.Wait()
	x.readers.Wait()
	var all []string
	for i := range x.acked {
		log := values(readAll(t, x.client, x.topic, i, 0))
		all = append(all, log...)
		if got := x.read[i].got; len(got) > len(log) || !slices.Equal(got, log[:len(got)]) {
			t.Errorf("partition %d: the reader was given other records than the log has", i)
		}
		seen, acked := firsts(log), x.acked[i].Load()
		for n, v := range seen {
			if v != fmt.Sprint(n) {
				t.Fatalf("partition %d: the record %d is %s", i, n, v)
			}
		}
		if int64(len(seen)) < acked || int64(len(seen)) > acked+1 { // the last one may be stored and unknown
			t.Errorf("partition %d has %d different records, %d were acknowledged", i, len(seen), acked)
		}
	}
	eventually(t, "the follower has all", func() bool { return x.follows.Count() >= len(all) })
	_ = x.unhook()
	slices.Sort(all)
	got := x.follows.Got()
	slices.Sort(got)
	if !slices.Equal(got, all) {
		t.Errorf("the follower was told of %d records, the log has %d, and they differ", len(got), len(all))
	}
	if x.unknown.Load() == 0 { // an election takes longer than a batch is tried
		t.Error("the leader was gone, and no writer was told that an outcome is unknown")
	}
	t.Logf("%d and %d acknowledged, %d in the log, %d calls with an unknown outcome", x.acked[0].Load(), x.acked[1].Load(), len(all), x.unknown.Load())
}

// firsts returns the values without those that came before.
func firsts(log []string) []string {
	seen := make(map[string]bool, len(log))
	return slices.DeleteFunc(slices.Clone(log), func(v string) bool {
		again := seen[v]
		seen[v] = true
		return again
	})
}

// TestApacheLeaderIsKilled kills the broker that leads a partition, in the middle of everything, and later the one that
// took over.
func TestApacheLeaderIsKilled(t *testing.T) {
	x := startTraffic(t)
	x.goesOn(t, "at first")
	for range 2 {
		leader, _ := cluster.Admin().Partition(t, x.topic, 0)
		cluster.Kill(t, leader)
		x.goesOn(t, fmt.Sprintf("without broker %d", leader))
		cluster.Restart(t, leader)
		x.goesOn(t, "with the broker back")
		inSync(t, x.topic, 2)
	}
	x.end(t)
}

// TestApacheLeaderIsPaused stops the leader with SIGSTOP: its connections stay open and nothing answers. It wakes up as
// a leader of the past, with requests in its queue.
func TestApacheLeaderIsPaused(t *testing.T) {
	x := startTraffic(t)
	x.goesOn(t, "at first")
	leader, _ := cluster.Admin().Partition(t, x.topic, 0)
	resume := cluster.Pause(t, leader)
	x.goesOn(t, fmt.Sprintf("with broker %d paused", leader))
	resume()
	x.goesOn(t, "with the broker awake")
	inSync(t, x.topic, 2)
	x.end(t)
}

// TestApacheTooFewCopies leaves one broker of three: what it takes is in one copy only, and is never acknowledged. With
// all brokers back everything goes on.
func TestApacheTooFewCopies(t *testing.T) {
	_, topic := topic(t, 1)
	c := hasty(t)
	p := producer(t, c, bus.ProducerOptions{DeliveryTimeout: 3 * time.Second})
	if err := p.Produce(within(t), topic, numbered("k", 0, 10)); err != nil {
		t.Fatal(err)
	}
	leader, _ := cluster.Admin().Partition(t, topic, 0)
	var others []int
	for i := range kafkatest.Nodes {
		if id := i + 1; id != leader {
			others = append(others, id)
		}
	}
	for _, id := range others {
		cluster.Kill(t, id)
	}
	err := p.Produce(within(t), topic, numbered("k", 10, 11))
	var unknown *bus.UnknownError
	if !errors.As(err, &unknown) || !bus.Retryable(err) {
		t.Errorf("one copy: got %v, want an UnknownError to be retried", err)
	}
	cluster.Restart(t, others...)
	again := producer(t, c, bus.ProducerOptions{DeliveryTimeout: time.Minute})
	if err := again.Produce(within(t), topic, numbered("k", 10, 11)); err != nil {
		t.Errorf("with all brokers back: %v", err)
	}
	inSync(t, topic, 1)
	want := values(numbered("k", 0, 11))
	if got := firsts(values(readAll(t, c, topic, 0, 0))); !slices.Equal(got, want) {
		t.Errorf("the log has %s", strings.Join(got, " "))
	}
}
