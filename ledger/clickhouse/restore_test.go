package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
)

// What is restored is what was written, exactly once, in order, whatever was written twice, merged, or belongs to half
// a batch above the checkpoint. And the digests that SQL computes are those of ledger.RowDigest.
func TestRestoreIsLossless(t *testing.T) {
	l := openLedger(t)
	checkLossless(t, l)
}

// The native protocol has no types of our choosing on the wire: values are encoded as what the tables hold.
func TestRestoreIsLosslessWithTheTypesOfTheTables(t *testing.T) {
	l := openLedger(t)
	l.blocks = nil
	checkLossless(t, l)
}

func checkLossless(t *testing.T, l *Ledger) {
	log := uint32(0)
	rapid.Check(t, func(rt *rapid.T) {
		log++ // a log of its own, so that runs share a database
		var b ledger.Batch
		n := rapid.Int64Range(1, 12).Draw(rt, "events")
		below := rapid.Int64Range(0, n).Draw(rt, "below")
		want := ledger.Checkpoint{Log: log, Partition: 3, Next: below}
		for offset := range n {
			p := reckoner.Position{Log: log, Partition: 3, Offset: offset, Index: int32(offset % 2)}
			if rapid.Bool().Draw(rt, "counts") {
				e := drawEntry(p).Draw(rt, "entry")
				b.Entries = append(b.Entries, e)
				if offset < below {
					want.Entries++
					want.EntriesDigest += ledger.RowDigest(p, e.Outcome, e.Quantity, e.AccountID, e.EventID)
				}
				continue
			}
			r := drawRefusal(p).Draw(rt, "refusal")
			b.Refusals = append(b.Refusals, r)
			if offset < below {
				want.Refusals++
				want.RefusalsDigest += ledger.RowDigest(p, r.Outcome, reckoner.Quantity{}, r.AccountID, r.EventID)
			}
		}
		again := ledger.Batch{ // the second writer cut its batch elsewhere
			Entries:  b.Entries[rapid.IntRange(0, len(b.Entries)).Draw(rt, "cut"):],
			Refusals: b.Refusals,
		}
		for _, batch := range []*ledger.Batch{&b, &again} {
			if err := l.Write(context.Background(), batch); err != nil {
				rt.Fatal(err)
			}
		}
		if log%16 == 0 {
			optimize(rt, l, "entries", "refusals")
		}
		wantEntries, wantRefusals := restored(b.Entries, below, entryKey), restored(b.Refusals, below, refusalKey)
		if diff := gocmp.Diff(wantEntries, collect(rt, l.WholeEntries(context.Background(), log, 3, below)), compareRows); diff != "" {
			rt.Fatalf("whole entries (-written +read):\n%s", diff)
		}
		if diff := gocmp.Diff(wantRefusals, collect(rt, l.WholeRefusals(context.Background(), log, 3, below)), compareRows); diff != "" {
			rt.Fatalf("whole refusals (-written +read):\n%s", diff)
		}
		entries := collect(rt, l.Entries(context.Background(), log, 3, below, nil))
		if diff := gocmp.Diff(each(wantEntries, stateOfEntry), entries, compareRows); diff != "" {
			rt.Fatalf("entries (-written +restored):\n%s", diff)
		}
		refusals := collect(rt, l.Refusals(context.Background(), log, 3, below, nil))
		if diff := gocmp.Diff(each(wantRefusals, stateOfRefusal), refusals, compareRows); diff != "" {
			rt.Fatalf("refusals (-written +restored):\n%s", diff)
		}
		if i := rapid.IntRange(0, len(entries)).Draw(rt, "after entry") - 1; i >= 0 {
			rest := collect(rt, l.Entries(context.Background(), log, 3, below, placeOf(entryKey(&entries[i]))))
			if diff := gocmp.Diff(entries[i+1:], rest, compareRows, cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("entries after %+v (-written +restored):\n%s", entries[i].Position, diff)
			}
		}
		if i := rapid.IntRange(0, len(refusals)).Draw(rt, "after refusal") - 1; i >= 0 {
			rest := collect(rt, l.Refusals(context.Background(), log, 3, below, placeOf(refusalKey(&refusals[i]))))
			if diff := gocmp.Diff(refusals[i+1:], rest, compareRows, cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("refusals after %+v (-written +restored):\n%s", refusals[i].Position, diff)
			}
		}
		got, err := l.Audit(context.Background(), log, 3, below)
		if err != nil || got != want {
			rt.Fatalf("audit: %+v, %v\nwant   %+v", got, err, want)
		}
	})
}

// stateOfEntry is what a restore reads of an entry.
func stateOfEntry(e ledger.Entry) ledger.Entry {
	return ledger.Entry{
		Position: e.Position, AccountID: e.AccountID, SubscriptionID: e.SubscriptionID, Meter: e.Meter, MeterType: e.MeterType,
		EventID: e.EventID, Kind: e.Kind, Type: e.Type, UsageID: e.UsageID, Quantity: e.Quantity, Outcome: e.Outcome,
		Period: e.Period, Bucket: e.Bucket, UsageTime: e.UsageTime, Fingerprint: e.Fingerprint, Rules: e.Rules,
	}
}

