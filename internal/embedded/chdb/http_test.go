package chdb_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/ch-go/compress"

	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
)

// client asks one engine over HTTP.
type client struct {
	t   testing.TB
	url string
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request; query is the raw query of the URL.
func (c client) ask(method, query string, body io.Reader, header ...string) reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/?"+query, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s ?%s: %v", method, query, err)
	}
	return reply{status: res.StatusCode, header: res.Header, body: string(text)}
}

// post runs a query and wants success.
func (c client) post(sql string) string {
	c.t.Helper()
	got := c.ask("POST", "", strings.NewReader(sql))
	if got.status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", sql, got.status, got.body)
	}
	return got.body
}

func esc(s string) string { return url.QueryEscape(s) }

func TestHTTP(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	c.post("CREATE TABLE t (a Int32, s String DEFAULT 'none') ENGINE = MergeTree ORDER BY a")
	for _, k := range []struct {
		name, method, query, body string
		header                    []string
		status, code              int
		want                      string // the whole body; not looked at when code is set
	}{
		{name: "GET", method: "GET", query: "query=SELECT+1", status: 200, want: "1\n"},
		{name: "body", method: "POST", body: "SELECT 'a\tb', 2", status: 200, want: "a\\tb\t2\n"},
		{name: "URL and body", method: "POST", query: "query=SELECT+1", body: "+1", status: 200, want: "2\n"},
		{name: "JSON", method: "POST", body: "SELECT 1 AS x FORMAT JSONEachRow", status: 200, want: "{\"x\":1}\n"},
		{name: "default_format", method: "POST", query: "default_format=CSVWithNames", body: "SELECT 'y' AS x", status: 200, want: "\"x\"\n\"y\"\n"},
		{name: "format header", method: "POST", header: []string{"X-ClickHouse-Format", "CSV"}, body: "SELECT 'y'", status: 200, want: "\"y\"\n"},
		{name: "Native", method: "POST", body: "SELECT toUInt8(7) AS x FORMAT Native", status: 200, want: "\x01\x01\x01x\x05UInt8\x07"},
		{name: "trailing semicolon", method: "POST", body: "SELECT 1;", status: 200, want: "1\n"},
		{name: "parameter", method: "POST", query: "param_x=" + esc("it's"), body: "SELECT {x:String}", status: 200, want: "it\\'s\n"},
		{name: "number parameter", method: "POST", query: "param_n=41", body: "SELECT {n:UInt8} + 1", status: 200, want: "42\n"},
		{name: "identifier parameter", method: "POST", query: "param_t=t", body: "SELECT count() FROM {t:Identifier}", status: 200, want: "0\n"},
		{name: "parameter is data", method: "POST", query: "param_x=" + esc("1); DROP TABLE t; --"), body: "SELECT {x:String}", status: 200, want: "1); DROP TABLE t; --\n"},
		{name: "missing parameter", method: "POST", body: "SELECT {x:String}", status: 500, code: 456},
		{name: "database", method: "POST", query: "database=system", body: "SELECT currentDatabase()", status: 200, want: "system\n"},
		{name: "unknown database", method: "POST", query: "database=nosuch", body: "SELECT 1", status: 404, code: 81},
		{name: "setting", method: "POST", query: "max_threads=3", body: "SELECT getSetting('max_threads')", status: 200, want: "3\n"},
		{name: "setting in the query", method: "POST", query: "max_threads=3", body: "SELECT getSetting('max_threads') SETTINGS max_threads = 4", status: 200, want: "4\n"},
		{name: "unknown setting", method: "POST", query: "no_such_setting=1", body: "SELECT 1", status: 404, code: 115},
		{name: "table setting", method: "POST", query: "fsync_after_insert=1", body: "SELECT 1", status: 404, code: 115},
		{name: "hostile setting", method: "POST", query: esc("a=1, b") + "=1", body: "SELECT 1", status: 404, code: 115},
		{name: "bad value", method: "POST", query: "max_threads=many", body: "SELECT 1", status: 400, code: 27},
		{name: "user default", method: "POST", query: "user=default", body: "SELECT 1", status: 200, want: "1\n"},
		{name: "Basic default", method: "POST", header: []string{"Authorization", "Basic ZGVmYXVsdDo="}, body: "SELECT 1", status: 200, want: "1\n"},
		{name: "other user", method: "POST", query: "user=bob", body: "SELECT 1", status: 401, code: 516},
		{name: "password", method: "POST", header: []string{"X-ClickHouse-User", "default", "X-ClickHouse-Key", "x"}, body: "SELECT 1", status: 401, code: 516},
		{name: "syntax error", method: "POST", body: "SELEC 1", status: 400, code: 62},
		{name: "empty", method: "POST", body: " -- nothing", status: 400, code: 62},
		{name: "two statements", method: "POST", body: "SELECT 1; SELECT 2", status: 400, code: 62},
		{name: "unknown table", method: "POST", body: "SELECT * FROM nosuch", status: 404, code: 60},
		{name: "unknown format", method: "POST", body: "SELECT 1 FORMAT Nosuch", status: 404, code: 73},
		{name: "unknown function", method: "POST", body: "SELECT nosuch(1)", status: 404, code: 46},
		{name: "failing", method: "POST", body: "SELECT throwIf(1, 'on purpose')", status: 500, code: 395},
		{name: "outfile", method: "POST", body: "SELECT 1 INTO OUTFILE '/tmp/x'", status: 500, code: 358},
		{name: "infile", method: "POST", body: "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", status: 404, code: 78},
		{name: "session", method: "POST", query: "session_id=x", body: "SELECT 1", status: 501, code: 48},
		{name: "INSERT by GET", method: "GET", query: "query=" + esc("INSERT INTO t VALUES (1, 'x')"), status: 500, code: 164},
		{name: "DDL by GET", method: "GET", query: "query=" + esc("DROP TABLE t"), status: 500, code: 164},
		{name: "readonly lifted by GET", method: "GET", query: "readonly=0&query=" + esc("DROP TABLE t"), status: 500, code: 164},
		{name: "readonly by POST", method: "POST", query: "readonly=1", body: "DROP TABLE t", status: 500, code: 164},
		{name: "settings by GET", method: "GET", query: "max_threads=3&query=" + esc("SELECT getSetting('max_threads')"), status: 200, want: "3\n"},
		{name: "buffered", method: "POST", query: "wait_end_of_query=1", body: "SELECT throwIf(number = 3000000) FROM numbers(4000000)", status: 500, code: 395},
		{name: "large", method: "POST", body: "SELECT sum(a) FROM (SELECT arrayJoin([" + strings.Repeat("1,", 100_000) + "1]) AS a)", status: 200, want: "100001\n"},
		{name: "encoding unknown", method: "POST", header: []string{"Content-Encoding", "rot13"}, body: "SELECT 1", status: 501, code: 48},
		{name: "not gzip", method: "POST", header: []string{"Content-Encoding", "gzip"}, body: "SELECT 1", status: 500, code: 271},
		{name: "not blocks", method: "POST", query: "decompress=1&query=" + esc("INSERT INTO t FORMAT CSV"), body: "1,x\n" + strings.Repeat("x", 50), status: 500, code: 33},
		{name: "wrong method", method: "DELETE", body: "SELECT 1", status: 405, want: "Method DELETE is not supported; use GET or POST\n"},
	} {
		t.Run(k.name, func(t *testing.T) {
			got := client{t, c.url}.ask(k.method, k.query, strings.NewReader(k.body), k.header...)
			checkReply(t, got, k.status, k.code, k.want)
		})
	}
	if got := c.post("SELECT count() FROM t"); got != "0\n" {
		t.Errorf("rows after all this: %s", got)
	}
}

