package floor_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"reckoner/internal/embedded/chdb"
	pb "reckoner/internal/wire/usagev1"
	"reckoner/ledger/clickhouse"
	"reckoner/ledger/clickhouse/floor"
)

// server is an embedded engine with the ledger's tables.
func server(t *testing.T) (url string) {
	t.Helper()
	ctx := t.Context()
	lib, err := chdb.Library(ctx, chdb.LibraryOptions{Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := chdb.Open(ctx, chdb.Options{Dir: t.TempDir(), Library: lib})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(engine.Handler())
	t.Cleanup(func() {
		web.Close()
		if err := engine.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	l, err := clickhouse.Open(clickhouse.Options{URL: web.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Migrate(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return web.URL
}

// The rows of the floor are those of the product: every column is filled, and a restore's query reads them.
func TestTheFloorInsertsTheSameRows(t *testing.T) {
	db, err := floor.Open(server(t) + "/reckoner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	const n = 2000
	at := time.Date(2026, 6, 1, 12, 34, 56, 789, time.UTC)
	var rows []floor.Row
	for i := range n {
		rows = append(rows, floor.Row{Partition: 3, Offset: int64(i), Event: &pb.Event{
			Rules: 1, Kind: pb.Kind_KIND_USAGE, Id: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), AccountId: fmt.Sprint("account", i%7),
			Written: &pb.Written{Source: "chat", Quantity: &pb.Quantity{Low: 1500}}, Metadata: []*pb.Label{{Key: "k", Value: "v", Json: true}},
			OrganizationId: "o", Type: "credit", Meter: "credit", MeterType: 1, UsageTime: at.UnixNano(), ReceivedAt: at.UnixNano(),
			PeriodStart: at.Truncate(24 * time.Hour).UnixNano(), PeriodEnd: at.Truncate(24 * time.Hour).Add(24 * time.Hour).UnixNano(),
		}})
	}
	if err := db.NewInserter("reckoner.entries").Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	var one string
	err = db.One(t.Context(), `SELECT concat(event_id, ' ', toString(quantity), ' ', toString(requested), ' ', toString(meter_type), ' ',
		toString(kind), ' ', toString(outcome), ' ', toString(usage_time), ' ', toString(bucket), ' ', metadata_keys[1], metadata_values[1], toString(metadata_json[1]))
		FROM entries WHERE offset = 5`, &one)
	want := "00000000-0000-4000-8000-000000000005 1.5 1.5 interval usage applied 2026-06-01 12:34:56.000000789 2026-06-01 12:30:00 kvtrue"
	if err != nil || one != want {
		t.Errorf("%v\n got %s\nwant %s", err, one, want)
	}
	if got, err := db.Restore(t.Context(), 3, n/2); err != nil || got != n/2 {
		t.Errorf("a restore of the first half reads %d rows, %v", got, err)
	}
	var sum int64
	var account string
	var count uint64
	err = db.Each(t.Context(), "SELECT account_id, count() FROM entries GROUP BY account_id", func() error { sum += int64(count); return nil }, &account, &count)
	if err != nil || sum != n {
		t.Errorf("%d rows of %d, %v", sum, n, err)
	}
}

// The bare query is the product's: a floor under another query would be none.
func TestTheBareQueryIsTheRestores(t *testing.T) {
	for _, name := range []string{"restore_entries.sql", "restore_refusals.sql"} {
		ours, err := os.ReadFile("../queries/" + name)
		if err != nil {
			t.Fatal(err)
		}
		floors, err := os.ReadFile("queries/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if string(ours) != string(floors) {
			t.Errorf("%s differs: copy it from ../queries", name)
		}
	}
}
