package aggregator

import (
	"testing"

	"reckoner"
)

// Whatever stands in the log, a record gives exactly one row, the same every time, or stops the partition.
func FuzzStep(f *testing.F) {
	a := accountIn(testPartition, 0)
	for _, e := range []*reckoner.Event{
		usage(a, "1", 1500, waits), usage(a, "1", 1500, limited("s", 1000), partial), revert(a, "r", "known"),
		usage(a, "2", 5, meter("disk", reckoner.Total)), usage(a, "2", 5, func(e *reckoner.Event) { e.Rules = 9 }),
	} {
		f.Add([]byte(a), recordOf(f, 0, e).Value)
	}
	f.Add([]byte("\xff"), []byte("\x08\x01"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		var before effect
		for try := range 2 {
			m, b := testMachine(), emptyBatch()
			known := recordOf(t, 0, usage(a, "known", 2000))
			if _, err := m.step(b, &known); err != nil {
				t.Fatal(err)
			}
			rec := Record{Offset: 1, Key: key, Value: value, Time: day()}
			got, err := m.step(b, &rec)
			if err != nil {
				return // it stopped; that it does so for newer rules only is a table's business
			}
			if (got.entry == nil) == (got.refusal == nil) {
				t.Fatal("not in exactly one of entries and refusals")
			}
			b.add(&rec, &got)
			insertable(t, &got)
			if try > 0 {
				same(t, "the same record", before.entry, got.entry)
				same(t, "the same record", before.refusal, got.refusal)
			}
			before = got
		}
	})
}

// insertable checks what the ledger's columns hold.
func insertable(t *testing.T, f *effect) {
	t.Helper()
	if e := f.entry; e != nil {
		for _, at := range []struct{ ok bool }{
			{reckoner.StorableTime(e.UsageTime)}, {reckoner.StorableTime(e.ReceivedAt)}, {reckoner.StorableTime(e.Bucket)},
			{reckoner.StorableTime(e.Period.Start)}, {reckoner.StorableTime(e.Period.End)}, {e.MeterType.Valid()},
			{e.Kind == reckoner.Usage || e.Kind == reckoner.Revert}, {e.Outcome.Counts()},
		} {
			if !at.ok {
				t.Fatalf("entry %+v", e)
			}
		}
		return
	}
	r := f.refusal
	if !reckoner.StorableTime(r.ReceivedAt) || !r.UsageTime.IsZero() && !reckoner.StorableTime(r.UsageTime) ||
		r.MeterType != 0 && !r.MeterType.Valid() || r.Kind > reckoner.Revert || !r.Outcome.Valid() || r.Outcome.Counts() {
		t.Fatalf("refusal %+v", r)
	}
}