// checkReply wants the body when code is 0, and that exception otherwise.
func checkReply(t *testing.T, got reply, status, code int, body string) {
	t.Helper()
	if got.status != status {
		t.Errorf("status %d, want %d: %.300s", got.status, status, got.body)
	}
	if code == 0 {
		if got.body != body {
			t.Errorf("body %.300q, want %q", got.body, body)
		}
		return
	}
	if h := got.header.Get("X-ClickHouse-Exception-Code"); h != fmt.Sprint(code) {
		t.Errorf("exception code header %q, want %d", h, code)
	}
	if !strings.HasPrefix(got.body, fmt.Sprintf("Code: %d. DB::Exception: ", code)) || !strings.Contains(got.body, "(version ") {
		t.Errorf("not in ClickHouse's form: %.300s", got.body)
	}
}

func TestHeadersAndHealth(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	for _, path := range []string{"/", "/ping"} {
		res, err := http.Get(c.url + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(text) != "Ok.\n" {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	res, err := http.Get(c.url + "/play")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("unknown path: %d", res.StatusCode)
	}
	got := c.ask("POST", "query_id=mine", strings.NewReader("SELECT 1 FORMAT JSON"))
	for name, want := range map[string]string{
		"X-ClickHouse-Query-Id": "mine", "X-ClickHouse-Format": "JSON", "X-ClickHouse-Timezone": "UTC",
		"Content-Type": "application/json; charset=UTF-8",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
		}
	}
	if got.header.Get("X-ClickHouse-Server-Display-Name") == "" {
		t.Error("no X-ClickHouse-Server-Display-Name")
	}
	c.post("CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a")
	got = c.ask("POST", "query="+esc("INSERT INTO t FORMAT CSV"), strings.NewReader("1\n2\n3\n"))
	if sum := got.header.Get("X-ClickHouse-Summary"); !strings.Contains(sum, `"written_rows":"3"`) {
		t.Errorf("summary of an insert: %s", sum)
	}
}

func TestInserts(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	c.post("CREATE TABLE t (a Int32, s String DEFAULT 'none') ENGINE = MergeTree ORDER BY a")
	native := c.post("SELECT toInt32(number) AS a, concat('\\n;', toString(number)) AS s FROM numbers(3) FORMAT Native")
	insert := func(format string) string { return "query=" + esc("INSERT INTO t FORMAT "+format) }
	for _, k := range []struct {
		name, query, body, want string
		header                  []string
	}{
		{name: "Native with query in the URL", query: insert("Native"), body: native, want: "0\t\\n;0\n1\t\\n;1\n2\t\\n;2\n"},
		{name: "Native behind the query", body: "INSERT INTO t FORMAT Native\n" + native, want: "0\t\\n;0\n1\t\\n;1\n2\t\\n;2\n"},
		{name: "two Native blocks", query: insert("Native"), body: native + native, want: "0\t\\n;0\n0\t\\n;0\n1\t\\n;1\n1\t\\n;1\n2\t\\n;2\n2\t\\n;2\n"},
		{name: "CSV with a default", query: "query=" + esc("INSERT INTO t (a) FORMAT CSV"), body: "5\n6\n", want: "5\tnone\n6\tnone\n"},
		{name: "JSONEachRow with a default", query: insert("JSONEachRow"), body: "{\"a\":5}\n{\"a\":6,\"s\":\";\"}", want: "5\tnone\n6\t;\n"},
		{name: "TSV", query: insert("TabSeparated"), body: "5\tx\n", want: "5\tx\n"},
		{name: "VALUES in the query", body: "INSERT INTO t VALUES (1, 'a;b'),\n\n(2, DEFAULT), (3, concat('x', 'y'));", want: "1\ta;b\n2\tnone\n3\txy\n"},
		{name: "VALUES in the body", query: "query=" + esc("INSERT INTO t VALUES"), body: "(1, 'a'), (2, 'b')", want: "1\ta\n2\tb\n"},
		{name: "settings clause", query: "query=" + esc("INSERT INTO t SETTINGS max_threads = 1 FORMAT CSV"), body: "1,x\n", want: "1\tx\n"},
		{name: "gzip", query: insert("CSV"), body: zipped("1,x\n"), header: []string{"Content-Encoding", "gzip"}, want: "1\tx\n"},
		{name: "compressed blocks", query: insert("Native") + "&decompress=1", body: blocks(native, compress.LZ4), want: "0\t\\n;0\n1\t\\n;1\n2\t\\n;2\n"},
		{name: "ZSTD blocks", query: insert("Native") + "&decompress=1", body: blocks(native, compress.ZSTD), want: "0\t\\n;0\n1\t\\n;1\n2\t\\n;2\n"},
		{name: "select", body: "INSERT INTO t SELECT 9, 'nine'", want: "9\tnine\n"},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := client{t, c.url}
			c.post("TRUNCATE TABLE t")
			if got := c.ask("POST", k.query, strings.NewReader(k.body), k.header...); got.status != 200 || got.body != "" {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if got := c.post("SELECT * FROM t ORDER BY a"); got != k.want {
				t.Errorf("rows %q, want %q", got, k.want)
			}
		})
	}
	for _, k := range []struct {
		name, query, body string
		code              string
	}{
		{"no data", insert("CSV"), "", "108"},
		{"half a Native block", insert("Native"), native[:len(native)-3], "33"},
		{"half a compressed block", insert("Native") + "&decompress=1", blocks(native, compress.LZ4)[:40], "33"},
		{"a compressed block's header only", insert("CSV") + "&decompress=1", blocks("1,x\n", compress.None) + blocks("2,y\n", compress.None)[:25], "33"},
		{"a flipped bit", insert("Native") + "&decompress=1", flipped(blocks(native, compress.LZ4)), "271"},
		{"wrong type", insert("CSV"), "x,y\n", "27"},
		{"unknown column", "query=" + esc("INSERT INTO t (nosuch) FORMAT CSV"), "1\n", "16"},
		{"two statements", "", "INSERT INTO t VALUES (1,'x'); SELECT 1", "62"},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := client{t, c.url}
			c.post("TRUNCATE TABLE t")
			got := c.ask("POST", k.query, strings.NewReader(k.body))
			if got.status == 200 || got.header.Get("X-ClickHouse-Exception-Code") != k.code {
				t.Errorf("%d, code %s, want %s: %.200s", got.status, got.header.Get("X-ClickHouse-Exception-Code"), k.code, got.body)
			}
			if got := c.post("SELECT count() FROM t"); got != "0\n" {
				t.Errorf("%s rows were inserted", strings.TrimSpace(got))
			}
		})
	}
}

