package clickhouse

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
	"reckoner/ledger"
)

// usageAt is a plain entry.
func usageAt(offset int64, q reckoner.Quantity, use time.Time) ledger.Entry {
	return ledger.Entry{
		Position: reckoner.Position{Log: 1, Offset: offset}, AccountID: accounts[0], Meter: "credit", MeterType: reckoner.Interval,
		EventID: fmt.Sprint("e", offset), Kind: reckoner.Usage, Type: "credit", Quantity: q, Requested: &q,
		Outcome: reckoner.Applied, Period: reckoner.Cycle{}.At(use), Bucket: reckoner.BucketOf(use), UsageTime: use,
		ReceivedAt: use, Rules: 1,
	}
}

// The very same insert sent again must not be swallowed as a repetition by the engine, nor count twice.
func TestTheSameBatchTwiceChangesNothing(t *testing.T) {
	l := openLedger(t)
	e := usageAt(7, reckoner.Units(3), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	total := ledger.Total{TotalKey: ledger.TotalKey{AccountID: e.AccountID, Meter: e.Meter, MeterType: e.MeterType, Period: e.Period,
		Bucket: e.Bucket}, Quantity: e.Quantity, Events: 1, FirstUse: e.UsageTime, LastUse: e.UsageTime, Reading: e.Position, Position: e.Position}
	b := ledger.Batch{Entries: []ledger.Entry{e}, Totals: []ledger.Total{total}, Checkpoints: []ledger.Checkpoint{{Log: 1, Next: 8, Entries: 1}}}
	for range 3 {
		if err := l.Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	for table, want := range map[string]uint64{"entries": 3, "totals": 3, "checkpoints": 3, "entries FINAL": 1, "totals FINAL": 1} {
		got := scalar[uint64](t, l, "SELECT count() FROM "+table)
		if got > want || want == 1 && got != 1 { // a merge may have come first, so fewer than three is right too
			t.Errorf("%s holds %d rows, want %d", table, got, want)
		}
	}
	if got := queryTSV(t, l, "SELECT quantity, events FROM account_totals"); len(got) != 1 || got[0] != "3\t1" {
		t.Errorf("account_totals: %q, want 3 and 1 event", got)
	}
}

// An owner that lost its partition writes an older batch after a newer one of its successor.
func TestOlderTotalsNeverReplaceNewer(t *testing.T) {
	l := openLedger(t)
	use := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	at := func(log uint32, offset int64, index int32, units int64) ledger.Total {
		return ledger.Total{
			TotalKey: ledger.TotalKey{AccountID: accounts[0], Meter: "credit", MeterType: reckoner.Interval,
				Period: reckoner.Cycle{}.At(use), Bucket: use},
			Quantity: reckoner.Units(units), Events: uint64(units), FirstUse: use, LastUse: use,
			Position: reckoner.Position{Log: log, Offset: offset, Index: index},
		}
	}
	newest := at(2, 0, 1, 9) // of a newer log, at a smaller offset
	for _, total := range []ledger.Total{at(1, 5, 0, 1), newest, at(1, math.MaxInt64, math.MaxInt32, 2), at(2, 0, 0, 8), at(1, 6, 0, 3)} {
		if err := l.Write(t.Context(), &ledger.Batch{Totals: []ledger.Total{total}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		if got := queryTSV(t, l, "SELECT quantity, events FROM account_totals"); len(got) != 1 || got[0] != "9\t9" {
			t.Errorf("%s: %q, want 9 and 9 events", when, got)
		}
	}
	check("before a merge")
	optimize(t, l, "totals")
	check("after a merge")
}

// A sum never wraps or rounds: 1,000 usages of the largest amount, in the totals and in the entries.
func TestLargestAmountsSumExactly(t *testing.T) {
	l := openLedger(t)
	var b ledger.Batch
	want := reckoner.Quantity{}
	for i := range int64(1000) {
		e := usageAt(i, reckoner.MaxEvent(), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i)*reckoner.Bucket))
		b.Entries = append(b.Entries, e)
		b.Totals = append(b.Totals, ledger.Total{
			TotalKey: ledger.TotalKey{AccountID: e.AccountID, Meter: e.Meter, MeterType: e.MeterType, Period: e.Period, Bucket: e.Bucket},
			Quantity: e.Quantity, Events: 1, FirstUse: e.UsageTime, LastUse: e.UsageTime, Reading: e.Position, Position: e.Position,
		})
		want = mustAdd(want, e.Quantity)
	}
	if err := l.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if got := queryTSV(t, l, "SELECT quantity FROM account_totals"); len(got) != 1 || got[0] != want.String() {
		t.Errorf("account_totals: %q, want %s", got, want)
	}
	if got, err := l.Debited(t.Context(), accounts[0], "credit"); err != nil || got != want {
		t.Errorf("Debited: %s, %v, want %s", got, err, want)
	}
}

// A batch that was received over more months than one insert may span is split, and whole.
func TestBatchOverManyMonths(t *testing.T) {
	l := openLedger(t)
	var b ledger.Batch
	for i := range int64(2*partitionsMax + 7) {
		at := time.Date(1970, time.Month(1+11*i), 1, 0, 0, 0, int(i), time.UTC) // from 1970 on, into the 2160s
		b.Entries = append(b.Entries, usageAt(i, reckoner.Units(1), at))
		b.Refusals = append(b.Refusals, ledger.Refusal{Position: reckoner.Position{Log: 1, Offset: 1000 + i}, Outcome: reckoner.Conflict, ReceivedAt: at})
	}
	if parts := splitByMonth(b.Entries, func(e *ledger.Entry) time.Time { return e.ReceivedAt }, partitionsMax); len(parts) != 3 {
		t.Errorf("%d inserts for %d months, want 3", len(parts), len(b.Entries))
	}
	if err := l.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if got := len(collect(t, l.Entries(t.Context(), 1, 0, 1<<40, nil))); got != len(b.Entries) {
		t.Errorf("%d entries, want %d", got, len(b.Entries))
	}
	if got := len(collect(t, l.Refusals(t.Context(), 1, 0, 1<<40, nil))); got != len(b.Refusals) {
		t.Errorf("%d refusals, want %d", got, len(b.Refusals))
	}
}

func TestErrorsThatRetryingCannotMend(t *testing.T) {
	l := openLedger(t)
	use := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	bad := usageAt(1, reckoner.Units(1), use)
	bad.Outcome = 99 // no such element of the enum
	if err := l.Write(t.Context(), &ledger.Batch{Entries: []ledger.Entry{bad}}); !ledger.Permanent(err) {
		t.Errorf("an unknown outcome: %v, want a permanent error", err)
	}
	good := &ledger.Batch{Entries: []ledger.Entry{usageAt(2, reckoner.Units(1), use)}}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Write(cancelled, good); err == nil || ledger.Permanent(err) {
		t.Errorf("a cancelled context: %v, want an error that may pass", err)
	}
	if err := l.conn.Exec(t.Context(), "RENAME TABLE entries TO away"); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), good); err == nil || ledger.Permanent(err) {
		t.Errorf("a missing table: %v, want an error that may pass", err)
	}
	if err := l.conn.Exec(t.Context(), "RENAME TABLE away TO entries"); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), good); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}

