package bus_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// TestBrokerRestarts closes the broker and opens it again on its directory and port, while producers write, a reader
// reads, a follower follows and a group works. Every acknowledged record is in the log, in its order, and everybody
// goes on by itself.
func TestBrokerRestarts(t *testing.T) {
	dir := t.TempDir()
	b := brokertest.Open(t, broker.Options{Dir: dir, Listen: "127.0.0.1:0"})
	c := open(t, b)
	makeTopic(t, c, "t", 2)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()

	p := producer(t, c, bus.ProducerOptions{DeliveryTimeout: 300 * time.Millisecond})
	var acked [2]atomic.Int64
	var writers, readers sync.WaitGroup
	for i := range acked {
		writers.Go(func() { writeUntil(ctx, t, p, i, &acked[i]) })
	}
	var read atomic.Int64
	readers.Go(func() { readUntil(ctx, t, c, &read) })
	var f bustest.Follower
	stop := bustest.Follow(t, c, "t", map[int]int64{0: 0, 1: 0}, bus.Follower{Record: f.Record})
	m := join(t, c, nil)

	for range 3 {
		at := [2]int64{acked[0].Load(), acked[1].Load()}
		before := read.Load()
		eventually(t, "all go on", func() bool {
			return acked[0].Load() > at[0]+20 && acked[1].Load() > at[1]+20 && read.Load() > before+20 && len(m.Partitions()) == 2
		})
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = brokertest.Open(t, broker.Options{Dir: dir, Listen: b.Addr()})
	}
	eventually(t, "the group is back", func() bool { return len(m.Partitions()) == 2 })
	cancel()
	writers.Wait()
	readers.Wait()

	total := 0
	for i := range acked {
		got := readAll(t, c, "t", i, 0)
		total += len(got)
		checkWritten(t, i, values(got), acked[i].Load())
	}
	eventually(t, "the follower has all", f.Has(total))
	_ = stop()
	if f.Count() != total {
		t.Errorf("the follower was told of %d records, the log has %d", f.Count(), total)
	}
}

// writeUntil writes 0, 1, 2 … to a partition, each again until it is acknowledged, at no more than one in a millisecond.
func writeUntil(ctx context.Context, t *testing.T, p *bus.Producer, partition int, acked *atomic.Int64) {
	for i := int64(0); ctx.Err() == nil; {
		err := p.ProduceTo(ctx, "t", partition, []bus.Record{record("k", fmt.Sprint(i))})
		if err == nil {
			i++
			acked.Store(i)
			time.Sleep(time.Millisecond)
		} else if ctx.Err() == nil && !bus.Retryable(err) {
			t.Errorf("write %d to %d: %v", i, partition, err)
			return
		}
	}
}

func readUntil(ctx context.Context, t *testing.T, c *bus.Client, read *atomic.Int64) {
	r, err := c.OpenReader(ctx, "t", 0, 0)
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
		for _, rec := range recs {
			if rec.Offset != read.Load() {
				t.Errorf("offset %d came after %d records", rec.Offset, read.Load())
			}
			read.Add(1)
		}
	}
}

// checkWritten holds a log against what writeUntil wrote: repetitions are allowed, gaps and steps back are not, and
// what was acknowledged is there.
func checkWritten(t *testing.T, partition int, got []string, acked int64) {
	got = slices.Compact(got)
	for i, v := range got {
		if v != fmt.Sprint(i) {
			t.Fatalf("partition %d: record %d is %s", partition, i, v)
		}
	}
	if int64(len(got)) < acked || int64(len(got)) > acked+1 {
		t.Errorf("partition %d has %d records, %d were acknowledged", partition, len(got), acked)
	}
}
