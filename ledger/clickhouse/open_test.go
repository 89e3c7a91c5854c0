package clickhouse

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
)

func TestURLs(t *testing.T) {
	for url, want := range map[string]struct{ addr, database, user string }{
		"http://127.0.0.1:8123":                    {"127.0.0.1:8123", "reckoner", ""},
		"http://ch":                                {"ch:8123", "reckoner", ""},
		"https://ch":                               {"ch:8443", "reckoner", ""},
		"https://reader:s3cret@ch:443/billing":     {"ch:443", "billing", "reader"},
		"clickhouse://ch":                          {"ch:9000", "reckoner", ""},
		"clickhouse://ch/x?secure=true":            {"ch:9440", "x", ""},
		"clickhouse://u:p%40ss@a:1,b:2/x":          {"a:1", "x", "u"},
		"http://ch:8123/reckoner?compress=zstd":    {"ch:8123", "reckoner", ""},
		"http://ch:8123/?max_memory_usage=1000000": {"ch:8123", "reckoner", ""},
	} {
		opt, database, err := parseURL(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if opt.Addr[0] != want.addr || database != want.database || opt.Auth.Username != want.user {
			t.Errorf("%s: %s, %s, %s, want %+v", url, opt.Addr[0], database, opt.Auth.Username, want)
		}
		if tls := opt.TLS != nil; tls != (strings.HasPrefix(url, "https") || strings.Contains(url, "secure")) {
			t.Errorf("%s: TLS %t", url, tls)
		}
	}
}

func TestBadURLsAreRefusedWithoutTheirSecrets(t *testing.T) {
	for _, url := range []string{
		"", "127.0.0.1:8123", "ftp://u:hunter2@ch", "http://", "http://u:hunter2@", "http://u:hunter2/x@ch:8123", "http://u:hunt%zzer2@ch",
		"clickhouse://u:hunter2@ch:1/da'ta", "http://u:hunter2@ch:port", "http://ch?dial_timeout=hunter2s&password=hunter2",
	} {
		l, err := Open(Options{URL: url})
		if err == nil {
			_ = l.Close()
			t.Errorf("%q was accepted", url)
			continue
		}
		if text := err.Error(); !strings.Contains(text, "clickhouse.url") {
			t.Errorf("%q: %q does not name the setting", url, text)
		} else if strings.Contains(strings.ReplaceAll(text, "hunter2s", ""), "hunt") {
			t.Errorf("%q: %q tells the password", url, text)
		}
	}
}

// The same ledger over a socket, with each way to compress.
func TestOverASocket(t *testing.T) {
	server := httptest.NewServer(chdbtest.Open(t, chdb.Options{Dir: t.TempDir()}).Handler())
	defer server.Close()
	for _, compress := range []string{"lz4", "zstd", "gzip", "none"} {
		t.Run(compress, func(t *testing.T) {
			l, err := Open(Options{URL: server.URL + "/" + compress + "?compress=" + compress})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if err := l.Migrate(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if err := l.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			if want := len(writeAccount(t, l)); len(collect(t, l.Entries(t.Context(), 1, 0, 100, nil))) != want {
				t.Errorf("want %d entries", want)
			}
		})
	}
}

func TestPasswordsStayOutOfErrors(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-ClickHouse-Exception-Code", "516")
			http.Error(w, "Code: 516. DB::Exception: u: Authentication failed. (AUTHENTICATION_FAILED)", http.StatusForbidden)
		},
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			url := strings.Replace(server.URL, "http://", "http://u:hunter2@", 1)
			l, err := Open(Options{URL: url, DialTimeout: time.Second, ReadTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if err := l.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v: want an error without the password", err)
			} else if name == "refused" && !strings.Contains(err.Error(), "clickhouse.url") {
				t.Errorf("%v: does not say what to look at", err)
			}
		})
	}
}