// stateOfRefusal is what a restore reads of a refusal.
func stateOfRefusal(r ledger.Refusal) ledger.Refusal {
	return ledger.Refusal{
		Position: r.Position, AccountID: r.AccountID, EventID: r.EventID, Kind: r.Kind, Outcome: r.Outcome,
		Fingerprint: r.Fingerprint, Rules: r.Rules,
	}
}

func each[T any](rows []T, change func(T) T) (changed []T) {
	for _, row := range rows {
		changed = append(changed, change(row))
	}
	return changed
}

// compareRows compares times to the nanosecond and quantities by value.
var compareRows = gocmp.Options{
	gocmp.Comparer(func(a, b reckoner.Quantity) bool { return a == b }),
	gocmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.IsZero() == b.IsZero() }),
}

func entryKey(e *ledger.Entry) (string, reckoner.Position)     { return e.AccountID, e.Position }
func refusalKey(r *ledger.Refusal) (string, reckoner.Position) { return r.AccountID, r.Position }

func placeOf(account string, p reckoner.Position) *ledger.Place {
	return &ledger.Place{AccountID: account, Position: p}
}

// restored is what a restore has to give for rows: those below an offset, by account and in the order of the log.
func restored[T any](rows []T, below int64, key func(*T) (string, reckoner.Position)) []T {
	var want []T
	for i := range rows {
		if _, p := key(&rows[i]); p.Offset < below {
			want = append(want, rows[i])
		}
	}
	slices.SortFunc(want, func(a, b T) int {
		accountA, pa := key(&a)
		accountB, pb := key(&b)
		return cmp.Or(cmp.Compare(accountA, accountB), pa.Cmp(pb))
	})
	return want
}

type fataler interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func collect[T any](t fataler, seq iter.Seq2[T, error]) []T {
	var all []T
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func optimize(t fataler, l *Ledger, tables ...string) {
	for _, name := range tables {
		if err := l.conn.Exec(context.Background(), "OPTIMIZE TABLE "+name+" FINAL"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckpointIsTheGreatestWhoeverWroteLast(t *testing.T) {
	l := openLedger(t)
	if _, exists, err := l.Checkpoint(t.Context(), 1, 0); err != nil || exists {
		t.Fatalf("without a checkpoint: %t, %v", exists, err)
	}
	want := ledger.Checkpoint{
		Log: 1, Partition: 0, Next: 1 << 40, Entries: 1<<64 - 1, Refusals: 7, EntriesDigest: 1<<63 + 5, RefusalsDigest: 9,
		Rules: 3, RecordHash: 1<<64 - 2,
	}
	older := ledger.Checkpoint{Log: 1, Partition: 0, Next: 1<<40 - 1}
	for _, c := range []ledger.Checkpoint{want, older, {Log: 1, Partition: 1, Next: 5}, {Log: 2, Partition: 0, Next: 5}} {
		if err := l.Write(t.Context(), &ledger.Batch{Checkpoints: []ledger.Checkpoint{c}}); err != nil {
			t.Fatal(err)
		}
		got, exists, err := l.Checkpoint(t.Context(), 1, 0)
		if err != nil || !exists || got != want {
			t.Fatalf("after %+v: %+v, %t, %v", c, got, exists, err)
		}
	}
	all, err := l.Checkpoints(t.Context(), 1)
	slices.SortFunc(all, func(a, b ledger.Checkpoint) int { return cmp.Compare(a.Partition, b.Partition) })
	if diff := gocmp.Diff([]ledger.Checkpoint{want, {Log: 1, Partition: 1, Next: 5}}, all); err != nil || diff != "" {
		t.Errorf("all of a log: %v (-want +got)\n%s", err, diff)
	}
	if none, err := l.Checkpoints(t.Context(), 3); err != nil || none != nil {
		t.Errorf("of a log without any: %+v, %v", none, err)
	}
}

// A restore that is given up in the middle, or whose context ends, frees its connection.
func TestRestoreStopsEarly(t *testing.T) {
	l := openLedger(t)
	var b ledger.Batch
	for offset := range int64(20_000) {
		b.Refusals = append(b.Refusals, ledger.Refusal{
			Position: reckoner.Position{Log: 1, Offset: offset}, AccountID: accounts[0], EventID: "e", ReceivedAt: reckoner.MinTime,
			Outcome: reckoner.Duplicate,
		})
	}
	if err := l.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for range l.conn.Stats().MaxOpenConns + 1 {
		n := 0
		for _, err := range l.Refusals(t.Context(), 1, 0, 1<<60, nil) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 3 {
				break
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, failed := 0, error(nil)
	for _, err := range l.Refusals(ctx, 1, 0, 1<<60, nil) {
		if err != nil {
			failed = err
			continue
		}
		if n++; n == 3 {
			cancel()
		}
	}
	if !errors.Is(failed, context.Canceled) || n >= len(b.Refusals) {
		t.Fatalf("%d rows, then %v: want a cancelled context", n, failed)
	}
	if got := len(collect(t, l.Refusals(t.Context(), 1, 0, 1<<60, nil))); got != len(b.Refusals) {
		t.Fatalf("%d rows after the interrupted reads, want %d", got, len(b.Refusals))
	}
}
