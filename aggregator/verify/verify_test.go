package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"reckoner"
	"reckoner/aggregator"
	"reckoner/ledger"
)

// texts returns differences as lines.
func texts(r *Report) (lines []string) {
	for _, d := range r.Differences {
		lines = append(lines, fmt.Sprintf("%d %s %s: %s", d.Partition, d.Table, d.What, d.Text))
	}
	return lines
}

func (w *world) wantClean(l *memLedger) *Report {
	w.t.Helper()
	r := w.verify(l)
	if r.Found != 0 {
		w.t.Fatalf("%d differences in a ledger that is right:\n%s", r.Found, strings.Join(texts(r), "\n"))
	}
	return r
}

// wantOne holds a report to one difference, and to what it has to say.
func wantOne(t testing.TB, r *Report, table string, says ...string) {
	t.Helper()
	if r.Found != 1 || r.Differences[0].Table != table {
		t.Fatalf("%d differences, want one in %s:\n%s", r.Found, table, strings.Join(texts(r), "\n"))
	}
	for _, s := range says {
		if line := texts(r)[0]; !strings.Contains(line, s) {
			t.Errorf("the difference does not say %q: %s", s, line)
		}
	}
}

func TestRightLedgerHasNoDifference(t *testing.T) {
	w := newWorld(t, 1, 600)
	w.settleAll()
	r := w.wantClean(w.ledger)
	var replayed, rows int64
	for _, p := range r.Partitions {
		if n := int64(len(w.log.recs[p.Number])); p.From != 0 || p.Checkpoint != n || p.End != n || p.Entries+p.Refusals != n || p.Totals == 0 {
			t.Errorf("%+v of %d records", p, n)
		}
		replayed, rows = replayed+p.Replayed, rows+p.Entries+p.Refusals
	}
	if replayed != 600 || rows != 600 {
		t.Errorf("%d records replayed, %d rows compared, want 600", replayed, rows)
	}
}

func TestEmptyLogAndEmptyLedger(t *testing.T) {
	w := newWorld(t, 1, 0)
	w.wantClean(w.ledger)
	w.produce(50) // not decided yet
	w.wantClean(w.ledger)
}

