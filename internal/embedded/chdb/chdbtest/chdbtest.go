// Package chdbtest gives a test its own embedded ClickHouse.
package chdbtest

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"reckoner/internal/embedded/chdb"
)

// patience is how long a test waits for its turn.
const patience = 3 * time.Minute

// Start gives a fresh engine in a fresh directory and the URL of its HTTP
// interface; both are closed at the end of the test. A process holds one engine
// at a time: tests that run in parallel take turns, and a test that holds an
// engine must close it before it opens another.
func Start(t testing.TB) (url string) {
	t.Helper()
	server := httptest.NewServer(Open(t, chdb.Options{}).Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// Open is Start without the server, for tests that restart an engine or speak
// to it in-process. Library is filled in, and so is Dir when it is empty. The
// test may close the engine itself; it is closed at the end at the latest.
func Open(t testing.TB, options chdb.Options) *chdb.Engine {
	t.Helper()
	options.Library = Library(t)
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	var engine *chdb.Engine
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var err error
		engine, err = chdb.Open(t.Context(), options)
		if err == nil {
			break
		}
		if !errors.Is(err, chdb.ErrAnotherEngine) || time.Since(start) > patience {
			t.Fatalf("open the embedded ClickHouse: %v", err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := engine.Close(ctx); err != nil {
			t.Errorf("close the embedded ClickHouse: %v", err)
		}
	})
	return engine
}

// Library is the path of the engine's library, fetched when it is not there yet.
func Library(t testing.TB) string {
	t.Helper()
	path, err := chdb.Library(context.Background(), chdb.LibraryOptions{Progress: os.Stderr})
	if err != nil {
		t.Fatalf("the embedded ClickHouse is needed for this test: %v", err)
	}
	return path
}
