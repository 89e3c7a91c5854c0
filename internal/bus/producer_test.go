package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/bus"
)

func TestProduceAndRead(t *testing.T) {
	c, _ := start(t, 4)
	p := producer(t, c, bus.ProducerOptions{})
	at := time.Date(2026, 3, 1, 12, 0, 0, 7e6, time.UTC)
	recs := []bus.Record{
		{Key: []byte("a"), Value: []byte("1"), Headers: []bus.Header{{Key: "h", Value: []byte("v")}, {Key: "empty", Value: []byte{}}}, Time: at},
		{Key: []byte("a"), Value: []byte{}, Time: at},
		{Key: []byte("a"), Time: at},
		{Value: []byte("no key"), Time: at},
	}
	if err := p.Produce(within(t), "t", recs); err != nil {
		t.Fatal(err)
	}
	var got []bus.Record
	for i := range 4 {
		for _, r := range readAll(t, c, "t", i, 0) {
			if r.Topic != "t" || r.Partition != i || bus.PartitionFor(r.Key, 4) != i {
				t.Errorf("%v is in partition %d", r, i)
			}
			r.Topic, r.Partition, r.Offset, r.Time = "", 0, 0, r.Time.UTC()
			got = append(got, r)
		}
	}
	slices.SortStableFunc(got, func(x, y bus.Record) int { return strings.Compare(string(y.Key), string(x.Key)) })
	if diff := cmp.Diff(recs, got); diff != "" {
		t.Error(diff)
	}
	if err := p.Produce(within(t), "t", nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

func TestProduceToAPartition(t *testing.T) {
	c, _ := start(t, 4)
	p := producer(t, c, bus.ProducerOptions{})
	wrong := (bus.PartitionFor([]byte("k"), 4) + 1) % 4
	if err := p.ProduceTo(within(t), "t", wrong, []bus.Record{record("k", "misrouted")}); err != nil {
		t.Fatal(err)
	}
	if got := values(readAll(t, c, "t", wrong, 0)); !slices.Equal(got, []string{"misrouted"}) {
		t.Errorf("partition %d has %v", wrong, got)
	}
	for _, partition := range []int{-1, 4} {
		if err := p.ProduceTo(within(t), "t", partition, []bus.Record{record("k", "v")}); err == nil {
			t.Errorf("partition %d took a record", partition)
		}
	}
}

// TestLostAckLeavesTwoCopies is the reason for which the aggregator decides by id.
func TestLostAckLeavesTwoCopies(t *testing.T) {
	c, b := start(t, 1)
	p := producer(t, c, bus.ProducerOptions{})
	b.DropProduceAck(1)
	if err := p.Produce(within(t), "t", []bus.Record{record("k", "v")}); err != nil {
		t.Fatal(err)
	}
	if got := values(readAll(t, c, "t", 0, 0)); !slices.Equal(got, []string{"v", "v"}) {
		t.Errorf("the log has %v, two copies were expected", got)
	}
}

func TestRefusedProduceIsTriedAgain(t *testing.T) {
	c, b := start(t, 1)
	var batches []bus.Batch
	p := producer(t, c, bus.ProducerOptions{OnBatch: func(b bus.Batch) { batches = append(batches, b) }})
	b.FailProduce(2)
	if err := p.Produce(within(t), "t", []bus.Record{record("k", "v")}); err != nil {
		t.Fatal(err)
	}
	if got := values(readAll(t, c, "t", 0, 0)); !slices.Equal(got, []string{"v"}) {
		t.Errorf("the log has %v", got)
	}
	if len(batches) != 1 || batches[0].Attempts != 3 || batches[0].Err != nil || batches[0].Records != 1 {
		t.Errorf("told of %+v", batches)
	}
}

func TestProduceNeverSucceedsWithoutAnAck(t *testing.T) {
	c, b := start(t, 1)
	p := producer(t, c, bus.ProducerOptions{DeliveryTimeout: 200 * time.Millisecond})
	for name, fault := range map[string]func(int) func(){"refused": b.FailProduce, "not acknowledged": b.DropProduceAck} {
		heal := fault(-1)
		err := p.Produce(within(t), "t", []bus.Record{record("k", "v")})
		heal()
		var unknown *bus.UnknownError
		if !errors.As(err, &unknown) || !bus.Retryable(err) {
			t.Errorf("%s: got %v, want an UnknownError to be retried", name, err)
		}
	}
	if err := p.Produce(within(t), "t", []bus.Record{record("k", "v")}); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

func TestProduceEndsWithItsContext(t *testing.T) {
	c, b := start(t, 1)
	p := producer(t, c, bus.ProducerOptions{})
	if err := p.Produce(within(t), "t", numbered("k", 0, 1)); err != nil {
		t.Fatal(err)
	}
	pause := b.PauseProduce()
	defer pause.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := p.Produce(ctx, "t", numbered("k", 1, 2))
	var unknown *bus.UnknownError
	if !errors.As(err, &unknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	pause.Resume()
	// What was on its way arrives; nothing comes twice.
	eventually(t, "the record arrives", func() bool {
		_, next, err := c.Offsets(within(t), "t", 0)
		return err == nil && next == 2
	})
}

func TestFinalRefusal(t *testing.T) {
	c, b := start(t, 1)
	p := producer(t, c, bus.ProducerOptions{})
	b.RefuseProduceTooLarge(1)
	if err := p.Produce(within(t), "t", numbered("k", 0, 1)); err == nil || bus.Retryable(err) {
		t.Errorf("got %v, want a final error", err)
	}
}

func TestTooLargeWritesNothing(t *testing.T) {
	c, _ := start(t, 2)
	p := producer(t, c, bus.ProducerOptions{})
	recs := numbered("k", 0, 50)
	recs = append(recs, record("k", strings.Repeat("x", 1_000_000)))
	err := p.Produce(within(t), "t", recs)
	var large *bus.TooLargeError
	if !errors.As(err, &large) || large.Index != 50 || large.Max != 1_000_000 {
		t.Fatalf("got %v", err)
	}
	ends, err := c.EndOffsets(within(t), "t")
	if err != nil || ends[0]+ends[1] != 0 {
		t.Errorf("the log ends at %v, %v", ends, err)
	}
	// The largest allowed record passes, so the bound is below the broker's.
	if err := p.Produce(within(t), "t", []bus.Record{record("k", strings.Repeat("x", 1_000_000-41))}); err != nil {
		t.Error(err)
	}
}

func TestLargeRecordsGoWhereTheTopicAllowsThem(t *testing.T) {
	c, _ := start(t, 1)
	if err := c.EnsureTopics(within(t), bus.Topics(1, 0)); err != nil {
		t.Fatal(err)
	}
	p := producer(t, c, bus.ProducerOptions{RecordBytes: bus.DeadLetterBytesMax - 1024})
	big := record("k", strings.Repeat("x", 1_900_000))
	if err := p.Produce(within(t), bus.TopicDeadLetter, []bus.Record{big, big}); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, c, bus.TopicDeadLetter, 0, 0); len(got) != 2 || len(got[1].Value) != 1_900_000 {
		t.Errorf("%d records", len(got))
	}
}

// TestOrder writes from many goroutines, in calls larger than a batch, and reads each key's records in their order.
func TestOrder(t *testing.T) {
	c, b := start(t, 3)
	p := producer(t, c, bus.ProducerOptions{BatchBytes: 2000})
	heal := b.FailProduce(5)
	defer heal()
	const keys, calls, each = 8, 5, 100
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for i := range calls {
				if err := p.Produce(within(t), "t", numbered(fmt.Sprint("key", k), i*each, (i+1)*each)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := make(map[string][]string)
	for i := range 3 {
		for _, r := range readAll(t, c, "t", i, 0) {
			got[string(r.Key)] = append(got[string(r.Key)], string(r.Value))
		}
	}
	for k := range keys {
		key := fmt.Sprint("key", k)
		if diff := cmp.Diff(values(numbered(key, 0, calls*each)), got[key]); diff != "" {
			t.Error(diff)
		}
	}
}

// TestFailedCallStoresAPrefix: when a call fails, no later record of a key is stored without the earlier ones, else a
// retry would put them in the wrong order.
func TestFailedCallStoresAPrefix(t *testing.T) {
	c, b := start(t, 1)
	p := producer(t, c, bus.ProducerOptions{BatchBytes: 1000})
	b.RefuseProduceTooLarge(1)
	recs := numbered("k", 0, 200)
	if err := p.Produce(within(t), "t", recs); err == nil {
		t.Fatal("a call with a refused batch succeeded")
	}
	if err := p.Produce(within(t), "t", recs); err != nil {
		t.Fatal(err)
	}
	got := values(readAll(t, c, "t", 0, 0))
	if diff := cmp.Diff(values(recs), got); diff != "" {
		t.Errorf("nothing of the first call may be stored, its first batch was refused:\n%s", diff)
	}
}

func TestBusy(t *testing.T) {
	c, b := start(t, 1)
	p := producer(t, c, bus.ProducerOptions{InFlightBytes: 10_000, BusyWait: 20 * time.Millisecond})
	if err := p.Produce(within(t), "t", numbered("k", 0, 1)); err != nil {
		t.Fatal(err)
	}
	pause := b.PauseProduce()
	defer pause.Resume()
	big := record("k", strings.Repeat("x", 9_000))
	result := make(chan error, 1)
	go func() { result <- p.Produce(within(t), "t", []bus.Record{big}) }()
	eventually(t, "the record is on its way", func() bool { return pause.Held() == 1 })
	if err := p.Produce(within(t), "t", []bus.Record{big}); !errors.Is(err, bus.ErrBusy) || !bus.Retryable(err) {
		t.Errorf("over the bound: %v", err)
	}
	pause.Resume()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	// The room is free again, and a call larger than the whole bound passes alone.
	if err := p.Produce(within(t), "t", []bus.Record{big, big, big}); err != nil {
		t.Error(err)
	}
}

func TestUnknownTopic(t *testing.T) {
	c, _ := start(t, 1)
	p := producer(t, c, bus.ProducerOptions{})
	err := p.Produce(within(t), "no-such-topic", numbered("k", 0, 1))
	var unknown *bus.UnknownError
	if err == nil || errors.As(err, &unknown) || !strings.Contains(err.Error(), "reckoner migrate") {
		t.Errorf("got %v, want a plain error with its remedy", err)
	}
	topics, err := c.Topics(within(t))
	if err != nil || !slices.Equal(topics, []string{"t"}) {
		t.Errorf("topics %v, %v: none may be made by mistake", topics, err)
	}
}

// TestPartitionsChanged makes the topic anew with more partitions: the keys would go elsewhere.
func TestPartitionsChanged(t *testing.T) {
	c, b := start(t, 2)
	p := producer(t, c, bus.ProducerOptions{})
	if err := p.Produce(within(t), "t", numbered("k", 0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteTopic("t"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client knows that the topic is gone", func() bool { _, err := c.Partitions(within(t), "t"); return err != nil })
	makeTopic(t, c, "t", 3)
	err := p.Produce(within(t), "t", numbered("k", 1, 2))
	var changed *bus.PartitionsChangedError
	if !errors.As(err, &changed) || changed.Was != 2 || changed.Is != 3 || bus.Retryable(err) {
		t.Errorf("got %v", err)
	}
}

func TestClosedProducer(t *testing.T) {
	c, b := start(t, 1)
	p := c.NewProducer(bus.ProducerOptions{})
	if err := p.Produce(within(t), "t", numbered("k", 0, 1)); err != nil {
		t.Fatal(err)
	}
	pause := b.PauseProduce()
	defer pause.Resume()
	result := make(chan error, 1)
	go func() { result <- p.Produce(within(t), "t", numbered("k", 1, 2)) }()
	eventually(t, "the record is on its way", func() bool { return pause.Held() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close said %v, a record was on its way", err)
	}
	var unknown *bus.UnknownError
	if err := <-result; !errors.As(err, &unknown) {
		t.Errorf("the call said %v", err)
	}
	if err := p.Produce(within(t), "t", numbered("k", 2, 3)); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("a closed producer said %v", err)
	}
}
