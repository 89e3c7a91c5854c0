// Package bustest is what the tests of the bus share, on the embedded Kafka and on Apache Kafka: members of groups,
// followers, producers and records that tell where they come from.
package bustest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"

	"reckoner/internal/bus"
)

// Member is one RunGroup whose generations a test can look at.
type Member struct {
	mu          sync.Mutex
	held        map[int]int64
	gen         *bus.Generation // nil outside a generation
	generations int64
	running     int
	end         func() error
}

// Join starts a member, which holds states of partitions already. It ends with the test.
func Join(t *testing.T, c *bus.Client, o bus.GroupOptions, held map[int]int64) *Member {
	t.Helper()
	m := &Member{held: map[int]int64{}}
	maps.Copy(m.held, held)
	o.Held = m.states
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- c.RunGroup(ctx, o, m.work) }()
	m.end = sync.OnceValue(func() error { cancel(); return <-result })
	t.Cleanup(func() {
		if err := m.End(); err != nil {
			t.Errorf("the member ended with %v", err)
		}
	})
	return m
}

// End lets the member leave, and returns how that went.
func (m *Member) End() error { return m.end() }

func (m *Member) states() map[int]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.held)
}

// Partitions returns what the member has now, nil outside a generation.
func (m *Member) Partitions() []int {
	if g := m.Generation(); g != nil {
		return g.Partitions()
	}
	return nil
}

// Generation returns the member's generation, nil outside of one.
func (m *Member) Generation() *bus.Generation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gen
}

func (m *Member) work(ctx context.Context, g *bus.Generation) error {
	m.mu.Lock()
	m.gen = g
	m.generations++
	m.running++
	if m.running != 1 {
		panic("two generations at a time")
	}
	for p := range g.Assigned {
		m.held[p] = max(m.held[p], m.generations) // from now on this process has a state of it
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gen = nil
	m.running--
	return ctx.Err()
}

// Shares reports whether the members have all partitions, each once, in shares of these sizes.
func Shares(partitions int, sizes []int, members ...*Member) func() bool {
	return func() bool {
		var all, got []int
		for _, m := range members {
			ps := m.Partitions()
			all = append(all, ps...)
			got = append(got, len(ps))
		}
		slices.Sort(all)
		slices.Sort(got)
		return len(slices.Compact(all)) == partitions && slices.Equal(got, sizes)
	}
}
