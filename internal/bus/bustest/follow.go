package bustest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"reckoner/internal/bus"
)

// Follower collects what it is told.
type Follower struct {
	mu      sync.Mutex
	got     []string
	skipped [][3]int64
}

// Record takes a record.
func (f *Follower) Record(r bus.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, string(r.Value))
	return nil
}

// Skip takes what is passed over.
func (f *Follower) Skip(partition int, from, to int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skipped = append(f.skipped, [3]int64{int64(partition), from, to})
}

// Got returns the values of the records so far.
func (f *Follower) Got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// Skipped returns what was passed over so far: partition, from, to.
func (f *Follower) Skipped() [][3]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.skipped)
}

// Count returns how many records there were so far.
func (f *Follower) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got)
}

// Has returns a condition: that the follower was told of so many records.
func (f *Follower) Has(n int) func() bool { return func() bool { return f.Count() >= n } }

// Follow runs Follow until the returned function is called, which returns its error.
func Follow(t *testing.T, c *bus.Client, topic string, from map[int]int64, f bus.Follower) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- c.Follow(ctx, topic, from, f) }()
	stop = sync.OnceValue(func() error { cancel(); return <-result })
	t.Cleanup(func() { _ = stop() })
	return stop
}
