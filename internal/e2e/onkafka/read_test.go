//go:build kafka

package onkafka_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"reckoner/internal/bus"
)

func produce(t testing.TB, c *bus.Client, topic string, recs ...bus.Record) {
	t.Helper()
	if err := producer(t, c, bus.ProducerOptions{}).ProduceTo(within(t), topic, 0, recs); err != nil {
		t.Fatal(err)
	}
}

func TestApacheReadFromTheMiddleOfABatch(t *testing.T) {
	c, topic := topic(t, 1)
	recs := numbered("k", 0, 100)
	produce(t, c, topic, recs...)
	for _, from := range []int64{0, 1, 57, 99, 100} {
		if got := readAll(t, c, topic, 0, from); !slices.Equal(values(got), values(recs[from:])) {
			t.Errorf("from %d: %v", from, values(got))
		}
	}
	for offset := range int64(100) {
		if r, err := c.ReadRecord(within(t), topic, 0, offset); err != nil || r.Offset != offset || string(r.Value) != string(recs[offset].Value) {
			t.Errorf("offset %d: %v, %v", offset, r, err)
		}
	}
}

func TestApacheOutOfRange(t *testing.T) {
	c, topic := topic(t, 1)
	produce(t, c, topic, numbered("k", 0, 10)...)
	r, err := c.OpenReader(within(t), topic, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	cluster.Admin().DeleteRecords(t, topic, 0, 4)
	want := bus.OutOfRangeError{Topic: topic, Want: 0, First: 4, Next: 10}
	for range 2 { // it stays where it is
		var away *bus.OutOfRangeError
		_, _, err = r.Fetch(within(t), bus.Limits{})
		if !errors.As(err, &away) || *away != want || bus.Retryable(err) {
			t.Fatalf("got %v", err)
		}
	}
	for _, from := range []int64{-1, 0, 3, 11} {
		var away *bus.OutOfRangeError
		if _, err := c.OpenReader(within(t), topic, 0, from); !errors.As(err, &away) || away.Want != from {
			t.Errorf("open at %d: %v", from, err)
		}
	}
	if got := readAll(t, c, topic, 0, 4); !slices.Equal(values(got), values(numbered("k", 4, 10))) {
		t.Errorf("the rest is %v", values(got))
	}
}

// TestApacheTopicMadeAnew: a reader behind the end of the new topic must not begin at its start.
func TestApacheTopicMadeAnew(t *testing.T) {
	c, topic := topic(t, 1)
	produce(t, c, topic, numbered("k", 0, 10)...)
	r, err := c.OpenReader(within(t), topic, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	cluster.Admin().DeleteTopic(t, topic)
	eventually(t, "the topic is gone", func() bool { _, err := c.Partitions(within(t), topic); return err != nil })
	makeTopic(t, c, topic, 1)
	produce(t, c, topic, numbered("new", 0, 3)...)
	eventually(t, "the reader notices", func() bool {
		recs, _, err := r.Fetch(within(t), bus.Limits{})
		if len(recs) > 0 {
			t.Fatalf("got %v", values(recs))
		}
		var away *bus.OutOfRangeError
		return errors.As(err, &away) && away.Want == 10 && away.Next == 3
	})
}

// TestApacheTransaction: a transaction's marker takes an offset, and that is a gap. It must not look like a log
// without news.
func TestApacheTransaction(t *testing.T) {
	c, topic := topic(t, 1)
	produce(t, c, topic, numbered("k", 0, 3)...)
	cluster.Admin().Transact(t, topic, 0, "in a transaction") // its marker is the offset after it
	r, err := c.OpenReader(within(t), topic, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var gap *bus.GapError
	eventually(t, "the gap is told", func() bool {
		recs, _, err := r.Fetch(within(t), bus.Limits{})
		got = append(got, values(recs)...)
		if err != nil && !bus.Retryable(err) && !errors.As(err, &gap) {
			t.Fatal(err)
		}
		return gap != nil
	})
	if gap.Want != int64(len(got)) || gap.Got != gap.Want+1 || !slices.Equal(firsts(got), append(values(numbered("k", 0, 3)), "in a transaction")) {
		t.Errorf("read %v, then %v", got, gap)
	}
}

// follower collects what it is told.
type follower struct {
	mu      sync.Mutex
	got     []string
	skipped [][3]int64
}

func (f *follower) record(r bus.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, string(r.Value))
	return nil
}

func (f *follower) skip(partition int, from, to int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skipped = append(f.skipped, [3]int64{int64(partition), from, to})
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got)
}

// follow runs Follow until the returned function is called, which returns its error.
func follow(t *testing.T, c *bus.Client, topic string, from map[int]int64, f bus.Follower) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- c.Follow(ctx, topic, from, f) }()
	stop = sync.OnceValue(func() error { cancel(); return <-result })
	t.Cleanup(func() { _ = stop() })
	return stop
}

func TestApacheFollow(t *testing.T) {
	c, topic := topic(t, 3)
	p := producer(t, c, bus.ProducerOptions{})
	write := func(key string) {
		for i := range 3 {
			if err := p.ProduceTo(within(t), topic, i, numbered(key, 0, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("old")
	ends, err := c.EndOffsets(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	write("early") // before it begins to read
	var f follower
	stop := follow(t, c, topic, ends, bus.Follower{Record: f.record})
	eventually(t, "the early ones come", func() bool { return f.count() == 3 })
	write("late")
	eventually(t, "the late ones come", func() bool { return f.count() == 6 })
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	slices.Sort(f.got)
	if want := []string{"early-0", "early-0", "early-0", "late-0", "late-0", "late-0"}; !slices.Equal(f.got, want) {
		t.Errorf("got %v", f.got)
	}
}

func TestApacheFollowSkipsOnlyWhereAllowed(t *testing.T) {
	c, topic := topic(t, 1)
	produce(t, c, topic, numbered("k", 0, 10)...)
	cluster.Admin().DeleteRecords(t, topic, 0, 4)
	var strict follower
	var away *bus.OutOfRangeError
	if err := c.Follow(within(t), topic, map[int]int64{0: 2}, bus.Follower{Record: strict.record}); !errors.As(err, &away) || len(strict.got) != 0 {
		t.Errorf("a strict follower got %v and ended with %v", strict.got, err)
	}
	var lax follower
	stop := follow(t, c, topic, map[int]int64{0: 2}, bus.Follower{Record: lax.record, Skipped: lax.skip})
	eventually(t, "the rest comes", func() bool { return lax.count() == 6 })
	_ = stop()
	if !slices.Equal(lax.got, values(numbered("k", 4, 10))) || !slices.Equal(lax.skipped, [][3]int64{{0, 2, 4}}) {
		t.Errorf("got %v, skipped %v", lax.got, lax.skipped)
	}
}
