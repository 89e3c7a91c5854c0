package receiver

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// goldens are the payloads that reports are held to, by file.
func goldens(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../../testdata/*.jsonl")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	all := make(map[string][]byte)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		for n := 0; lines.Scan(); n++ {
			all[strings.TrimSuffix(filepath.Base(file), ".jsonl")+"/"+string(rune('a'+n))] = bytes.Clone(lines.Bytes())
		}
	}
	return all
}

// came is when a report arrives: at its own timestamp.
func came(t testing.TB, body []byte) time.Time {
	t.Helper()
	r, _ := read(body, time.Time{})
	if r.Timestamp.IsZero() {
		t.Fatalf("no timestamp in %s", body)
	}
	return r.Timestamp
}

func TestGoldenPayloadsAreTaken(t *testing.T) {
	for name, body := range goldens(t) {
		if broken := Check(body, came(t, body)); len(broken) > 0 {
			t.Errorf("%s: %q\n%s", name, broken, body)
		}
	}
}

func TestPostIsTakenAndShown(t *testing.T) {
	body := goldens(t)["three_resources/b"]
	r := New(Options{Now: func() time.Time { return came(t, body) }})
	req := httptest.NewRequest(http.MethodPost, "/v1/installations/icfg%2F1/billing", bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if w.Code != http.StatusCreated || w.Body.Len() > 0 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	got := r.Reports("icfg/1")
	if len(got) != 1 || !bytes.Equal(got[0].Body, body) || len(got[0].Usage) != 11 || len(got[0].Items) != 6 {
		t.Errorf("%+v", got)
	}
}
