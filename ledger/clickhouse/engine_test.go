package clickhouse

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reckoner/internal/embedded/chdb"
)

// engine is the embedded engine that all tests of this package share, each with a database of its own: a process
// holds one at a time.
var engine struct {
	once sync.Once
	*chdb.Engine
	err       error
	databases atomic.Int32
}

func TestMain(m *testing.M) {
	status := m.Run()
	if engine.Engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_ = engine.Close(ctx)
		cancel()
	}
	os.Exit(status)
}

func startEngine(t testing.TB) *chdb.Engine {
	t.Helper()
	engine.once.Do(func() {
		dir, err := os.MkdirTemp("", "reckoner-ledger-")
		if err != nil {
			engine.err = err
			return
		}
		engine.Engine, engine.err = chdb.Open(context.Background(), chdb.Options{Dir: dir, Library: os.Getenv("RECKONER_LIBCHDB")})
	})
	if engine.err != nil {
		t.Fatalf("open the embedded engine: %v", engine.err)
	}
	return engine.Engine
}

// openDatabase returns a ledger on a database that does not exist yet.
func openDatabase(t testing.TB) *Ledger {
	t.Helper()
	l, err := Open(Options{
		URL:       fmt.Sprintf("http://default@engine/test_%d", engine.databases.Add(1)),
		Transport: startEngine(t).Transport(),
	})
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