// Each kind of damage is found, alone, and named.
func TestEachDamageIsFoundAndNamed(t *testing.T) {
	w := newWorld(t, 2, 400)
	w.settleAll()
	e, r := w.ledger.entries[17], w.ledger.refusals[5]
	total := w.ledger.totals[3]
	at := func(p reckoner.Position) string { return p.String() + `, id ` }
	next := func(partition int32) int64 { return int64(len(w.log.recs[partition])) }
	for _, tt := range []struct {
		name   string
		damage func(l *memLedger)
		table  string
		says   []string
	}{
		{"entry deleted", func(l *memLedger) { l.entries = slices.Delete(l.entries, 17, 18) }, "entries",
			[]string{at(e.Position) + fmt.Sprintf("%q", e.EventID), "missing in the ledger", e.AccountID}},
		{"refusal deleted", func(l *memLedger) { l.refusals = slices.Delete(l.refusals, 5, 6) }, "refusals", []string{at(r.Position), "missing in the ledger"}},
		{"quantity of an entry", func(l *memLedger) { l.entries[17].Quantity = reckoner.Units(7777) }, "entries",
			[]string{at(e.Position), `quantity is "7777", the log gives "` + e.Quantity.String()}},
		{"metadata of an entry", func(l *memLedger) { l.entries[17].Metadata = []reckoner.Label{{Key: "region", Value: "us"}} }, "entries",
			[]string{at(e.Position), "metadata is"}},
		{"reason of a refusal", func(l *memLedger) { l.refusals[5].Reason = "because" }, "refusals", []string{at(r.Position), `reason is "because"`}},
		{"entry that the log does not give", func(l *memLedger) {
			x := e
			x.AccountID, x.EventID = "00000000-0000-4000-8000-ffffffffffff", "made up"
			l.entries = append(l.entries, x)
		}, "entries", []string{at(e.Position) + `"made up"`, "the log does not give it"}},
		{"entry before the log's begin", func(l *memLedger) {
			x := e
			x.Position.Offset = -1
			l.entries = append(l.entries, x)
		}, "entries", []string{"/-1.0", "the log does not give it"}},
		{"entry beyond the log's end", func(l *memLedger) {
			x := e
			x.Position.Offset = next(x.Position.Partition)
			l.entries = append(l.entries, x)
		}, "entries", []string{fmt.Sprintf("the log ends before offset %d", next(e.Position.Partition))}},
		{"entry of a partition that there is not", func(l *memLedger) {
			x := e
			x.Position.Partition = 9
			l.entries = append(l.entries, x)
		}, "entries", []string{"1/9/", "no log was registered"}},
		{"entry twice", func(l *memLedger) {
			x := e
			x.EventID = "second"
			l.entries = append([]ledger.Entry{x}, l.entries...)
		}, "entries", []string{at(e.Position) + `"second"`, "second row"}},
		{"entry with another index", func(l *memLedger) {
			x := e
			x.Position.Index = -3
			l.entries = append(l.entries, x)
		}, "entries", []string{".-3", "the log does not give it"}},
		{"quantity of a total", func(l *memLedger) { l.totals[3].Quantity = reckoner.Units(1234) }, "totals",
			[]string{total.AccountID, total.Meter, `quantity is "1234", the log gives "` + total.Quantity.String()}},
		{"events of a total", func(l *memLedger) { l.totals[3].Events++ }, "totals", []string{total.AccountID, "events is"}},
		{"total deleted", func(l *memLedger) { l.totals = slices.Delete(l.totals, 3, 4) }, "totals",
			[]string{total.AccountID, "missing", fmt.Sprintf("offset %d", total.Position.Offset)}},
		{"total too old", func(l *memLedger) { l.totals[3].Position.Offset-- }, "totals",
			[]string{total.AccountID, fmt.Sprintf("stands at offset %d; the log changes it at offset %d", total.Position.Offset-1, total.Position.Offset)}},
		{"total at a foreign position", func(l *memLedger) { l.totals[3].Position.Offset++ }, "totals",
			[]string{total.AccountID, "where the log does not change it"}},
		{"total at another index", func(l *memLedger) { l.totals[3].Position.Index++ }, "totals",
			[]string{total.AccountID, "where the log does not change it"}},
		{"total beyond the log's end", func(l *memLedger) { l.totals[3].Position.Offset = 1 << 40 }, "totals",
			[]string{total.AccountID, fmt.Sprintf("the log ends before %d", next(total.Position.Partition))}},
		{"total of a key that the log does not give", func(l *memLedger) {
			x := total
			x.Meter = "made up"
			l.totals = append(l.totals, x)
		}, "totals", []string{`meter "made up"`, "where the log does not change it"}},
		{"digest of a checkpoint", func(l *memLedger) { l.checkpoints[1].EntriesDigest++ }, "checkpoints", []string{"1 checkpoints 1/1: entries_digest is"}},
		{"hash of a checkpoint", func(l *memLedger) { l.checkpoints[0].RecordHash++ }, "checkpoints", []string{"0 checkpoints 1/0: record_hash is"}},
		{"checkpoint beyond the log's end", func(l *memLedger) { l.checkpoints[0].Next += 5 }, "checkpoints", []string{"the log ends before"}},
		{"checkpoint missing", func(l *memLedger) { l.checkpoints = l.checkpoints[1:] }, "checkpoints", []string{"missing, and the ledger holds"}},
		{"checkpoint of a log that there is not", func(l *memLedger) {
			l.checkpoints = append(l.checkpoints, ledger.Checkpoint{Log: 7, Next: 5})
		}, "checkpoints", []string{"7/0/5.0", "no log was registered"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := w.ledger.clone()
			tt.damage(l)
			wantOne(t, w.verify(l), tt.table, tt.says...)
		})
	}
}

// A ledger that was written as if one record had never been there, with totals and checkpoint to match: everything that
// is found is about that record, and it is named.
func TestRecordThatWasLeftOutIsFound(t *testing.T) {
	w := newWorld(t, 3, 300)
	w.settleAll()
	reverted := make(map[string]bool)
	for _, e := range w.ledger.entries {
		reverted[e.UsageID] = true
	}
	for i, e := range w.ledger.entries {
		alone := func(x ledger.Total) bool { return x.Position == e.Position && x.Events == 1 && x.Reverts == 0 }
		at := slices.IndexFunc(w.ledger.totals, alone)
		if at < 0 || reverted[e.EventID] || w.repeated(e) { // something later refers to it
			continue
		}
		l := w.ledger.clone()
		l.entries, l.totals = slices.Delete(l.entries, i, i+1), slices.Delete(l.totals, at, at+1)
		c := &l.checkpoints[e.Position.Partition]
		c.Entries--
		c.EntriesDigest -= ledger.RowDigest(e.Position, e.Outcome, e.Quantity, e.AccountID, e.EventID)
		lines := texts(w.verify(l))
		place := fmt.Sprintf("%d/%d/%d.0", 1, e.Position.Partition, e.Position.Offset)
		want := []string{
			fmt.Sprintf("entries %s, id %q: missing in the ledger (account %q)", place, e.EventID, e.AccountID),
			fmt.Sprintf("totals account %s", e.AccountID), fmt.Sprintf("checkpoints 1/%d: entries is", e.Position.Partition),
		}
		if len(lines) != len(want) {
			t.Fatalf("%d differences, want %d:\n%s", len(lines), len(want), strings.Join(lines, "\n"))
		}
		for i := range want {
			if !strings.Contains(lines[i], want[i]) {
				t.Errorf("difference %q, want %q", lines[i], want[i])
			}
		}
		return
	}
	t.Fatal("no record of the log stands alone")
}

