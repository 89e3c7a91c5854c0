package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/internal/bus"
)

func TestBodySizes(t *testing.T) {
	w := newWorld(t)
	pad := func(n int) string {
		body := usagesBody(1)
		return body + strings.Repeat(" ", n-len(body))
	}
	limit := int(w.options.Limits.BodyBytesMax)
	for _, c := range []struct {
		size    int
		chunked bool
		status  int
	}{
		{limit, false, 200}, {limit, true, 200}, {limit + 1, false, 413}, {limit + 1, true, 413}, {9 << 20, true, 413}, {9 << 20, false, 413},
	} {
		r := httptest.NewRequest(http.MethodPost, createPath, strings.NewReader(pad(c.size)))
		if c.chunked {
			r.ContentLength = -1
		}
		a := w.serve(r)
		if a.status != c.status {
			t.Errorf("%d bytes, chunked %v: %d %s", c.size, c.chunked, a.status, a.body)
		}
		if c.status == 413 {
			if code, message := a.errorBody(t); code != 8 || message != "the body is larger than 8388608 bytes" {
				t.Errorf("%d %s", code, message)
			}
		}
	}
	if n := w.server.bodies.used.Load(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

// TestBodiesInFlightAreBounded holds one body in the log and sends more beside it.
func TestBodiesInFlightAreBounded(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.BodyBytesMax, o.Limits.InflightBytesMax = 60_000, 64_000 })
	entered, leave := make(chan struct{}), make(chan struct{})
	w.produce = func(context.Context, []bus.Record) error {
		entered <- struct{}{}
		<-leave
		return nil
	}
	body := usagesBody(1) + strings.Repeat(" ", 50_000)
	first := make(chan answer)
	go func() { first <- w.post(createPath, body) }()
	<-entered
	if a := w.post(createPath, body); a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "nothing was written") {
		t.Errorf("beside a large body: %d %s", a.status, a.body)
	}
	close(leave)
	if a := <-first; a.status != 200 {
		t.Errorf("the first: %d %s", a.status, a.body)
	}
	go func() { <-entered }()
	if a := w.post(createPath, body); a.status != 200 {
		t.Errorf("after it: %d %s", a.status, a.body)
	}
	if n := w.server.bodies.used.Load(); n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
}

// dial sends a head over a real connection and returns the connection.
func dial(t *testing.T, w *world, length int) net.Conn {
	t.Helper()
	srv := httptest.NewServer(w.server)
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo:se:cret\r\nContent-Length: %d\r\n\r\n{", createPath, length)
	return conn
}

func TestSlowSender(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.BodyTimeout = 50 * time.Millisecond })
	text, err := io.ReadAll(dial(t, w, 100))
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 408 ") || !strings.Contains(string(text), "Connection: close") ||
		!strings.HasSuffix(string(text), `{"code":4,"message":"the body did not arrive in time","details":[]}`) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestSenderWhoLeaves(t *testing.T) {
	w := newWorld(t)
	conn := dial(t, w, 100)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 400 ") || !strings.Contains(string(text), "the body ended early") {
		t.Errorf("%v: %s", err, text)
	}
}

// TestBodyDeadlineDoesNotEndTheWait: a request that waits longer than a body may take is not taken for lost.
func TestBodyDeadlineDoesNotEndTheWait(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.BodyTimeout = 100 * time.Millisecond })
	srv := httptest.NewServer(w.server)
	defer srv.Close()
	held := make(chan struct{})
	w.produce = func(ctx context.Context, _ []bus.Record) error {
		defer close(held)
		timer := time.NewTimer(300 * time.Millisecond) // the time under test
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return fmt.Errorf("the request was given up: %w", context.Cause(ctx))
		case <-timer.C:
			return nil
		}
	}
	r, err := http.NewRequest(http.MethodPost, srv.URL+createPath, strings.NewReader(usagesBody(1)))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("demo", "se:cret")
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-held
	if resp.StatusCode != 200 {
		t.Errorf("answered %s", resp.Status)
	}
}

func TestRequestIDs(t *testing.T) {
	w := newWorld(t)
	for given, echoed := range map[string]bool{
		"abc-1.2_3:4/5+6=7@8": true, strings.Repeat("x", 128): true, "": false, strings.Repeat("x", 129): false, "a b": false, "a\"b": false,
		"é": false, "a\tb": false, "<script>": false,
	} {
		a := w.post(createPath, "", "X-Request-Id: "+given)
		got := a.header.Get(requestIDHeader)
		if got == "" || (got == given) != echoed {
			t.Errorf("%q: answered with %q", given, got)
		}
	}
}

