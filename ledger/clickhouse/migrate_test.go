package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"reckoner/ledger"
)

func TestMigrateAppliesEachMigrationOnce(t *testing.T) {
	l := openDatabase(t)
	ctx := t.Context()
	if version, exists, err := l.SchemaVersion(ctx); err != nil || exists {
		t.Fatalf("before: version %d, exists %t, %v", version, exists, err)
	}
	if err := l.CheckSchema(ctx); !errors.Is(err, ledger.ErrSchema) || !strings.Contains(err.Error(), "reckoner migrate") {
		t.Fatalf("CheckSchema without a schema: %v", err)
	}
	if err := l.Ping(ctx); err == nil || !strings.Contains(err.Error(), "reckoner migrate") {
		t.Fatalf("Ping without a database: %v", err)
	}
	var applied []string
	migrate := func() {
		t.Helper()
		if err := l.Migrate(ctx, func(v uint32, name string) { applied = append(applied, name) }); err != nil {
			t.Fatal(err)
		}
	}
	migrate()
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) != len(all) {
		t.Fatalf("applied %v, want all %d", applied, len(all))
	}
	migrate()
	if len(applied) != len(all) {
		t.Fatalf("a second run applied %v again", applied[len(all):])
	}
	version, exists, err := l.SchemaVersion(ctx)
	if err != nil || !exists || int(version) != len(all)-1 {
		t.Fatalf("after: version %d, exists %t, %v", version, exists, err)
	}
	if err := errors.Join(l.CheckSchema(ctx), l.Ping(ctx)); err != nil {
		t.Fatal(err)
	}
}

func TestMigratorsAtOnceAgree(t *testing.T) {
	l := openDatabase(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { errs[i] = l.Migrate(t.Context(), nil) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if err := l.CheckSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSchemaThatThisBuildDoesNotKnowIsRefused(t *testing.T) {
	for name, record := range map[string]migration{
		"newer":   {version: 9999, name: "9999_future", checksum: "00"},
		"changed": {version: 1, name: "0001_ledger", checksum: "00"},
	} {
		t.Run(name, func(t *testing.T) {
			l := openLedger(t)
			record.text = "SELECT 1"
			if err := l.apply(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			for call, err := range map[string]error{"Migrate": l.Migrate(t.Context(), nil), "CheckSchema": l.CheckSchema(t.Context())} {
				if !errors.Is(err, ledger.ErrSchema) || !strings.Contains(err.Error(), "build") {
					t.Errorf("%s: %v, want ErrSchema with a remedy", call, err)
				}
			}
		})
	}
}

// What a cluster is given cannot run here, but it can be parsed.
func TestClusterStatementsParse(t *testing.T) {
	l := openLedger(t)
	s, err := newSchema("reckoner", "main")
	if err != nil {
		t.Fatal(err)
	}
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sync_replicas", "sync_reports", "sync_totals"} {
		text, err := query(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, migration{name: name, text: text})
	}
	for _, m := range all {
		statements, err := s.statements(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range statements {
			if err := l.conn.Exec(t.Context(), "EXPLAIN AST "+statement); err != nil {
				t.Errorf("%s: %v\n%s", m.name, err, statement)
			}
		}
	}
}

// The tables say themselves that an insert is on disk before it is acknowledged and that nothing is deduplicated.
func TestTablesAreDurableAndNeverDeduplicateInserts(t *testing.T) {
	l := openLedger(t)
	for _, name := range []string{"entries", "refusals", "totals", "checkpoints", "logs", "schema_migrations", "catalog", "reports", "report_claims"} {
		engine := scalar[string](t, l, fmt.Sprintf(
			"SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '%s'", name))
		for _, want := range []string{"fsync_after_insert = 1", "fsync_part_directory = 1", "non_replicated_deduplication_window = 0"} {
			if !strings.Contains(engine, want) {
				t.Errorf("%s: %q is not in %q", name, want, engine)
			}
		}
	}
}

func scalar[T any](t testing.TB, l *Ledger, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := l.conn.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return v
}
