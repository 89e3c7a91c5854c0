package e2e_test

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestHostileRequestsWriteNothing sends what no producer should, each followed by a good request that must be served.
func TestHostileRequestsWriteNothing(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, setting("ingest.read_timeout", "1s"), setting("ingest.read_header_timeout", "1s"))
	i.dev(t)
	a := i.producer()
	account := uuid.NewString()
	path := createPath(account)
	good := 0
	serves := func(t *testing.T) {
		t.Helper()
		good++
		wantOK(t, a.post(t, path, usages(m{"id": uuid.NewString(), "amount": 1})))
	}
	thousand, _ := manyUsages(1000, 1)
	thousand[777]["amount"] = 0
	tooMany, _ := manyUsages(10_001, 1)
	random := make([]byte, 4096)
	_, _ = rand.Read(random) // never fails
	nine := strings.Repeat(" ", 9<<20)

	for _, c := range []struct {
		name, method, path string
		body               any
		header             []string
		status, code       int
		says               string
	}{
		{"one bad usage among 1,000", "POST", path, usages(thousand...), nil, 400, 3, "Usages[777]"},
		{"random bytes", "POST", path, string(random), nil, 400, 3, "invalid JSON"},
		{"a body of null", "POST", path, "null", nil, 400, 3, "want an object"},
		{"a body cut short", "POST", path, `{"usages":[{"id":`, nil, 400, 3, "invalid JSON"},
		{"9 MiB", "POST", path, nine, nil, 413, 8, "larger than 8388608 bytes"},
		{"10,001 usages", "POST", path, usages(tooMany...), nil, 400, 3, "no more than 10000"},
		{"deep nesting", "POST", path, `{"usages":[{"id":"` + uuid.NewString() + `","amount":1,"metadata":{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}}]}`, nil, 400, 3, ""},
		{"a wrong method", "GET", path, "", nil, 501, 12, "Method Not Allowed"},
		{"another wrong method", "DELETE", path, "", nil, 501, 12, "Method Not Allowed"},
		{"an unknown path", "POST", "/v1beta1/nothing", "{}", nil, 404, 5, "Not Found"},
		{"the root", "GET", "/", "", nil, 404, 5, "Not Found"},
		{"a path that climbs", "POST", "/v1beta1/../v1beta1/organizations/billing/usages", "{}", nil, 404, 5, "Not Found"},
		{"no credential", "POST", path, "{}", []string{"Authorization", "Basic "}, 401, 16, "not authenticated"},
		{"a wrong secret", "POST", path, "{}", []string{"Authorization", "Bearer demo:wrong"}, 401, 16, "not authenticated"},
		{"an unknown organization", "POST", strings.Replace(path, "/demo/", "/nobody/", 1), usages(m{"amount": 1}), nil, 400, 3, "no org found with id nobody"},
		{"not an account", "POST", createPath("five"), usages(m{"amount": 1}), nil, 400, 3, "BillingId"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := a.do(t, c.method, c.path, c.body, c.header...)
			wantError(t, got, c.status, c.code, c.says)
			if got.header.Get("X-Request-Id") == "" {
				t.Error("the answer has no request id")
			}
			if c.status == http.StatusUnauthorized && got.header.Get("Www-Authenticate") == "" {
				t.Error("a 401 without WWW-Authenticate")
			}
			serves(t)
		})
	}
	t.Run("9 MiB of unknown length", func(t *testing.T) {
		req, err := http.NewRequest(http.MethodPost, a.base+path, io.MultiReader(strings.NewReader(nine)))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = -1
		req.SetBasicAuth("demo", "demo-secret")
		res, err := a.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, answer{res.StatusCode, res.Header, string(body)}, 413, 8, "larger than")
		serves(t)
	})
	t.Run("a slow body", func(t *testing.T) {
		got, took := trickle(t, i.api, "POST "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: "+basic()+"\r\nContent-Length: 100000\r\n\r\n")
		wantError(t, got, 408, 4, "in time")
		judge(t, "POST", path, got)
		if took > 10*time.Second {
			t.Errorf("it was cut after %s only", took)
		}
		serves(t)
	})
	t.Run("slow headers", func(t *testing.T) {
		got, took := trickle(t, i.api, "POST "+path+" HTTP/1.1\r\nX: ")
		if got.status != 0 && got.status/100 != 4 || took > 10*time.Second {
			t.Errorf("got %s after %s, want the connection cut", got, took)
		}
		serves(t)
	})
	t.Run("no HTTP at all", func(t *testing.T) {
		if got, _ := trickle(t, i.api, "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"); got.status != 0 && got.status != 400 {
			t.Errorf("got %s", got)
		}
		serves(t)
	})

	n := i.drain(t)
	if n != int64(good) {
		t.Errorf("the log holds %d records, want the %d of the good requests", n, good)
	}
	i.want(t, "SELECT account_id, quantity, events FROM account_totals", fmt.Sprintf("%s %d %d", account, good, good))
	if got := metric(t, i.ops, "reckoner_ingest_panics_total"); got != "0" {
		t.Errorf("%s requests ran into a defect", got)
	}
}

func basic() string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("demo:demo-secret")) }

// trickle opens a connection, begins a request and goes on with a byte now and then, until an answer comes or the
// connection ends. The answer's status is 0 when there was none.
func trickle(t testing.TB, addr, begin string) (answer, time.Duration) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	started := time.Now()
	if _, err := io.WriteString(conn, begin); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if _, err := conn.Write([]byte(" ")); err != nil {
					return
				}
			case <-done:
				return
			}
		}
	}()
	if err := conn.SetReadDeadline(started.Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, time.Since(started)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("read the answer: %v", err)
	}
	return answer{res.StatusCode, res.Header, string(body)}, time.Since(started)
}
