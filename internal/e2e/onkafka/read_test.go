//go:build kafka

package onkafka_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
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
	var f bustest.Follower
	stop := bustest.Follow(t, c, topic, ends, bus.Follower{Record: f.Record})
	eventually(t, "the early ones come", func() bool { return f.Count() == 3 })
	write("late")
	eventually(t, "the late ones come", func() bool { return f.Count() == 6 })
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	got := f.Got()
	slices.Sort(got)
	if want := []string{"early-0", "early-0", "early-0", "late-0", "late-0", "late-0"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestApacheFollowSkipsOnlyWhereAllowed(t *testing.T) {
	c, topic := topic(t, 1)
	produce(t, c, topic, numbered("k", 0, 10)...)
	cluster.Admin().DeleteRecords(t, topic, 0, 4)
	var strict bustest.Follower
	var away *bus.OutOfRangeError
	if err := c.Follow(within(t), topic, map[int]int64{0: 2}, bus.Follower{Record: strict.Record}); !errors.As(err, &away) || len(strict.Got()) != 0 {
		t.Errorf("a strict follower got %v and ended with %v", strict.Got(), err)
	}
	var lax bustest.Follower
	stop := bustest.Follow(t, c, topic, map[int]int64{0: 2}, bus.Follower{Record: lax.Record, Skipped: lax.Skip})
	eventually(t, "the rest comes", func() bool { return lax.Count() == 6 })
	_ = stop()
	if !slices.Equal(lax.Got(), values(numbered("k", 4, 10))) || !slices.Equal(lax.Skipped(), [][3]int64{{0, 2, 4}}) {
		t.Errorf("got %v, skipped %v", lax.Got(), lax.Skipped())
	}
}
