package clickhouse

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reckoner"
)

var update = flag.Bool("update", false, "write the snapshots again")

// The statements that a server is given, for one server and for a cluster, are compared with checked-in snapshots.
func TestRenderedSchemaMatchesItsSnapshot(t *testing.T) {
	for name, cluster := range map[string]string{"single": "", "cluster": "main"} {
		t.Run(name, func(t *testing.T) {
			s, err := newSchema("reckoner", cluster)
			if err != nil {
				t.Fatal(err)
			}
			all, err := migrations()
			if err != nil {
				t.Fatal(err)
			}
			for _, extra := range []string{"create_database", "sync_replicas", "sync_reports", "sync_totals"} {
				text, err := query(extra)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, migration{name: extra, text: text})
			}
			var b strings.Builder
			for _, m := range all {
				fmt.Fprintf(&b, "-- %s\n", m.name)
				statements, err := s.statements(m)
				if err != nil {
					t.Fatal(err)
				}
				for _, statement := range statements {
					fmt.Fprintf(&b, "%s;\n\n", statement)
				}
			}
			compareSnapshot(t, "schema_"+name+".sql", b.String())
		})
	}
}

// An applied migration must never change: this is its checksum. A new migration adds a line here.
func TestMigrationsNeverChange(t *testing.T) {
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "%s %s\n", m.checksum, m.name)
	}
	compareSnapshot(t, "migrations.sha256", b.String())
}

// The enums in the tables are the numbers and names of the nouns.
func TestEnumsMatchTheNouns(t *testing.T) {
	text, err := migrationFiles.ReadFile("migrations/0001_ledger.sql")
	if err != nil {
		t.Fatal(err)
	}
	sql := strings.Join(strings.Fields(string(text)), " ")
	for _, want := range []string{
		enumSQL(reckoner.Interval, reckoner.Total, reckoner.Rate), enumSQL(reckoner.Usage, reckoner.Revert),
		strings.Replace(enumSQL(reckoner.Outcomes()...), "'' = 0, ", "", 1),
	} {
		if strings.Count(sql, want) < 2 {
			t.Errorf("migrations/0001_ledger.sql lacks %s in entries or refusals", want)
		}
	}
}

func enumSQL[T interface {
	~uint8
	String() string
}](values ...T) string {
	var b strings.Builder
	b.WriteString("Enum8('' = 0")
	for _, v := range values {
		fmt.Fprintf(&b, ", '%s' = %d", v, uint8(v))
	}
	return b.String() + ")"
}

// Every statement of a migration can be run again, which is what makes two migrators at once, and a crash between a
// statement and its record, harmless.
func TestEveryMigrationStatementIsIdempotent(t *testing.T) {
	s, err := newSchema("reckoner", "main")
	if err != nil {
		t.Fatal(err)
	}
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		statements, err := s.statements(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range statements {
			head, _, _ := strings.Cut(statement, "\n")
			if !strings.Contains(head, " IF NOT EXISTS ") && !strings.Contains(head, " IF EXISTS ") &&
				!strings.HasPrefix(head, "CREATE OR REPLACE VIEW ") && !strings.Contains(head, " MODIFY SETTING ") {
				t.Errorf("%s: not idempotent: %s", m.name, head)
			}
			if !strings.Contains(head, " ON CLUSTER 'main'") {
				t.Errorf("%s: not on the cluster: %s", m.name, head)
			}
		}
	}
}

// The columns that rows are cut into are those of the INSERT, in its order.
func TestInsertsListTheColumnsOfTheTables(t *testing.T) {
	q, err := loadQueries()
	if err != nil {
		t.Fatal(err)
	}
	tables := newTables(q)
	compareInsert(t, tables.entries)
	compareInsert(t, tables.refusals)
	compareInsert(t, tables.totals)
	compareInsert(t, tables.checkpoints)
	compareInsert(t, tables.catalog)
	compareInsert(t, tables.reports)
	compareInsert(t, tables.claims)
	names := []string{
		tables.entries.name, tables.refusals.name, tables.totals.name, tables.checkpoints.name, tables.catalog.name, tables.reports.name, tables.claims.name,
	}
	if diff := cmp.Diff(names, tableNames()); diff != "" {
		t.Errorf("tables that metrics know (-have +known):\n%s", diff)
	}
}

func compareInsert[T any](t *testing.T, table *table[T]) {
	t.Helper()
	names := make([]string, len(table.columns))
	for i, c := range table.columns {
		names[i] = c.name
	}
	want := fmt.Sprintf("INSERT INTO %s (%s)", table.name, strings.Join(names, ", "))
	if got := strings.ReplaceAll(table.insert, "`", ""); got != want {
		t.Errorf("queries/insert_%s.sql:\n got %s\nwant %s", table.name, got, want)
	}
}

func TestNamesThatCouldBeSQLAreRefused(t *testing.T) {
	for _, bad := range []string{"a'b", "a`b", "a b", "", "a;b", "a\\"} {
		if _, err := newSchema(bad, ""); err == nil {
			t.Errorf("database %q was accepted", bad)
		}
		if _, err := newSchema("reckoner", bad); err == nil && bad != "" {
			t.Errorf("cluster %q was accepted", bad)
		}
	}
	if _, err := newSchema("reckoner", "{cluster}"); err != nil {
		t.Errorf("the macro {cluster} was refused: %v", err)
	}
}

func compareSnapshot(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -update after a change that is meant)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-stored +rendered; run with -update if it is meant):\n%s", path, diff)
	}
}
