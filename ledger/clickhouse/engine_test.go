package clickhouse

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
)

// TestMain lowers rapid's number of runs, unless one is asked for: each run of a property here is a dozen inserts that
// reach the disk.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		if err := flag.Set("rapid.checks", "25"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

// openDatabase returns a ledger on a database that does not exist yet, in an engine of its own.
func openDatabase(t testing.TB) *Ledger {
	t.Helper()
	l, err := Open(Options{URL: "http://default@engine", Transport: chdbtest.Open(t, chdb.Options{Dir: t.TempDir()}).Transport()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// openLedger returns an empty ledger of its own.
func openLedger(t testing.TB) *Ledger {
	t.Helper()
	l := openDatabase(t)
	if err := l.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return l
}
