package bus_test

import (
	"errors"
	"testing"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
)

func TestMembersAreCounted(t *testing.T) {
	c, _ := start(t, 4)
	count := func(want int) func() bool {
		return func() bool {
			n, err := c.Members(within(t), "g")
			if err != nil {
				t.Fatal(err)
			}
			return n == want
		}
	}
	if !count(0)() {
		t.Error("a group that nobody joined has members")
	}
	one := join(t, c, nil)
	eventually(t, "one has all", bustest.Shares(4, []int{4}, one))
	eventually(t, "one member", count(1))
	two := join(t, c, nil)
	eventually(t, "two share", bustest.Shares(4, []int{2, 2}, one, two))
	eventually(t, "two members", count(2))
	for _, m := range []*bustest.Member{one, two} {
		if err := m.End(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "nobody is left", count(0))
}

func TestAddPartitions(t *testing.T) {
	c, _ := start(t, 2)
	if err := c.AddPartitions(within(t), "t", 5); err != nil {
		t.Fatal(err)
	}
	eventually(t, "five partitions", func() bool {
		n, err := c.Partitions(within(t), "t")
		return err == nil && n == 5
	})
	if err := c.AddPartitions(within(t), "t", 3); err == nil {
		t.Error("partitions were taken away")
	}
	if err := c.AddPartitions(within(t), "nowhere", 3); err == nil {
		t.Error("partitions were added to nothing")
	}
}

func TestAProducerWaitsForTheLayoutThatItWasToldOf(t *testing.T) {
	c, _ := start(t, 2)
	p := c.NewProducer(bus.ProducerOptions{Partitions: map[string]int{"t": 3}})
	rec := []bus.Record{{Key: []byte("k"), Value: []byte("v")}}
	err := p.Produce(within(t), "t", rec)
	if changed, ok := errors.AsType[*bus.PartitionsChangedError](err); !ok || changed.Was != 3 || changed.Is != 2 {
		t.Fatalf("two partitions instead of three: %v", err)
	}
	if _, next, err := c.Offsets(within(t), "t", bus.PartitionFor([]byte("k"), 2)); err != nil || next != 0 {
		t.Errorf("something was written: up to %d, %v", next, err)
	}
	if err := c.AddPartitions(within(t), "t", 3); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written", func() bool { return p.Produce(within(t), "t", rec) == nil })
	if err := p.Close(within(t)); err != nil {
		t.Fatal(err)
	}
}
