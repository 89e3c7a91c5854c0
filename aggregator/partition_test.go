package aggregator

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/bus"
)

func testPartitionOf(t testing.TB) *partition {
	t.Helper()
	s := mustCreate(t, filepath.Join(t.TempDir(), "p"), testOptions(t))
	t.Cleanup(func() { _ = s.close() })
	return newPartition(testLog(), testPartition, bus.PartitionFor, s)
}

// mustDecide decides events from the partition's next offset on.
func mustDecide(t testing.TB, p *partition, events ...*reckoner.Event) tally {
	t.Helper()
	got, err := p.decide(recordsOf(t, p.next(), events...))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// rows tells a batch's outcomes and where it ends.
func rows(b *batch) (outcomes []string, next int64) {
	for _, e := range b.entries.appendTo(nil) {
		outcomes = append(outcomes, e.EventID+" "+e.Outcome.String())
	}
	for _, r := range b.refusals.appendTo(nil) {
		outcomes = append(outcomes, r.EventID+" "+r.Outcome.String())
	}
	return outcomes, b.checkpoint.Next
}

func TestDecideThenSealThenSettle(t *testing.T) {
	p, a := testPartitionOf(t), accountIn(testPartition, 0)
	if p.seal() != nil {
		t.Error("sealed nothing")
	}
	got := mustDecide(t, p, usage(a, "1", 1), usage(a, "1", 1, waits))
	if got.records != 2 || !got.awaited.Equal(day().Add(time.Minute)) || got.outcomes[reckoner.Applied] != 1 || got.outcomes[reckoner.Duplicate] != 1 {
		t.Errorf("tally %+v", got)
	}
	outcomes, next := rows(p.seal())
	same(t, "rows", []string{"1 applied", "1 duplicate"}, outcomes)
	if next != 2 || p.settledNext() != 0 {
		t.Errorf("sealed up to %d, settled up to %d", next, p.settledNext())
	}
	must(t, p.settle())
	if p.settledNext() != 2 || p.next() != 2 {
		t.Errorf("settled up to %d, next %d", p.settledNext(), p.next())
	}
	if err := p.settle(); !errors.Is(err, errState) {
		t.Errorf("settled twice: error %v", err)
	}
}

// While a flush is on its way, deciding goes on: it sees what the flush holds, and nothing more is sealed until it is
// settled.
func TestDecideWhileAFlushIsOnItsWay(t *testing.T) {
	p, a := testPartitionOf(t), accountIn(testPartition, 0)
	mustDecide(t, p, usage(a, "settled", 1000))
	p.seal()
	must(t, p.settle())
	mustDecide(t, p, usage(a, "sealed", 1000))
	first := p.seal()
	mustDecide(t, p, usage(a, "settled", 1000), usage(a, "sealed", 1000), usage(a, "pending", 1000), usage(a, "pending", 1000), revert(a, "r", "sealed"))
	if p.seal() != nil {
		t.Fatal("sealed a second batch beside the one on its way")
	}
	if outcomes, next := rows(first); len(outcomes) != 1 || next != 2 {
		t.Fatalf("the sealed batch changed: %v, next %d", outcomes, next)
	}
	must(t, p.settle())
	second := p.seal()
	outcomes, next := rows(second)
	same(t, "rows", []string{"pending applied", "r reverted", "settled duplicate", "sealed duplicate", "pending duplicate"}, outcomes)
	if next != 7 {
		t.Errorf("sealed up to %d", next)
	}
	must(t, p.settle())
	mustDecide(t, p, revert(a, "s", "sealed"))
	outcomes, _ = rows(p.seal())
	same(t, "rows after all is settled", []string{"s already_reverted"}, outcomes)
}

// A revert copies the memory that it marks: the batch below it may be on its way to the disk.
func TestRevertLeavesTheSealedBatchAsItWas(t *testing.T) {
	p, a := testPartitionOf(t), accountIn(testPartition, 0)
	mustDecide(t, p, usage(a, "1", 1000))
	first := p.seal()
	mustDecide(t, p, revert(a, "r", "1"))
	for key, v := range first.layer.memories {
		if m, err := parseMemory([]byte(key), []byte(v)); err != nil || m.counted.reverted {
			t.Error("the sealed memory was marked as reverted")
		}
	}
	for _, tot := range first.layer.totals {
		if tot.Reverts != 0 {
			t.Error("the sealed total has the revert")
		}
	}
}

func TestAbandonThenDecideAgain(t *testing.T) {
	p, a := testPartitionOf(t), accountIn(testPartition, 0)
	mustDecide(t, p, usage(a, "0", 1))
	p.seal()
	must(t, p.settle())
	events := []*reckoner.Event{usage(a, "1", 1000, limited("s", 1500)), usage(a, "2", 1000, limited("s", 1500), partial)}
	mustDecide(t, p, events[0])
	first, _ := rows(p.seal())
	mustDecide(t, p, events[1])
	p.abandon()
	if p.next() != 1 || p.settledNext() != 1 || p.seal() != nil {
		t.Fatalf("after abandoning: next %d, settled %d", p.next(), p.settledNext())
	}
	mustDecide(t, p, events...)
	again, next := rows(p.seal())
	same(t, "rows", append(first, "2 clipped"), again)
	if next != 3 {
		t.Errorf("next %d", next)
	}
}

func TestGapStopsAndKeepsWhatWasBefore(t *testing.T) {
	p, a := testPartitionOf(t), accountIn(testPartition, 0)
	recs := recordsOf(t, 0, usage(a, "1", 1), usage(a, "2", 1))
	recs[1].Offset = 5
	got, err := p.decide(recs)
	var gap *GapError
	if !errors.As(err, &gap) || gap.Want != 1 || gap.Got != 5 || got.records != 1 || !final(err) {
		t.Fatalf("tally %+v, error %v", got, err)
	}
	if _, err := p.decide(recs[:1]); !errors.As(err, &gap) { // redelivered
		t.Errorf("an offset twice: error %v", err)
	}
	if outcomes, next := rows(p.seal()); len(outcomes) != 1 || next != 1 {
		t.Errorf("sealed %v, next %d", outcomes, next)
	}
}

func TestNewerRulesStopAndKeepWhatWasBefore(t *testing.T) {
	p, a := testPartitionOf(t), accountIn(testPartition, 0)
	newer := usage(a, "2", 1, func(e *reckoner.Event) { e.Rules = reckoner.Rules + 1 })
	got, err := p.decide(recordsOf(t, 0, usage(a, "1", 1), newer, usage(a, "3", 1)))
	if !errors.Is(err, ErrNewerRules) || got.records != 1 || p.next() != 1 || !final(err) {
		t.Fatalf("tally %+v, next %d, error %v", got, p.next(), err)
	}
	if outcomes, next := rows(p.seal()); len(outcomes) != 1 || next != 1 {
		t.Errorf("sealed %v, next %d", outcomes, next)
	}
}

// After a failure of the state a batch may hold half a record: nothing of it is ever written.
func TestTornPartitionIsNeverWritten(t *testing.T) {
	p, a := testPartitionOf(t), accountIn(testPartition, 0)
	mustDecide(t, p, usage(a, "1", 1))
	broken := errors.New("the disk is gone")
	p.pending.layer.below = failing{err: broken}
	got, err := p.decide(recordsOf(t, 1, usage(a, "2", 1)))
	if !errors.Is(err, errState) || !errors.Is(err, broken) || got.records != 0 {
		t.Fatalf("tally %+v, error %v", got, err)
	}
	if p.seal() != nil {
		t.Error("sealed a torn batch")
	}
	if _, err := p.decide(recordsOf(t, 1, usage(a, "2", 1))); !errors.Is(err, errState) {
		t.Errorf("decided on: error %v", err)
	}
	p.abandon()
	mustDecide(t, p, usage(a, "1", 1))
}

type failing struct {
	void
	err error
}

func (f failing) memory([]byte) (memory, bool, error) { return memory{}, false, f.err }