// What comes later never stands before what it speaks for: when the totals cannot be written, no checkpoint is.
func TestNoCheckpointWithoutTheTotals(t *testing.T) {
	l := openLedger(t)
	e := usageAt(1, reckoner.Units(1), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	total := ledger.Total{TotalKey: ledger.TotalKey{MeterType: 77, Period: e.Period, Bucket: e.Bucket}}
	err := l.Write(t.Context(), &ledger.Batch{
		Entries: []ledger.Entry{e}, Totals: []ledger.Total{total}, Checkpoints: []ledger.Checkpoint{{Log: 1, Next: 2}},
	})
	if err == nil {
		t.Fatal("a total of an unknown meter type was stored")
	}
	if c, exists, err := l.Checkpoint(t.Context(), 1, 0); err != nil || exists {
		t.Errorf("a checkpoint was stored after all: %+v, %v", c, err)
	}
}

func TestInsertsAreCounted(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	engine := chdbtest.Open(t, chdb.Options{Dir: t.TempDir()}).Transport()
	broken := false
	l, err := Open(Options{URL: "http://engine", Metrics: reg, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if broken {
			return nil, http.ErrServerClosed
		}
		return engine.RoundTrip(r)
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	b := &ledger.Batch{Checkpoints: []ledger.Checkpoint{{Log: 1, Next: 1}, {Log: 1, Partition: 1, Next: 1}}}
	if err := l.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	broken = true
	if err := l.Write(t.Context(), b); err == nil || ledger.Permanent(err) {
		t.Errorf("a broken connection: %v, want an error that may pass", err)
	}
	gathered, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range gathered {
		for _, m := range family.Metric {
			got[family.GetName()+" "+m.Label[0].GetValue()] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	want := map[string]float64{
		"reckoner_ledger_insert_rows_total checkpoints": 2, "reckoner_ledger_insert_errors_total checkpoints": 1,
		"reckoner_ledger_insert_seconds checkpoints": 1,
	}
	for _, table := range tableNames() { // a table whose inserts never failed says 0
		name := "reckoner_ledger_insert_errors_total " + table
		want[name] += 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A small insert leaves the skip indexes to the merges: its rows are found all the same, before and after.
func TestRowsOfSmallInsertsAreFoundWithoutIndexes(t *testing.T) {
	l := openLedger(t)
	f := newFlushes()
	for _, rows := range []int{50, 2 * indexedRows} {
		if err := l.Write(t.Context(), f.batch(rows)); err != nil {
			t.Fatal(err)
		}
	}
	indexed := func() []string {
		return queryTSV(t, l, `SELECT toString(rows >= 4096), toString(secondary_indices_compressed_bytes > 0) FROM system.parts
			WHERE database = currentDatabase() AND table = 'entries' AND active GROUP BY ALL ORDER BY 1`)
	}
	if got := indexed(); len(got) != 2 || got[0] != "0\t0" || got[1] != "1\t1" {
		t.Fatalf("parts by size, and whether they have indexes: %q, want that only the large one has", got)
	}
	first := queryTSV(t, l, "SELECT event_id FROM entries ORDER BY `offset`, `partition` LIMIT 1")[0]
	for range 2 {
		if n := scalar[uint64](t, l, "SELECT count() FROM entries FINAL WHERE event_id = '"+first+"'"); n != 1 {
			t.Errorf("%d rows of an id, want 1", n)
		}
		if err := l.conn.Exec(t.Context(), "OPTIMIZE TABLE entries FINAL"); err != nil {
			t.Fatal(err)
		}
	}
	if got := indexed(); len(got) != 1 || got[0] != "1\t1" {
		t.Errorf("after the merge: %q, want one part with indexes", got)
	}
}
