package bus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

func produce(t testing.TB, c *bus.Client, recs ...bus.Record) {
	t.Helper()
	if err := producer(t, c, bus.ProducerOptions{}).Produce(within(t), "t", recs); err != nil {
		t.Fatal(err)
	}
}

func TestReadFromTheMiddleOfABatch(t *testing.T) {
	c, _ := start(t, 1)
	recs := numbered("k", 0, 100)
	produce(t, c, recs...)
	for _, from := range []int64{0, 1, 57, 99, 100} {
		got := readAll(t, c, "t", 0, from)
		if !slices.Equal(values(got), values(recs[from:])) {
			t.Errorf("from %d: %v", from, values(got))
		}
		for i, r := range got {
			if r.Offset != from+int64(i) {
				t.Fatalf("record %d from %d has offset %d", i, from, r.Offset)
			}
		}
	}
}

func TestFetchLimits(t *testing.T) {
	c, _ := start(t, 1)
	produce(t, c, numbered("k", 0, 10)...)
	r, err := c.OpenReader(within(t), "t", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, want := range []int{4, 4, 2} {
		recs, high, err := r.Fetch(within(t), bus.Limits{MaxRecords: 4})
		if err != nil || len(recs) != want || high != 10 {
			t.Fatalf("%d records, high %d, %v; %d were wanted", len(recs), high, err, want)
		}
		got = append(got, values(recs)...)
		if r.Next() != int64(len(got)) {
			t.Errorf("next is %d after %d records", r.Next(), len(got))
		}
	}
	if !slices.Equal(got, values(numbered("k", 0, 10))) {
		t.Errorf("got %v", got)
	}
	begin := time.Now()
	if recs, high, err := r.Fetch(within(t), bus.Limits{MaxWait: time.Millisecond}); err != nil || len(recs) != 0 || high != 10 {
		t.Errorf("at the end: %v, %d, %v", recs, high, err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("a wait of a millisecond took %v", took)
	}
}

func TestFetchWaitsForTheFirstRecord(t *testing.T) {
	c, _ := start(t, 1)
	r, err := c.OpenReader(within(t), "t", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, result := producer(t, c, bus.ProducerOptions{}), make(chan error, 1)
	go func() { result <- p.Produce(within(t), "t", numbered("k", 0, 1)) }()
	eventually(t, "the record comes", func() bool {
		recs, _, err := r.Fetch(within(t), bus.Limits{})
		return err == nil && len(recs) == 1
	})
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	c, _ := start(t, 1)
	r, err := c.OpenReader(within(t), "t", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, _, err := r.Fetch(ctx, bus.Limits{MaxWait: time.Minute}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOutOfRange(t *testing.T) {
	c, b := start(t, 1)
	produce(t, c, numbered("k", 0, 10)...)
	r, err := c.OpenReader(within(t), "t", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteRecords("t", 0, 4); err != nil {
		t.Fatal(err)
	}
	want := bus.OutOfRangeError{Topic: "t", Want: 0, First: 4, Next: 10}
	for range 2 { // it stays where it is
		_, _, err = r.Fetch(within(t), bus.Limits{})
		var away *bus.OutOfRangeError
		if !errors.As(err, &away) || *away != want || bus.Retryable(err) {
			t.Fatalf("got %v", err)
		}
	}
	for _, from := range []int64{-1, 0, 3, 11} {
		var away *bus.OutOfRangeError
		if _, err := c.OpenReader(within(t), "t", 0, from); !errors.As(err, &away) || away.Want != from {
			t.Errorf("open at %d: %v", from, err)
		}
	}
	if got := readAll(t, c, "t", 0, 4); !slices.Equal(values(got), values(numbered("k", 4, 10))) {
		t.Errorf("the rest is %v", values(got))
	}
}

// TestTopicMadeAnew: a reader behind the end of the new topic must not begin at its start.
func TestTopicMadeAnew(t *testing.T) {
	c, b := start(t, 1)
	produce(t, c, numbered("k", 0, 10)...)
	r, err := c.OpenReader(within(t), "t", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteTopic("t"); err != nil {
		t.Fatal(err)
	}
	makeTopic(t, c, "t", 1)
	produce(t, c, numbered("new", 0, 3)...)
	eventually(t, "the reader notices", func() bool {
		recs, _, err := r.Fetch(within(t), bus.Limits{})
		if len(recs) > 0 {
			t.Fatalf("got %v", values(recs))
		}
		var away *bus.OutOfRangeError
		return errors.As(err, &away) && away.Want == 10 && away.Next == 3
	})
}

func TestReadRecord(t *testing.T) {
	c, b := start(t, 1)
	produce(t, c, numbered("k", 0, 10)...)
	rec, err := c.ReadRecord(within(t), "t", 0, 7)
	if err != nil || string(rec.Value) != "k-7" || rec.Offset != 7 {
		t.Errorf("got %v, %v", rec, err)
	}
	if err := b.DeleteRecords("t", 0, 4); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int64{3, 10, 99} {
		var away *bus.OutOfRangeError
		if rec, err := c.ReadRecord(within(t), "t", 0, offset); !errors.As(err, &away) || away.Want != offset {
			t.Errorf("offset %d: %v, %v", offset, rec, err)
		}
	}
}

// TestReaderFollowsTheLeader moves a partition to another broker in mid-run.
func TestReaderFollowsTheLeader(t *testing.T) {
	b := brokertest.Open(t, broker.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Brokers: 3})
	c := open(t, b)
	makeTopic(t, c, "t", 1)
	p := producer(t, c, bus.ProducerOptions{})
	r, err := c.OpenReader(within(t), "t", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for round := range 4 {
		if err := p.Produce(within(t), "t", numbered("k", round*10, (round+1)*10)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the round is read", func() bool {
			recs, _, err := r.Fetch(within(t), bus.Limits{MaxWait: 100 * time.Millisecond})
			if err != nil && !bus.Retryable(err) {
				t.Fatal(err)
			}
			got = append(got, values(recs)...)
			return len(got) == (round+1)*10
		})
		if err := b.MoveLeader("t", 0, (b.Leader("t", 0)+1)%3); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, values(numbered("k", 0, 40))) {
		t.Errorf("got %v", got)
	}
}

func TestReaderSurvivesCutConnections(t *testing.T) {
	c, b := start(t, 1)
	p := producer(t, c, bus.ProducerOptions{})
	r, err := c.OpenReader(within(t), "t", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for round := range 5 {
		b.CutConnections()
		if err := p.Produce(within(t), "t", numbered("k", round, round+1)); err != nil {
			t.Fatal(err)
		}
		b.CutConnections()
		eventually(t, "the record is read", func() bool {
			recs, _, err := r.Fetch(within(t), bus.Limits{MaxWait: 100 * time.Millisecond})
			if err != nil && !bus.Retryable(err) {
				t.Fatal(err)
			}
			read += len(recs)
			return read > round
		})
	}
}

// TestReaderNeverHidesAFailure: calls that are too short to try again must not look like a log without anything new,
// or a partition that cannot be read would pass for one that has nothing left to do.
func TestReaderNeverHidesAFailure(t *testing.T) {
	c, b := start(t, 1)
	produce(t, c, numbered("k", 0, 3)...)
	r, err := c.OpenReader(within(t), "t", 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if recs, _, err := r.Fetch(within(t), bus.Limits{MaxWait: time.Millisecond}); err == nil || !bus.Retryable(err) {
			t.Fatalf("of a broker that is gone: %d records, %v", len(recs), err)
		}
	}
}

func TestReaderOfNoPartition(t *testing.T) {
	c, _ := start(t, 1)
	if _, err := c.OpenReader(within(t), "t", 9, 0); err == nil {
		t.Error("opened a partition that is not there")
	}
	if _, err := c.OpenReader(within(t), "no-such-topic", 0, 0); err == nil {
		t.Error("opened a topic that is not there")
	}
}

func TestLargeValues(t *testing.T) {
	c, _ := start(t, 1)
	var recs []bus.Record
	for i := range 20 {
		recs = append(recs, record("k", strings.Repeat(string(rune('a'+i)), 300_000)))
	}
	produce(t, c, recs...)
	if got := readAll(t, c, "t", 0, 0); !slices.Equal(values(got), values(recs)) {
		t.Error("large values came back changed")
	}
}
