package chaos_test

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands between the aggregators and ClickHouse, and makes it fail.
type proxy struct {
	addr    string
	through *httputil.ReverseProxy

	inserts atomic.Int64 // so far
	failed  atomic.Int64 // of them, by our doing
	stored  atomic.Int64 // of these, after ClickHouse had stored the rows
	every   atomic.Int64 // the n-th insert fails; 0: none
	delay   atomic.Int64 // of every insert, nanoseconds
	hung    atomic.Bool  // nothing is answered any more

	mu     sync.Mutex
	server *http.Server // nil while it is down
}

func newProxy(t *testing.T, clickhouse string) *proxy {
	t.Helper()
	p := &proxy{addr: freeAddress(t), through: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: clickhouse})}
	p.up(t)
	p.through.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(p.down)
	return p
}

// up listens.
func (p *proxy) up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.addr)
	must(t, err)
	s := &http.Server{Handler: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = s
	go func() { _ = s.Serve(l) }() // until down
}

// down refuses every connection, and cuts those that there are.
func (p *proxy) down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		_ = p.server.Close()
		p.server = nil
	}
}

// heal ends all faults but down.
func (p *proxy) heal() {
	p.every.Store(0)
	p.delay.Store(0)
	p.hung.Store(false)
}

// ServeHTTP lets a request through, or not.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.hung.Load() {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	if !strings.HasPrefix(r.URL.Query().Get("query"), "INSERT") {
		p.through.ServeHTTP(w, r)
		return
	}
	n := p.inserts.Add(1)
	if d := p.delay.Load(); d > 0 {
		select {
		case <-time.After(time.Duration(d)):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	every := p.every.Load()
	if every == 0 || n%every != 0 {
		p.through.ServeHTTP(w, r)
		return
	}
	switch p.failed.Add(1) % 4 {
	case 0: // as a server that has too many parts
		w.Header().Set("X-ClickHouse-Exception-Code", "252")
		http.Error(w, "Code: 252. DB::Exception: Too many parts. (TOO_MANY_PARTS)", http.StatusInternalServerError)
	case 1: // as a balancer without a server
		http.Error(w, "bad gateway", http.StatusBadGateway)
	case 2: // the rows are stored, and the connection is lost
		p.store(r)
		panic(http.ErrAbortHandler)
	default: // the rows are stored, and the answer says that it took too long
		p.store(r)
		w.Header().Set("X-ClickHouse-Exception-Code", "159")
		http.Error(w, "Code: 159. DB::Exception: Timeout exceeded. (TIMEOUT_EXCEEDED)", http.StatusInternalServerError)
	}
}

func (p *proxy) store(r *http.Request) {
	answer := httptest.NewRecorder()
	p.through.ServeHTTP(answer, r)
	if answer.Code == http.StatusOK {
		p.stored.Add(1)
	}
}
