package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
)

// Totals that follow from the entries are balanced at every offset that a checkpoint may stand at, also with a batch in
// flight above it. Any change of a total is found, by its account and no other, and is gone when it is mended.
func TestUnbalancedFindsExactlyTheChangedTotals(t *testing.T) {
	l := openLedger(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		h := history{prefix: fmt.Sprintf("%08d-", run)}
		h.draw(rt)
		h.write(rt, l)
		last := h.entries[len(h.entries)-1].Position
		ids := []string{h.prefix + "a", h.prefix + "b"}
		unbalanced := func(below int64) []string {
			all, err := l.Unbalanced(context.Background(), last.Log, 2, below, ids)
			if err != nil {
				rt.Fatal(err)
			}
			return all
		}
		below := rapid.Int64Range(0, last.Offset+1).Draw(rt, "below")
		if got := unbalanced(below); got != nil {
			rt.Fatalf("below %d: %v are unbalanced", below, got)
		}
		right := h.totals[rapid.IntRange(0, len(h.totals)-1).Draw(rt, "total")]
		for _, total := range h.totals { // its newest value
			if total.TotalKey == right.TotalKey {
				right = total
			}
		}
		wrong := right
		rapid.SampledFrom([]func(){
			func() { wrong.Quantity = sum(rt, wrong.Quantity, reckoner.Thousandths(1)) },
			func() { wrong.Events++ },
			func() { wrong.Reverts++ },
			func() { wrong.FirstUse = wrong.FirstUse.Add(-1) },
			func() { wrong.LastUse = wrong.LastUse.Add(1) },
			func() { wrong.Meter = "another" },
			func() { wrong.Position.Offset++ },
		}).Draw(rt, "change")()
		wrong.Position.Index++ // it replaces the right one
		writeTotals(rt, l, wrong)
		if got := unbalanced(last.Offset + 2); !slices.Equal(got, []string{right.AccountID}) {
			rt.Fatalf("%+v instead of %+v: unbalanced are %v", wrong, right, got)
		}
	})
}

func writeTotals(t fataler, l *Ledger, totals ...ledger.Total) {
	if err := l.Write(context.Background(), &ledger.Batch{Totals: totals}); err != nil {
		t.Fatal(err)
	}
}

func TestUnbalancedFindsWhatIsMissing(t *testing.T) {
	l := openLedger(t)
	b := benchBatch(300, 1)
	missing, short := b.Totals[7], b.Totals[9]
	lost := b.Entries[11]
	keep := ledger.Batch{
		Entries: slices.DeleteFunc(slices.Clone(b.Entries), func(e ledger.Entry) bool { return e.EventID == lost.EventID }),
		Totals:  slices.DeleteFunc(slices.Clone(b.Totals), func(x ledger.Total) bool { return x.TotalKey == missing.TotalKey }),
	}
	older := short
	older.Position.Offset, older.Events = -1, 0
	keep.Totals = slices.DeleteFunc(keep.Totals, func(x ledger.Total) bool { return x.TotalKey == short.TotalKey })
	keep.Totals = append(keep.Totals, older)
	if err := l.Write(t.Context(), &keep); err != nil {
		t.Fatal(err)
	}
	want := []string{missing.AccountID, short.AccountID, lost.AccountID}
	slices.Sort(want)
	var got []string
	// In slices, and in the order of the accounts.
	l.sliceRows = 41 // the tables are read in pieces that end at different accounts
	after, seen := "", 0
	for {
		accounts, err := l.Accounts(t.Context(), 1, 0, after, 37)
		if err != nil {
			t.Fatal(err)
		}
		if len(accounts) == 0 {
			break
		}
		if len(accounts) > 37 || !slices.IsSorted(accounts) || accounts[0] <= after {
			t.Fatalf("accounts after %q: %v", after, accounts)
		}
		wrong, err := l.Unbalanced(t.Context(), 1, 0, 300, accounts)
		if err != nil {
			t.Fatal(err)
		}
		got, seen, after = append(got, wrong...), seen+len(accounts), accounts[len(accounts)-1]
	}
	if seen != 300 {
		t.Errorf("%d accounts were seen, want 300", seen)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, other := range []struct {
		log       uint32
		partition int32
	}{{1, 1}, {2, 0}} {
		if all, err := l.Accounts(t.Context(), other.log, other.partition, "", 10); err != nil || all != nil {
			t.Errorf("log %d, partition %d has %v, %v", other.log, other.partition, all, err)
		}
	}
}

func TestStraysAreRowsThatNoLogGives(t *testing.T) {
	l := openLedger(t)
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, log := range []ledger.Log{{Number: 1, Topic: "usage.events", Partitions: 4}, {Number: 2, Topic: "usage.events.2", Partitions: 2}} {
		if err := l.RegisterLog(t.Context(), log); err != nil {
			t.Fatal(err)
		}
	}
	var b ledger.Batch
	for i, p := range []reckoner.Position{
		{Log: 1, Partition: 3, Offset: 1 << 40}, {Log: 2, Partition: 0, Offset: 9}, {Log: 2, Partition: 1, Offset: 19}, // in place
		{Log: 1, Partition: 4}, {Log: 2, Partition: 2, Offset: 1}, {Log: 2, Partition: -1, Offset: 1}, {Log: 3}, {Log: 0}, // of no log
		{Log: 2, Partition: 0, Offset: 10, Index: 1}, {Log: 2, Partition: 1, Offset: 20}, // beyond the log's end
	} {
		e := usageAt(int64(i), reckoner.Units(1), now)
		e.Position = p
		b.Entries = append(b.Entries, e)
		b.Refusals = append(b.Refusals, ledger.Refusal{Position: p, EventID: fmt.Sprint("f", i), Outcome: reckoner.Undecodable, ReceivedAt: now})
		total := ledger.Total{TotalKey: ledger.TotalKey{AccountID: fmt.Sprint("a", i), MeterType: e.MeterType, Period: e.Period, Bucket: e.Bucket}, Position: p,
			FirstUse: now, LastUse: now}
		b.Totals = append(b.Totals, total)
		b.Checkpoints = append(b.Checkpoints, ledger.Checkpoint{Log: p.Log, Partition: p.Partition, Next: 100})
	}
	for range 2 { // twice: a row is named once
		if err := l.Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, s := range collect(t, l.Strays(t.Context(), 2, []int64{10, 20})) {
		got = append(got, fmt.Sprintf("%s %s %s", s.Table, s.Position, s.What))
	}
	slices.Sort(got)
	want := []string{
		"checkpoints 0/0/100.0 ", "checkpoints 1/4/100.0 ", "checkpoints 2/-1/100.0 ", "checkpoints 2/2/100.0 ", "checkpoints 3/0/100.0 ",
		"entries 0/0/0.0 e7", "entries 1/4/0.0 e3", "entries 2/-1/1.0 e5", "entries 2/0/10.1 e8", "entries 2/1/20.0 e9", "entries 2/2/1.0 e4", "entries 3/0/0.0 e6",
		"refusals 0/0/0.0 f7", "refusals 1/4/0.0 f3", "refusals 2/-1/1.0 f5", "refusals 2/0/10.1 f8", "refusals 2/1/20.0 f9", "refusals 2/2/1.0 f4", "refusals 3/0/0.0 f6",
		"totals 0/0/0.0 a7", "totals 1/4/0.0 a3", "totals 2/-1/1.0 a5", "totals 2/2/1.0 a4", "totals 3/0/0.0 a6",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
