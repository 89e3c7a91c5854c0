package aggregator

import (
	"slices"
	"strconv"
	"testing"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// A seeded state is one that a process goes on from, and knows its ids.
func TestASeededStateKnowsItsIDs(t *testing.T) {
	a := accountIn(testPartition, 0)
	known := KnownID{AccountID: a, ID: "known", Meter: "calls", Quantity: reckoner.Units(3), Period: periodOf(day()), UsageTime: day()}
	seed := &Seed{Dir: t.TempDir(), Log: testLog(), CacheBytes: 1 << 20, Slog: quiet()}
	ids := []KnownID{known}
	for i := range seedRows { // it takes two batches
		more := known
		more.ID = "known-" + strconv.Itoa(i)
		ids = append(ids, more)
	}
	must(t, seed.Partition(within(t), testPartition, slices.Values(ids)))

	st := mustOpen(t, (&starter{dir: seed.Dir, log: seed.Log}).path(testPartition), testOptions(t))
	if want := (ledger.Checkpoint{Log: 1, Partition: testPartition}); st.checkpoint != want {
		t.Errorf("it stands at %+v", st.checkpoint)
	}
	p := newPartition(testLog(), testPartition, bus.PartitionFor, st)
	mustDecide(t, p, usage(a, "known", 1), usage(a, ids[1].ID, 1), usage(a, "fresh", 1), revert(a, "r", "known"))
	got, _ := rows(p.seal())
	slices.Sort(got)
	want := []string{"fresh applied", "known conflict", "r reverted", ids[1].ID + " conflict"}
	slices.Sort(want)
	same(t, "outcomes", want, got)
	must(t, p.settle())
	must(t, p.close())
}