// TestDefectsStayInside: a panic is a 500 to the caller, a line in the log and a number to the operator.
func TestDefectsStayInside(t *testing.T) {
	var logged bytes.Buffer
	w := newWorld(t, func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&logged, nil)) })
	w.produce = func(context.Context, []bus.Record) error { panic("private thoughts") }
	a := w.post(createPath, usagesBody(1), "X-Request-Id: req-7")
	if code, message := a.errorBody(t); a.status != 500 || code != 13 || message != "internal server error" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if log := logged.String(); !strings.Contains(log, "private thoughts") || !strings.Contains(log, `"request_id":"req-7"`) || !strings.Contains(log, "server_test.go") {
		t.Errorf("logged %s", log)
	}
	if got := w.metrics("reckoner_ingest_panics_total"); got != "reckoner_ingest_panics_total{} 1\n" {
		t.Errorf("counted %s", got)
	}
	w.produce = nil
	if a := w.post(createPath, usagesBody(1)); a.status != 200 {
		t.Errorf("the next request: %d", a.status)
	}
}

// TestLogsTellNoSecrets: neither secrets nor bodies, at any level.
func TestLogsTellNoSecrets(t *testing.T) {
	var logged bytes.Buffer
	w := newWorld(t, func(o *Options) {
		o.Log = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	w.post(createPath, `{"usages":[{"amount":"body-text"}]}`)
	w.post(createPath, usagesBody(1), "Authorization: Bearer demo:wrong-secret")
	w.post(createPath, `{"usages":[{"amount":1,"description":"body-text"}]}`)
	w.produce = func(context.Context, []bus.Record) error {
		return &bus.UnknownError{Err: errors.New("broker 7 is gone")}
	}
	w.post(createPath, `{"usages":[{"amount":1,"description":"body-text"}]}`)
	log := logged.String()
	for _, secret := range []string{"body-text", "se:cret", "wrong-secret", "ZGVtbz"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log tells %q: %s", secret, log)
		}
	}
	for _, want := range []string{`"level":"WARN"`, "broker 7 is gone", `"status":503`, `"status":200`, `"code":"invalid"`, `"code":"unauthenticated"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	if n := strings.Count(log, "\n"); n != 4 {
		t.Errorf("%d lines for 4 requests", n)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.decide = decided(reckoner.Reverted, 0, -1)
	w.post(createPath, usagesBody(3))
	w.post(createPath, "{")
	w.post(revertPath, "")
	w.post("/nowhere", "")
	want := `reckoner_ingest_events_total{dialect=frontier,kind=revert} 1
reckoner_ingest_events_total{dialect=frontier,kind=usage} 3
reckoner_ingest_requests_total{dialect=frontier,route=create,status=200} 1
reckoner_ingest_requests_total{dialect=frontier,route=create,status=400} 1
reckoner_ingest_requests_total{dialect=frontier,route=none,status=404} 1
reckoner_ingest_requests_total{dialect=frontier,route=revert,status=200} 1
reckoner_ingest_waiters{} 0
reckoner_ingest_inflight_bytes{} 0
`
	got := w.metrics("reckoner_ingest_events_total", "reckoner_ingest_requests_total", "reckoner_ingest_waiters", "reckoner_ingest_inflight_bytes")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	w := newWorld(t)
	for name, spoil := range map[string]func(*Options){
		"catalog": func(o *Options) { o.Catalog = nil }, "publisher": func(o *Options) { o.Publisher = nil },
		"outcomes": func(o *Options) { o.Outcomes = nil }, "ledger": func(o *Options) { o.Ledger = nil },
		"limits": func(o *Options) { o.Limits = Limits{} }, "budget": func(o *Options) { o.Limits.InflightBytesMax = 1 },
	} {
		o := w.options
		spoil(&o)
		if _, err := New(o); err == nil {
			t.Errorf("without %s: no error", name)
		}
	}
}

// TestLargeBodyOverTheWire: the caller gets to read the 413, though it is still sending when that is decided.
func TestLargeBodyOverTheWire(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(w.server)
	defer srv.Close()
	for _, chunked := range []bool{false, true} {
		r, err := http.NewRequest(http.MethodPost, srv.URL+createPath, bytes.NewReader(make([]byte, 9<<20)))
		if err != nil {
			t.Fatal(err)
		}
		if chunked {
			r.ContentLength = -1
		}
		r.SetBasicAuth("demo", "se:cret")
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Errorf("chunked %v: %v", chunked, err)
			continue
		}
		if _ = resp.Body.Close(); resp.StatusCode != 413 {
			t.Errorf("chunked %v: %s", chunked, resp.Status)
		}
	}
}

// TestAnswersLeaveNoDeadline: a connection that rested longer than an answer may take is as good as new. It is net/http
// that takes an answer's deadline back; were it not to, the next `100 Continue` could not be written.
func TestAnswersLeaveNoDeadline(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.WriteTimeout = 200 * time.Millisecond })
	conn := dial(t, w, 2)
	answers := bufio.NewReader(conn)
	next := func(want string) {
		t.Helper()
		line, err := answers.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+want) {
			t.Fatalf("%q, %v; want %s", line, err, want)
		}
		for line != "\r\n" && err == nil {
			line, err = answers.ReadString('\n')
		}
	}
	fmt.Fprint(conn, "}")
	next("200")
	if _, err := answers.Discard(len("{}")); err != nil {
		t.Fatal(err)
	}
	<-time.After(250 * time.Millisecond) // the time under test
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo:se:cret\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", createPath)
	next("100")
	fmt.Fprint(conn, "{}")
	next("200")
}
