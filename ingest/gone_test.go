package ingest

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"reckoner/internal/bus"
)

// TestCallerWhoLeft: an impatient caller is not counted among the failures that operators are woken for.
func TestCallerWhoLeft(t *testing.T) {
	w := newWorld(t)
	ctx, leave := context.WithCancel(t.Context())
	w.produce = func(ctx context.Context, _ []bus.Record) error {
		leave()
		<-ctx.Done()
		return ctx.Err()
	}
	r := httptest.NewRequestWithContext(ctx, "POST", createPath, strings.NewReader(usagesBody(1)))
	r.SetBasicAuth("demo", "se:cret")
	w.server.ServeHTTP(httptest.NewRecorder(), r)
	want := "reckoner_ingest_requests_total{dialect=frontier,route=create,status=499} 1\n"
	if got := w.metrics("reckoner_ingest_requests_total"); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}
