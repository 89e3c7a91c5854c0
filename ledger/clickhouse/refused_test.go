package clickhouse

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What stays until a person changes something is told from what may pass, and names what to change.
func TestRefusedTellsWhatWaitingDoesNotMend(t *testing.T) {
	answering := func(status, code int, text string) func(*testing.T) string {
		return func(t *testing.T) string {
			return serve(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-ClickHouse-Exception-Code", fmt.Sprint(code))
				http.Error(w, fmt.Sprintf("Code: %d. DB::Exception: %s", code, text), status)
			})
		}
	}
	for name, c := range map[string]struct {
		url     func(*testing.T) string
		refused bool
		says    string
	}{
		"password":        {answering(401, 516, "u: Authentication failed. (AUTHENTICATION_FAILED)"), true, "user and password in clickhouse.url"},
		"no such user":    {answering(403, 192, "There is no user `u`. (UNKNOWN_USER)"), true, "user and password in clickhouse.url"},
		"address":         {answering(403, 195, "not allowed (IP_ADDRESS_NOT_ALLOWED)"), true, "user and password in clickhouse.url"},
		"right":           {answering(403, 497, "u: Not enough privileges. (ACCESS_DENIED)"), true, "lacks a right"},
		"read-only":       {answering(500, 164, "Cannot execute query in readonly mode. (READONLY)"), true, "lacks a right"},
		"cluster":         {answering(500, 701, "Requested cluster 'x' not found. (CLUSTER_DOESNT_EXIST)"), true, "clickhouse.cluster"},
		"database":        {answering(404, 81, "Database reckoner does not exist. (UNKNOWN_DATABASE)"), false, "reckoner migrate"},
		"overloaded":      {answering(500, 202, "Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)"), false, "simultaneous"},
		"starting":        {answering(503, 0, "starting"), false, "503"},
		"nobody":          {closedPort, false, "refused"},
		"not trusted":     {func(t *testing.T) string { return serve(t, httptest.NewTLSServer, http.NotFound) }, true, "certificate is not trusted"},
		"TLS is not here": {func(t *testing.T) string { return asTLS(serve(t, httptest.NewServer, http.NotFound)) }, true, "scheme and port"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Open(Options{URL: c.url(t), DialTimeout: time.Second, ReadTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for call, err := range map[string]error{"CheckSchema": l.CheckSchema(t.Context()), "Ping": l.Ping(t.Context())} {
				if err == nil || Refused(err) != c.refused || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: refused %t, want %t, and %q in: %v", call, Refused(err), c.refused, c.says, err)
				}
			}
		})
	}
}

func serve(t *testing.T, start func(http.Handler) *httptest.Server, handler http.HandlerFunc) string {
	server := start(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that are refused
	t.Cleanup(server.Close)
	return server.URL
}

func asTLS(url string) string { return strings.Replace(url, "http:", "https:", 1) }

// closedPort returns the address of a port where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestASchemaOfAnotherBuildIsRefused(t *testing.T) {
	t.Run("none yet", func(t *testing.T) {
		if err := openDatabase(t).CheckSchema(t.Context()); err == nil || Refused(err) {
			t.Errorf("%v is refused", err)
		}
	})
	for name, record := range map[string]migration{
		"newer":   {version: 9999, name: "9999_future", checksum: "00"},
		"changed": {version: 1, name: "0001_ledger", checksum: "00"},
	} {
		t.Run(name, func(t *testing.T) {
			l := openLedger(t)
			record.text = "SELECT 1"
			if err := l.apply(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			if err := l.CheckSchema(t.Context()); !Refused(err) {
				t.Errorf("%v is not refused", err)
			}
		})
	}
}
