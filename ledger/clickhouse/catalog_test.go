package clickhouse

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"reckoner/ledger"
)

func catalogRow(version uint64, kind, id, entity string) ledger.CatalogRow {
	return ledger.CatalogRow{Kind: kind, ID: id, Version: version, Entity: entity, Deleted: entity == "", ChangedAt: time.UnixMilli(1767225600123)}
}

func writeCatalog(t *testing.T, l *Ledger, rows ...ledger.CatalogRow) {
	t.Helper()
	if err := l.WriteCatalog(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
}

// Every view, with everything that an entity can hold and with nothing that it need not.
func TestCatalogViewsShowTheEntities(t *testing.T) {
	l := openLedger(t)
	for i, row := range [][3]string{
		{"organization", "o1", `{"id":"o1","name":"acme"}`},
		{"organization", "o2", `{"id":"o2"}`},
		{"project", "p1", `{"id":"p1","name":"site","organization":"o1"}`},
		{"account", "a1", `{"id":"a1","organization":"o1","state":"disabled","created_at":"2026-01-01T00:00:00.000000001Z","default_subscription":"s1"}`},
		{"account", "a2", `{"id":"a2","organization":"o1"}`},
		{"meter", "storage", `{"name":"storage","unit":"GB","type":"total","match":{"type":"feature","source":"store","metadata":{"n":5,"q":"a\"b","region":"eu","t":true}},"priority":-10}`},
		{"meter", "calls", `{"name":"calls"}`},
		{"plan", "pro", `{"id":"pro","name":"Pro","prices":[{"meter":"calls","unit_price":"0.00000000000000000000000000000000000002","included":"1000.5"},{"meter":"storage","unit_price":"99999999999999999999999999999999999999"}],"discounts":[{"name":"launch","amount":"5.00"}]}`},
		{"plan", "free", `{"id":"free"}`},
		{"subscription", "s1", `{"id":"s1","account":"a1","plan":"pro","meter":"calls","limit":"1000.001","period":{"anchor":"2026-01-31T00:00:00Z","every":"year"}}`},
		{"subscription", "s2", `{"id":"s2","account":"a1","limit":"0"}`},
		{"subscription", "s3", `{"id":"s3","account":"a1"}`},
		{"installation", "i1", `{"id":"i1","target":"vercel","account":"a1","base_url":"https://x","token_env":"T","day_ends_at":"18:15","resources":[{"subscription":"s1","resource_id":"r","from":"2026-01-01T00:00:00Z"}]}`},
		{"installation", "i2", `{"id":"i2","account":"a1"}`},
		{"credential", "c1", `{"id":"c1","scopes":["usage.read"],"organizations":["*"]}`},
		{"credential", "c2", `{"id":"c2"}`},
	} {
		writeCatalog(t, l, catalogRow(uint64(i+1), row[0], row[1], row[2]))
	}
	var b strings.Builder
	for _, view := range []string{"organizations", "projects", "accounts", "meters", "plans", "subscriptions", "installations", "credentials"} {
		b.WriteString(queryFormat(t, l, "Vertical", "SELECT * FROM catalog_"+view+" ORDER BY version"))
		b.WriteByte('\n')
	}
	compareSnapshot(t, "catalog.txt", b.String())
}

// Whatever the order in which changes arrive, and however often, the last one of each entity stays.
func TestTheLastChangeOfAnEntityStays(t *testing.T) {
	l := openLedger(t)
	version := func(want uint64) {
		t.Helper()
		if got, err := l.CatalogVersion(t.Context()); err != nil || got != want {
			t.Fatalf("version %d, %v, want %d", got, err, want)
		}
	}
	version(0)
	writeCatalog(t, l)
	version(0)
	first := catalogRow(1, "organization", "o1", `{"id":"o1","name":"first"}`)
	last := catalogRow(5, "organization", "o1", `{"id":"o1","name":"last"}`)
	gone := catalogRow(6, "project", "o1", "") // an id is of its kind
	writeCatalog(t, l, last, gone)
	version(6)
	writeCatalog(t, l, first, catalogRow(2, "project", "o1", `{"id":"o1","organization":"o1"}`)) // by a process that is late
	writeCatalog(t, l, last, gone)
	version(6)
	const query = "SELECT organization_id, name, version FROM catalog_organizations"
	if got := queryTSV(t, l, query); len(got) != 1 || got[0] != "o1\tlast\t5" {
		t.Errorf("organizations %q", got)
	}
	if got := scalar[uint64](t, l, "SELECT count() FROM catalog_projects"); got != 0 {
		t.Errorf("%d projects, want none: it was deleted", got)
	}
	if err := l.conn.Exec(t.Context(), "OPTIMIZE TABLE catalog FINAL"); err != nil {
		t.Fatal(err)
	}
	version(6) // of a row that tells a deletion; a merge must keep it
	if got := queryTSV(t, l, query); len(got) != 1 || got[0] != "o1\tlast\t5" {
		t.Errorf("after a merge: organizations %q", got)
	}
}

// Rows that are written in one call become one part, so that they are there together or not at all.
func TestCatalogRowsAreWrittenInOnePiece(t *testing.T) {
	l := openLedger(t)
	const n = 200_000
	rows := make([]ledger.CatalogRow, n)
	for i := range rows {
		rows[i] = catalogRow(uint64(i+1), "account", fmt.Sprintf("%09d", i), `{"organization":"o1"}`)
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs { // two processes at once
		wg.Go(func() { errs[i] = l.WriteCatalog(t.Context(), rows) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := scalar[uint64](t, l,
		"SELECT min(rows) FROM system.parts WHERE database = currentDatabase() AND table = 'catalog'"); got != n {
		t.Errorf("the smallest part has %d rows, want %d", got, n)
	}
	if got := scalar[uint64](t, l, "SELECT count() FROM catalog_accounts"); got != n {
		t.Errorf("%d accounts, want %d", got, n)
	}
	if err := l.WriteCatalog(t.Context(), make([]ledger.CatalogRow, catalogRowsMax+1)); err == nil {
		t.Error("more rows than go in one piece were taken")
	}
}
