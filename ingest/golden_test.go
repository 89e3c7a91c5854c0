package ingest

import (
	"bufio"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"net/http"

	"github.com/google/go-cmp/cmp"

	"reckoner"
)

var update = flag.Bool("update", false, "write the payloads again")

// golden holds payloads against a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("payloads (-%s +now; run with -update if it is meant):\n%s", path, diff)
	}
}

// TestPythonClient replays a request in the form of the generated Python client, byte for byte: names in camel case,
// amounts as strings, times with an offset, Basic credentials.
func TestPythonClient(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "python_client_create.http"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := http.ReadRequest(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	if rec.Code != 200 || rec.Body.String() != "{}" || len(w.produced()) != 2 {
		t.Fatalf("%d %s, %d written", rec.Code, rec.Body, len(w.produced()))
	}
	amount := reckoner.Units(9007199254740993) // more than a float holds
	at := time.Date(2026, 6, 15, 11, 59, 58, 123456000, time.UTC)
	e := w.produced()[0]
	if diff := cmp.Diff(reckoner.Written{Type: "credit", Source: "worker-7", Quantity: &amount, UsageTime: at}, e.Written, quantities()); diff != "" {
		t.Error(diff)
	}
	want := []reckoner.Label{
		{Key: "model", Value: "large"}, {Key: "ratio", Value: "0.1", JSON: true}, {Key: "tokens", Value: "1024", JSON: true},
	}
	if diff := cmp.Diff(want, e.Metadata); diff != "" || e.Description != "tokens of a café chat" || e.ID != "0b6f2c0e-7a52-4d1c-9b1c-3b6b2e9f4a10" {
		t.Errorf("%s, %q, %q", e.ID, e.Description, diff)
	}
}
