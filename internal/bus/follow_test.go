package bus_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
)

func TestFollow(t *testing.T) {
	c, b := start(t, 3)
	p := producer(t, c, bus.ProducerOptions{})
	for i := range 3 {
		if err := p.ProduceTo(within(t), "t", i, numbered("old", 0, 2)); err != nil {
			t.Fatal(err)
		}
	}
	ends, err := c.EndOffsets(within(t), "t")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := p.ProduceTo(within(t), "t", i, numbered("early", 0, 1)); err != nil { // before it begins to read
			t.Fatal(err)
		}
	}
	var f bustest.Follower
	stop := bustest.Follow(t, c, "t", ends, bus.Follower{Record: f.Record})
	eventually(t, "the early ones come", f.Has(3))
	b.CutConnections()
	for i := range 3 {
		if err := p.ProduceTo(within(t), "t", i, numbered("late", 0, 1)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the late ones come", f.Has(6))
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	got := f.Got()
	slices.Sort(got)
	if want := []string{"early-0", "early-0", "early-0", "late-0", "late-0", "late-0"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestFollowSkipsOnlyWhereAllowed(t *testing.T) {
	c, b := start(t, 1)
	produce(t, c, numbered("k", 0, 10)...)
	if err := b.DeleteRecords("t", 0, 4); err != nil {
		t.Fatal(err)
	}
	var strict bustest.Follower
	var away *bus.OutOfRangeError
	if err := c.Follow(within(t), "t", map[int]int64{0: 2}, bus.Follower{Record: strict.Record}); !errors.As(err, &away) || len(strict.Got()) != 0 {
		t.Errorf("a strict follower got %v and ended with %v", strict.Got(), err)
	}
	var lax bustest.Follower
	stop := bustest.Follow(t, c, "t", map[int]int64{0: 2}, bus.Follower{Record: lax.Record, Skipped: lax.Skip})
	eventually(t, "the rest comes", lax.Has(6))
	_ = stop()
	if !slices.Equal(lax.Got(), values(numbered("k", 4, 10))) || !slices.Equal(lax.Skipped(), [][3]int64{{0, 2, 4}}) {
		t.Errorf("got %v, skipped %v", lax.Got(), lax.Skipped())
	}
}

func TestFollowerFails(t *testing.T) {
	c, _ := start(t, 2)
	produce(t, c, numbered("k", 0, 3)...)
	broken := errors.New("broken")
	err := c.Follow(within(t), "t", map[int]int64{0: 0, 1: 0}, bus.Follower{Record: func(bus.Record) error { return broken }})
	if !errors.Is(err, broken) {
		t.Errorf("ended with %v", err)
	}
}
