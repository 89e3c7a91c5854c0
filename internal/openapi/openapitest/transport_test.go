package openapitest

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// failures counts what a test is told.
type failures struct {
	testing.TB
	all []string
}

func (f *failures) Error(args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			f.all = append(f.all, err.Error())
		}
	}
}

// TestTransportFailsTheTest lets a server break its word: the caller still gets all of its answer, and the server all of the
// request.
func TestTransportFailsTheTest(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	said := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		said[string(body)]++
		mu.Unlock()
		w.Header().Set("X-Request-Id", "r1")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, usage)
	}))
	defer srv.Close()
	told := &failures{TB: t}
	client := &http.Client{Transport: &Transport{T: told, Checker: c}}
	const body = `{"subscriptionId":"s","quantity":1}`
	const times = lookedAt + 2*oneOf
	for range times {
		r, err := http.NewRequest(http.MethodPost, srv.URL+"/usages", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("REB-APIKEY", "a:b")
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil || string(got) != usage {
			t.Fatalf("%v %s", err, got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if said[body] != times {
		t.Errorf("the server got %v", said)
	}
	if len(told.all) != lookedAt+2 || !strings.Contains(told.all[0], "Location") || strings.Contains(told.all[0], "does not allow the request") {
		t.Errorf("%d failures of %d exchanges, the first: %s", len(told.all), times, told.all[0])
	}
}

// TestAnAnswerBeforeTheBodyIsSent is for the race detector: the client still reads the body when the answer is judged.
func TestAnAnswerBeforeTheBodyIsSent(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "r1")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, `{"type":"about:blank","title":"Request Entity Too Large","status":413,"detail":"it is","instance":"/usages"}`)
	}))
	defer srv.Close()
	transport, answered := &Transport{T: t, Checker: c}, 0
	for range 20 {
		r, err := http.NewRequest(http.MethodPost, srv.URL+"/usages", io.LimitReader(endless{}, 4<<20))
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(r)
		if err != nil {
			continue // the server closed the connection while the body was on its way
		}
		answered++
		_ = res.Body.Close()
	}
	if answered == 0 {
		t.Error("no answer came")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