func TestCompressedAnswers(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	const sql = "SELECT number FROM numbers(200000) FORMAT TSV"
	want := c.post(sql)
	got := c.ask("POST", "enable_http_compression=1", strings.NewReader(sql), "Accept-Encoding", "gzip")
	gz, err := gzip.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatalf("%v: %v", got.header, err)
	}
	if text, err := io.ReadAll(gz); err != nil || string(text) != want {
		t.Errorf("gzip: %d bytes, want %d, %v", len(text), len(want), err)
	}
	got = c.ask("POST", "enable_http_compression=0", strings.NewReader(sql), "Accept-Encoding", "gzip")
	if got.body != want || got.header.Get("Content-Encoding") != "" {
		t.Error("compressed although switched off")
	}
	for _, method := range []string{"LZ4", "ZSTD", "NONE", "LZ4HC"} {
		got = c.ask("POST", "compress=1&network_compression_method="+method, strings.NewReader(sql))
		text, err := io.ReadAll(compress.NewReader(strings.NewReader(got.body)))
		if string(text) != want {
			t.Errorf("compress=1 %s: %d bytes, want %d, %v", method, len(text), len(want), err)
		}
	}
	got = c.ask("POST", "compress=1", strings.NewReader("SELECT * FROM nosuch"))
	if got.status != 404 || !strings.HasPrefix(got.body, "Code: 60.") {
		t.Errorf("an error is plain text: %d %q", got.status, got.body)
	}
}