// repeated reports whether a refusal refers to an entry's id.
func (w *world) repeated(e ledger.Entry) bool {
	return slices.ContainsFunc(w.ledger.refusals, func(r ledger.Refusal) bool { return r.EventID == e.EventID || r.UsageID == e.EventID })
}

// Events go on being decided while the ledger is verified: before every read of it another batch comes in, some of them
// in part.
func TestVerifyBesideARunningSystem(t *testing.T) {
	w := newWorld(t, 4, 200)
	w.settleAll()
	w.produce(1500)
	next := [partitions]int64{}
	for p := range next {
		next[p] = w.ledger.checkpoints[p].Next
	}
	step := 0
	w.ledger.asked = func(string) {
		asked := w.ledger.asked
		w.ledger.asked = nil
		defer func() { w.ledger.asked = asked }()
		p := int32(step % partitions)
		to := min(next[p]+40, int64(len(w.log.recs[p])))
		switch step / partitions % 3 {
		case 0:
			w.settle(p, to, "entries")
		case 1:
			w.settle(p, to, "entries", "totals")
		default:
			w.settle(p, to)
			next[p] = to
		}
		step++
	}
	for range 8 {
		w.wantClean(w.ledger)
	}
	if step < 40 {
		t.Errorf("only %d batches came in meanwhile", step)
	}
	w.ledger.asked = nil
	w.settleAll()
	w.wantClean(w.ledger)
}

// Where retention has eaten the log's begin, what stood before it comes from the rows: a right ledger stays without a
// difference, a changed total of before is still found, and missing rows are told instead of guessed.
func TestLogWithoutItsBegin(t *testing.T) {
	w := newWorld(t, 5, 600)
	w.settleAll()
	for _, first := range []int64{1, 100, int64(len(w.log.recs[0]))} {
		w.log.first[0] = first
		r := w.wantClean(w.ledger)
		if p := r.Partitions[0]; p.From != first || p.Replayed != int64(len(w.log.recs[0]))-first {
			t.Errorf("log from %d: %+v", first, p)
		}
	}
	below := func(p reckoner.Position) bool { return p.Partition == 0 && p.Offset < w.log.first[0] }
	i := slices.IndexFunc(w.ledger.totals, func(x ledger.Total) bool { return below(x.Position) })
	l := w.ledger.clone()
	l.totals[i].Quantity = reckoner.Units(4321)
	wantOne(t, w.verify(l), "totals", `quantity is "4321"`)
	l = w.ledger.clone()
	l.totals = slices.Delete(l.totals, i, i+1)
	wantOne(t, w.verify(l), "totals", "missing")

	l = w.ledger.clone()
	i = slices.IndexFunc(l.refusals, func(x ledger.Refusal) bool { return below(x.Position) })
	l.refusals = slices.Delete(l.refusals, i, i+1)
	wantOne(t, w.verify(l), "entries", "not compared", "are gone from the log")

	w.log.first[0]++ // beyond the checkpoint now
	w.append(0, []byte("x"), []byte("never decided"))
	wantOne(t, w.verify(w.ledger), "log", "no longer reaches back to the checkpoint")
}

func TestDifferencesAreCountedBeyondTheBound(t *testing.T) {
	w := newWorld(t, 6, 300)
	w.settleAll()
	n := len(w.ledger.entries)
	w.ledger.entries = nil
	o := w.options(w.ledger)
	o.DifferencesMax = 7
	r, err := Run(t.Context(), o)
	if err != nil || r.Found != int64(n) || len(r.Differences) != 7 {
		t.Errorf("%d differences, %d listed, %v; want %d and 7", r.Found, len(r.Differences), err, n)
	}
}

// A verification that ends early leaves nothing behind, wherever it was.
func TestEndLeavesNoFiles(t *testing.T) {
	w := newWorld(t, 7, 300)
	w.fs = nil // on the disk
	w.settleAll()
	w.log.first[1] = 20
	for _, at := range []string{"checkpoint", "totals", "entries", "refusals", "strays", "progress"} {
		ctx, cancel := context.WithCancel(t.Context())
		o := w.options(w.ledger)
		w.ledger.asked = func(what string) {
			if what == at {
				cancel()
			}
		}
		o.Progress = func(int32, int64, int64) { w.ledger.ask("progress") }
		_, err := Run(ctx, o)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %s: %v", at, err)
		}
		cancel()
	}
	left, err := os.ReadDir(w.temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

func TestLedgerThatFailsIsAnError(t *testing.T) {
	w := newWorld(t, 8, 100)
	w.settleAll()
	w.log.recs[1][40].Offset = 41 // a gap
	_, err := Run(t.Context(), w.options(w.ledger))
	var gap *aggregator.GapError
	if !errors.As(err, &gap) || !strings.Contains(err.Error(), "partition 1: ") {
		t.Errorf("error %v, want a gap in partition 1", err)
	}
}
