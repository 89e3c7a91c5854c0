package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Check says why something is not well, or nil.
type Check func(ctx context.Context) error

// Ops is the operators' side of a process: metrics, health, readiness and profiles, on a port of its own.
type Ops struct {
	Registry *prometheus.Registry

	mu      sync.Mutex
	ready   map[string]Check
	healthy map[string]Check
	stage   string // what the process is busy with before it is ready, or while it stops; empty when it serves
}

// NewOps returns an Ops whose registry holds the metrics of the Go runtime and of the process.
func NewOps() *Ops {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Ops{Registry: reg, ready: map[string]Check{}, healthy: map[string]Check{}, stage: "starting"}
}

// Ready adds a condition of readiness: whether the process should get work now.
func (o *Ops) Ready(name string, c Check) { o.add(o.ready, name, c) }

// Healthy adds a condition of health: whether the process makes progress, or should be replaced.
func (o *Ops) Healthy(name string, c Check) { o.add(o.healthy, name, c) }

func (o *Ops) add(to map[string]Check, name string, c Check) {
	o.mu.Lock()
	defer o.mu.Unlock()
	to[name] = c
}

// Stage says what the process is busy with; an empty stage means that it serves.
func (o *Ops) Stage(stage string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stage = stage
}

// Serve listens and serves until the lifecycle stops. It is the first to start and the last to stop, so that the
// whole life of the process can be watched.
func (o *Ops) Serve(l *Lifecycle, listen string, log *slog.Logger) (addr string, err error) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{Registry: o.Registry}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { o.answer(w, r, o.healthy, false) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { o.answer(w, r, o.ready, true) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	return serve(l, "ops server", "ops_listen", listen, srv)
}

const checkTimeout = 3 * time.Second

// answer runs the checks side by side and names those that fail.
func (o *Ops) answer(w http.ResponseWriter, r *http.Request, checks map[string]Check, staged bool) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	o.mu.Lock()
	stage := o.stage
	results := make(chan string, len(checks))
	for name, check := range checks {
		go func() {
			if err := check(ctx); err != nil {
				results <- fmt.Sprintf("%s: %v\n", name, err)
				return
			}
			results <- ""
		}()
	}
	n := len(checks)
	o.mu.Unlock()
	var bad strings.Builder
	if staged && stage != "" {
		fmt.Fprintf(&bad, "process: %s\n", stage)
	}
	for range n {
		bad.WriteString(<-results)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if bad.Len() > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(bad.String())) // the client has gone; nobody to tell
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// serve listens and serves HTTP in the background. Its stop takes no new requests and finishes those in flight.
func serve(l *Lifecycle, name, key, listen string, srv *http.Server) (addr string, err error) {
	return serveLimited(l, name, key, listen, 0, srv)
}

// serveLimited is serve with a bound on the connections at once; 0 means none. More of them wait to be accepted.
func serveLimited(l *Lifecycle, name, key, listen string, connections int, srv *http.Server) (addr string, err error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("%s cannot listen: %w; set %s to a free address", name, err, key)
	}
	if connections > 0 {
		ln = netutil.LimitListener(ln, connections)
	}
	begin := srv.Serve
	if srv.TLSConfig != nil {
		// One request at a time on a connection, as without TLS: the bound on connections bounds requests.
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		begin = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	go func() {
		if err := begin(ln); !errors.Is(err, http.ErrServerClosed) {
			l.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	l.OnStop(name, func(ctx context.Context) error {
		if err := srv.Shutdown(ctx); err != nil {
			return errors.Join(err, srv.Close())
		}
		return nil
	})
	return ln.Addr().String(), nil
}