// TestSettingsNeverLeak changes every kind of state a connection has and looks
// for it in other queries, one at a time and many at once.
func TestSettingsNeverLeak(t *testing.T) {
	engine := chdbtest.Open(t, chdb.Options{Connections: 2})
	server := httptest.NewServer(engine.Handler())
	defer server.Close()
	c := client{t, server.URL}
	const look = "SELECT getSetting('max_threads') = 77, getSetting('final'), getSetting('max_block_size') = 78, currentDatabase()"
	clean := func(when string) {
		t.Helper()
		for range 4 {
			if got := c.post(look); got != "0\tfalse\t0\tdefault\n" {
				t.Errorf("after %s: %s", when, got)
			}
		}
	}
	clean("nothing")
	for _, query := range []string{"max_threads=77", "final=1", "max_block_size=78&max_threads=77", "database=system", "readonly=1", "readonly=2&max_threads=77", "max_threads=77&no_such=1", "compatibility=20.1"} {
		c.ask("POST", query, strings.NewReader("SELECT 1"))
		clean(query)
	}
	for _, sql := range []string{
		"SET max_threads = 77", "SET final = 1, readonly = 1", "USE system", "SELECT 1 SETTINGS max_threads = 77",
		"SELECT * FROM nosuch SETTINGS max_threads = 77", "CREATE TEMPORARY TABLE tmp (a Int8)",
	} {
		c.ask("POST", "", strings.NewReader(sql))
		clean(sql)
	}
	if got := c.ask("POST", "", strings.NewReader("SELECT * FROM tmp")); got.status != 404 {
		t.Errorf("a temporary table outlives its request: %d %s", got.status, got.body)
	}
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 20 {
				n := 10 + (worker+i)%5
				got := c.ask("POST", fmt.Sprintf("max_threads=%d", n), strings.NewReader("SELECT getSetting('max_threads')"))
				if got.body != fmt.Sprintf("%d\n", n) {
					t.Errorf("max_threads=%d: %s", n, got.body)
				}
			}
		})
	}
	wg.Wait()
	clean("all of it at once")
}

