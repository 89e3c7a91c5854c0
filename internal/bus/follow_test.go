package bus_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"reckoner/internal/bus"
)

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

func (f *follower) has(n int) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.got) >= n
	}
}

// follow runs Follow until the returned function is called, which returns its error.
func follow(t *testing.T, c *bus.Client, from map[int]int64, f bus.Follower) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- c.Follow(ctx, "t", from, f) }()
	stop = sync.OnceValue(func() error { cancel(); return <-result })
	t.Cleanup(func() { _ = stop() })
	return stop
}

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
	var f follower
	stop := follow(t, c, ends, bus.Follower{Record: f.record})
	eventually(t, "the early ones come", f.has(3))
	b.CutConnections()
	for i := range 3 {
		if err := p.ProduceTo(within(t), "t", i, numbered("late", 0, 1)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the late ones come", f.has(6))
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	slices.Sort(f.got)
	if want := []string{"early-0", "early-0", "early-0", "late-0", "late-0", "late-0"}; !slices.Equal(f.got, want) {
		t.Errorf("got %v", f.got)
	}
}

func TestFollowSkipsOnlyWhereAllowed(t *testing.T) {
	c, b := start(t, 1)
	produce(t, c, numbered("k", 0, 10)...)
	if err := b.DeleteRecords("t", 0, 4); err != nil {
		t.Fatal(err)
	}
	var strict follower
	var away *bus.OutOfRangeError
	if err := c.Follow(within(t), "t", map[int]int64{0: 2}, bus.Follower{Record: strict.record}); !errors.As(err, &away) || len(strict.got) != 0 {
		t.Errorf("a strict follower got %v and ended with %v", strict.got, err)
	}
	var lax follower
	stop := follow(t, c, map[int]int64{0: 2}, bus.Follower{Record: lax.record, Skipped: lax.skip})
	eventually(t, "the rest comes", lax.has(6))
	_ = stop()
	if !slices.Equal(lax.got, values(numbered("k", 4, 10))) || !slices.Equal(lax.skipped, [][3]int64{{0, 2, 4}}) {
		t.Errorf("got %v, skipped %v", lax.got, lax.skipped)
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
