//go:build kafka

package onkafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/bus"
)

func TestApacheProduceAndRead(t *testing.T) {
	c, topic := topic(t, 4)
	p := producer(t, c, bus.ProducerOptions{})
	recs := []bus.Record{
		{Key: []byte("a"), Value: []byte("1"), Headers: []bus.Header{{Key: "h", Value: []byte("v")}, {Key: "empty", Value: []byte{}}}},
		{Key: []byte("a"), Value: []byte{}},
		{Key: []byte("a")},
		{Value: []byte("no key")},
	}
	if err := p.Produce(within(t), topic, recs); err != nil {
		t.Fatal(err)
	}
	var got []bus.Record
	for i := range 4 {
		for _, r := range readAll(t, c, topic, i, 0) {
			if r.Topic != topic || r.Partition != i || bus.PartitionFor(r.Key, 4) != i {
				t.Errorf("%v is in partition %d", r, i)
			}
			got = append(got, bus.Record{Key: r.Key, Value: r.Value, Headers: r.Headers})
		}
	}
	slices.SortStableFunc(got, func(x, y bus.Record) int { return strings.Compare(string(y.Key), string(x.Key)) })
	if diff := cmp.Diff(recs, got); diff != "" {
		t.Error(diff)
	}
}

// TestApacheLoneAndMany: a lone record is one batch and waits for nobody; a crowd shares batches.
func TestApacheLoneAndMany(t *testing.T) {
	c, topic := topic(t, 1)
	var mu sync.Mutex
	batches, attempts := 0, 0
	p := producer(t, c, bus.ProducerOptions{OnBatch: func(b bus.Batch) {
		mu.Lock()
		defer mu.Unlock()
		batches, attempts = batches+1, attempts+b.Attempts
	}})
	const lone, many = 20, 2000
	begin := time.Now()
	for i := range lone {
		if err := p.Produce(within(t), topic, numbered("lone", i, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	alone := time.Since(begin)
	if batches != lone {
		t.Errorf("%d lone records were %d batches", lone, batches)
	}
	begin = time.Now()
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			if err := p.Produce(within(t), topic, numbered("many", i, i+1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if crowd := batches - lone; crowd > many/4 {
		t.Errorf("%d records of a crowd were %d batches", many, crowd)
	}
	t.Logf("a lone record took %s, one of a crowd %s, in %d batches and %d attempts", alone/lone, time.Since(begin)/many, batches, attempts)
	got := values(readAll(t, c, topic, 0, 0))
	slices.Sort(got)
	if unique := len(slices.Compact(slices.Clone(got))); unique != lone+many || attempts == batches && len(got) != unique {
		t.Errorf("the log has %d records, %d of them different", len(got), unique)
	}
}

// TestApachePartitioner holds the partitions and the compressions of Kafka's own producer against the bus. That
// producer is idempotent by default, and its offsets are dense all the same.
func TestApachePartitioner(t *testing.T) {
	c, topic := topic(t, 7)
	kinds := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	var keys []string
	for i := range 200 {
		keys = append(keys, strings.Repeat("ключ-", i%4)+strconv.Itoa(i*i*7919))
	}
	want := map[int][]string{}
	for _, kind := range kinds {
		for i, p := range cluster.Admin().Produce(t, topic, kind, keys) {
			if ours := bus.PartitionFor([]byte(keys[i]), 7); p != ours {
				t.Errorf("Kafka's producer puts %q into partition %d, ours into %d", keys[i], p, ours)
			}
			want[p] = append(want[p], kind+" "+keys[i])
		}
	}
	for p := range 7 {
		if diff := cmp.Diff(want[p], values(readAll(t, c, topic, p, 0))); diff != "" {
			t.Errorf("partition %d: %s", p, diff)
		}
	}
}

// TestApacheTimes: the broker writes its own clock over the producer's, and Kafka's consumer shows that.
func TestApacheTimes(t *testing.T) {
	c, topic := topic(t, 1)
	p := producer(t, c, bus.ProducerOptions{})
	long := time.Date(2001, 2, 3, 4, 5, 6, 7e6, time.UTC)
	begin := time.Now().Truncate(time.Millisecond)
	if err := p.Produce(within(t), topic, []bus.Record{{Value: []byte("v"), Time: long}, {Value: []byte("w"), Time: long}}); err != nil {
		t.Fatal(err)
	}
	for _, got := range cluster.Admin().Times(t, topic, 0, 2) {
		kind, text, _ := strings.Cut(got, " ")
		ms, err := strconv.ParseInt(text, 10, 64)
		if at := time.UnixMilli(ms); err != nil || kind != "LogAppendTime" || at.Before(begin) || at.After(time.Now()) {
			t.Errorf("Kafka's consumer sees %s, %s; it was written after %s", got, at, begin)
		}
	}
	// The client shows the producer's time all the same, as bus.Record says.
	for _, r := range readAll(t, c, topic, 0, 0) {
		if !r.Time.Equal(long) {
			t.Errorf("record %d has the time %s", r.Offset, r.Time)
		}
	}
}

func TestApacheSizes(t *testing.T) {
	c, topic := topic(t, 1)
	p := producer(t, c, bus.ProducerOptions{})
	recs := append(numbered("k", 0, 50), record("k", strings.Repeat("x", 1_000_000)))
	var large *bus.TooLargeError
	if err := p.Produce(within(t), topic, recs); !errors.As(err, &large) || large.Index != 50 {
		t.Errorf("got %v", err)
	}
	// The largest allowed record passes, and so do many that fill batches to the brim.
	for _, fit := range [][]bus.Record{
		{record("k", strings.Repeat("x", 1_000_000-41))},
		slices.Repeat([]bus.Record{record("k", strings.Repeat("y", 1000))}, 3000),
	} {
		if err := p.Produce(within(t), topic, fit); err != nil {
			t.Error(err)
		}
	}
	if n := len(readAll(t, c, topic, 0, 0)); n != 3001 {
		t.Errorf("the log has %d records", n)
	}
	// Kafka refuses for good what passes the producer's own bound, and nothing of it is stored.
	wide := producer(t, c, bus.ProducerOptions{RecordBytes: 3 << 20, BatchBytes: 3 << 20})
	if err := wide.Produce(within(t), topic, []bus.Record{record("k", strings.Repeat("x", 2<<20))}); err == nil || bus.Retryable(err) {
		t.Errorf("two megabytes: %v", err)
	}
	if _, next, err := c.Offsets(within(t), topic, 0); next != 3001 || err != nil {
		t.Errorf("the log ends at %d, %v", next, err)
	}
}

// TestApacheOrder writes from many goroutines, in calls larger than a batch, and reads each key's records in their order.
func TestApacheOrder(t *testing.T) {
	c, topic := topic(t, 3)
	p := producer(t, c, bus.ProducerOptions{BatchBytes: 2000})
	const keys, calls, each = 8, 5, 100
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for i := range calls {
				if err := p.Produce(within(t), topic, numbered(fmt.Sprint("key", k), i*each, (i+1)*each)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := make(map[string][]string)
	for i := range 3 {
		for _, r := range readAll(t, c, topic, i, 0) {
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

// TestApachePartitionsChanged makes the topic anew with more partitions: the keys would go elsewhere.
func TestApachePartitionsChanged(t *testing.T) {
	c, topic := topic(t, 2)
	p := producer(t, c, bus.ProducerOptions{})
	if err := p.Produce(within(t), topic, numbered("k", 0, 1)); err != nil {
		t.Fatal(err)
	}
	cluster.Admin().DeleteTopic(t, topic)
	eventually(t, "the client knows that the topic is gone", func() bool { _, err := c.Partitions(within(t), topic); return err != nil })
	makeTopic(t, c, topic, 3)
	var err error
	var changed *bus.PartitionsChangedError
	eventually(t, "it is refused", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err = p.Produce(ctx, topic, numbered("k", 1, 2))
		if err == nil {
			t.Fatal("a producer of two partitions wrote to a topic of three")
		}
		return errors.As(err, &changed)
	})
	if changed.Was != 2 || changed.Is != 3 || bus.Retryable(err) {
		t.Errorf("got %v", err)
	}
}