func TestStreamingIsExact(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	want := c.ask("POST", "wait_end_of_query=1", strings.NewReader("SELECT number, toString(number) FROM numbers(500000)"))
	if got := c.post("SELECT number, toString(number) FROM numbers(500000)"); got != want.body {
		t.Errorf("streamed %d bytes, whole %d", len(got), len(want.body))
	}
	// JSON is not streamed: it must be one document.
	if got := c.post("SELECT number FROM numbers(200000) FORMAT JSON"); strings.Count(got, `"meta"`) != 1 {
		t.Errorf("%d documents", strings.Count(got, `"meta"`))
	}
}

// TestErrorInTheMiddle: rows were sent with status 200 when the query failed.
// The frame tells it to those who look, the broken connection to everyone.
func TestErrorInTheMiddle(t *testing.T) {
	c := client{t, chdbtest.Start(t)}
	res, err := http.Post(c.url, "", strings.NewReader("SELECT throwIf(number = 3000000) FROM numbers(4000000)"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	tag := res.Header.Get("X-ClickHouse-Exception-Tag")
	if res.StatusCode != 200 || err == nil || len(tag) != 16 {
		t.Errorf("status %d, read error %v, tag %q", res.StatusCode, err, tag)
	}
	if !bytes.Contains(text, []byte("\r\n__exception__\r\n"+tag+"\r\nCode: 395. DB::Exception: ")) {
		t.Errorf("no exception frame at the end: %q", text[max(0, len(text)-200):])
	}
	if got := c.post("SELECT 1"); got != "1\n" {
		t.Errorf("afterwards: %q", got)
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s)) // into memory
	_ = w.Close()
	return b.String()
}

func blocks(s string, m compress.Method) string {
	w := compress.NewWriter(compress.LevelZero, m)
	if err := w.Compress([]byte(s)); err != nil {
		panic(err)
	}
	return string(w.Data)
}

func flipped(s string) string {
	b := []byte(s)
	b[len(b)-1] ^= 1
	return string(b)
}
