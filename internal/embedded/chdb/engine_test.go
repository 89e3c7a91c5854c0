package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
)

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	for round := range 4 {
		engine := chdbtest.Open(t, chdb.Options{Dir: dir})
		server := httptest.NewServer(engine.Handler())
		c := client{t, server.URL}
		c.post("CREATE DATABASE IF NOT EXISTS reckoner")
		c.post("CREATE TABLE IF NOT EXISTS reckoner.t (a Int32) ENGINE = MergeTree ORDER BY a")
		c.post(fmt.Sprintf("INSERT INTO reckoner.t VALUES (%d)", round))
		if got := c.post("SELECT count(), max(a) FROM reckoner.t"); got != fmt.Sprintf("%d\t%d\n", round+1, round) {
			t.Errorf("round %d: %s", round, got)
		}
		server.Close()
		if err := engine.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := engine.Close(t.Context()); err != nil {
			t.Errorf("the second Close: %v", err)
		}
	}
}

func TestOneEngineAProcess(t *testing.T) {
	dir := t.TempDir()
	engine := chdbtest.Open(t, chdb.Options{Dir: dir})
	_, err := chdb.Open(t.Context(), chdb.Options{Dir: t.TempDir(), Library: chdbtest.Library(t)})
	if !errors.Is(err, chdb.ErrAnotherEngine) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second engine: %v", err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, _ := cmd.CombinedOutput() // it fails, and says why
	for _, want := range []string{"in use by process " + fmt.Sprint(os.Getpid()), dir, "--data-dir"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("another process: %q lacks %q", out, want)
		}
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	chdbtest.Open(t, chdb.Options{Dir: dir}) // free again
}

func TestOpenRefusesNonsense(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	library := chdbtest.Library(t)
	for name, o := range map[string]chdb.Options{
		"no directory": {Library: library}, "no library": {Dir: t.TempDir()}, "a file as directory": {Dir: file, Library: library},
	} {
		if _, err := chdb.Open(t.Context(), o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if engine := chdbtest.Open(t, chdb.Options{}); engine.Version() == "" { // nothing is left claimed
		t.Error("no version")
	}
	if _, err := chdb.Open(t.Context(), chdb.Options{Dir: t.TempDir(), Library: file}); err == nil {
		t.Error("a text file as library is accepted")
	}
}

// TestNilDereferenceIsStillAPanic: the library resets the signal handlers on
// every connect; without Go's the process would end here.
func TestNilDereferenceIsStillAPanic(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	for i := range 20 {
		c.ask("POST", fmt.Sprintf("max_threads=%d", i+1), strings.NewReader("SELECT 1"))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			var p *client
			p.url = "x"
		}()
	}
}

func TestManyInsertsAtOnce(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	c.post("CREATE TABLE t (w UInt32, i UInt32, v UInt64) ENGINE = MergeTree ORDER BY (w, i)")
	const workers, inserts = 8, 25
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range inserts { // all of one length, each with its own content
				got := c.ask("POST", "query="+esc("INSERT INTO t FORMAT CSV"), strings.NewReader(fmt.Sprintf("%03d,%03d,%06d\n", w, i, w*1000+i)))
				if got.status != 200 {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
	if got := c.post("SELECT count(), uniqExact(w, i), countIf(v != w * 1000 + i) FROM t"); got != fmt.Sprintf("%d\t%d\t0\n", workers*inserts, workers*inserts) {
		t.Error(got)
	}
}

// slow runs for minutes unless it is ended.
const slow = "SELECT sum(sipHash64(number)) FROM numbers(100000000000)"

func TestQueueIsBounded(t *testing.T) {
	engine := chdbtest.Open(t, chdb.Options{Connections: 1, Queue: 1, QueueWait: time.Minute})
	server := httptest.NewServer(engine.Handler())
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	codes := make(chan string, 3)
	for range 3 {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(ctx, "POST", server.URL, strings.NewReader(slow))
			if err != nil {
				t.Error(err)
				return
			}
			if res, err := http.DefaultClient.Do(req); err == nil {
				codes <- res.Header.Get("X-ClickHouse-Exception-Code")
				res.Body.Close()
			}
		})
	}
	if code := <-codes; code != "202" { // one runs, one waits, the third is refused
		t.Errorf("code %s, want 202", code)
	}
	// Whatever is asked over the port, the process itself is served.
	inside := http.Client{Transport: engine.Transport(), Timeout: 30 * time.Second}
	res, err := inside.Post("http://embedded/", "", strings.NewReader("SELECT 1"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(res.Body); err != nil || string(text) != "1\n" {
		t.Errorf("from inside: %q, %v", text, err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	wg.Wait()
	// Those who left are ended, and the one connection is free for others.
	waitFor(t, "the connection to be free", func() bool {
		return client{t, server.URL}.ask("POST", "", strings.NewReader("SELECT 1")).body == "1\n"
	})
}

func TestCloseEndsWhatRuns(t *testing.T) {
	engine := chdbtest.Open(t, chdb.Options{})
	server := httptest.NewServer(engine.Handler())
	defer server.Close()
	answered := make(chan string, 1)
	go func() {
		res, err := http.Post(server.URL, "", strings.NewReader(slow))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer res.Body.Close()
		answered <- res.Header.Get("X-ClickHouse-Exception-Code")
	}()
	c := client{t, server.URL}
	waitFor(t, "the query to run", func() bool {
		return c.post("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'") == "1\n"
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := engine.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; got != "394" { // QUERY_WAS_CANCELLED
		t.Errorf("the query was answered %q", got)
	}
	if got := c.ask("POST", "", strings.NewReader("SELECT 1")); got.header.Get("X-ClickHouse-Exception-Code") != "236" {
		t.Errorf("a query after Close: %d %s", got.status, got.body)
	}
}

// TestBrokenBody cuts the connection in the middle of an insert's data, at the
// end of a row: nothing of it may be inserted.
func TestBrokenBody(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	c.post("CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a")
	for _, head := range []string{"Content-Length: 1000\r\n\r\n1\n2\n", "Transfer-Encoding: chunked\r\n\r\n4\r\n1\n2\n\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "POST /?query="+esc("INSERT INTO t FORMAT CSV")+" HTTP/1.1\r\nHost: x\r\n"+head)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(conn) // whatever it says, it is not 200
		if conn.Close(); strings.Contains(string(answer), " 200 ") {
			t.Errorf("answered %q", answer)
		}
	}
	if got := c.post("SELECT count() FROM t"); got != "0\n" {
		t.Errorf("rows of a broken insert: %s", got)
	}
}

func TestLimits(t *testing.T) {
	engine := chdbtest.Open(t, chdb.Options{MaxBody: 1000, MaxQuery: 2000})
	server := httptest.NewServer(engine.Handler())
	defer server.Close()
	c := client{t, server.URL}
	c.post("CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a")
	for name, body := range map[string]string{
		"data":   "INSERT INTO t FORMAT CSV\n" + strings.Repeat("1\n", 501),
		"values": "INSERT INTO t VALUES " + strings.Repeat(" ", headBytes) + strings.Repeat("(1),", 300),
		"query":  "SELECT 1 " + strings.Repeat(" ", 2000),
	} {
		if got := c.ask("POST", "", strings.NewReader(body)); got.status != http.StatusRequestEntityTooLarge || got.header.Get("X-ClickHouse-Exception-Code") != "229" {
			t.Errorf("%s: %d %.200s", name, got.status, got.body)
		}
	}
	if got := c.post("SELECT count() FROM t"); got != "0\n" {
		t.Errorf("rows: %s", got)
	}
}

// headBytes is how much of a body is read before it is understood.
const headBytes = 256 << 10

// TestDropSync: on a fresh directory this version would wait for ever.
func TestDropSync(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	c.post("CREATE DATABASE d")
	c.post("CREATE TABLE d.t (a Int32) ENGINE = MergeTree ORDER BY a")
	c.post("DROP TABLE d.t SYNC")
	c.post("DROP DATABASE d SYNC")
}

func TestTransportIsTheSame(t *testing.T) {
	engine := chdbtest.Open(t, chdb.Options{})
	inside := http.Client{Transport: engine.Transport()}
	ask := func(body string) (*http.Response, string, error) {
		res, err := inside.Post("http://embedded/", "", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return res, string(text), err
	}
	if _, text, err := ask("SELECT number FROM numbers(300000)"); err != nil || strings.Count(text, "\n") != 300000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if res, text, err := ask("SELECT * FROM nosuch"); err != nil || res.StatusCode != 404 || !strings.HasPrefix(text, "Code: 60.") {
		t.Errorf("%d %s %v", res.StatusCode, text, err)
	}
	if res, _, err := ask("CREATE TABLE t (a Int8) ENGINE = Memory"); err != nil || res.ContentLength != 0 {
		t.Errorf("an empty answer has length %d, %v", res.ContentLength, err)
	}
	if _, text, err := ask("SELECT throwIf(number = 3000000) FROM numbers(4000000)"); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(text, "__exception__") {
		t.Errorf("an error in the middle: %d bytes, %v", len(text), err)
	}
	// A reader that leaves ends the query, and the engine goes on.
	res, err := inside.Post("http://embedded/", "", strings.NewReader("SELECT number FROM system.numbers"))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the query to end", func() bool {
		_, text, _ := ask("SELECT count() FROM system.processes")
		return text == "1\n"
	})
}

// waitFor polls a condition until it holds, for a bounded time.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
