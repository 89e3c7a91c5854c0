package runner_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/vercel"
	"reckoner/ledger/report/partner/vercel/receiver"
	"reckoner/ledger/report/runner"
)

// fate is what befalls one operation.
type fate int

const (
	well         fate = iota
	failsBefore       // it fails, and nothing was done
	failsAfter        // it is done, and its answer is lost
	killedBefore      // its process is killed before it is done
	killedAfter       // or after
	hangs             // it is done, and no answer ever comes
	busy              // a partner only: 500
	waits             // a partner only: 429 with Retry-After
	forbids           // a partner only: 403
	fates
)

var (
	errLost   = errors.New("connection reset")
	errKilled = errors.New("killed")
)

// world is a ledger, a partner and the reporters between them. Whatever a reporter does to one of the others waits until it is let
// go, one at a time: so all that can come between two steps does come between them, and in the same order every time.
type world struct {
	*memory
	catalog  *catalog.Catalog // under mu
	receiver *receiver.Receiver
	badToken map[string]bool // installations whose token the partner refuses
	free     bool            // nothing waits
	done     []string        // what was done where nothing waits

	mu      sync.Mutex
	waiting []*op
}

type op struct {
	agent *agent
	key   string
	let   chan fate
}

func newWorld(t testing.TB, text string) *world {
	w := &world{memory: newMemory(), catalog: parse(t, text), badToken: make(map[string]bool)}
	w.receiver = receiver.New(receiver.Options{Keep: 1 << 20, Token: func(id string) (string, bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.badToken[id] {
			return "another", true
		}
		return "token-" + id[len(id)-1:], true
	}})
	return w
}

// now returns the present catalog.
func (w *world) now() *catalog.Catalog {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.catalog
}

// next returns what waits, in an order that does not depend on the scheduler.
func (w *world) next() []*op {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.Clone(w.waiting)
	slices.SortStableFunc(all, func(a, b *op) int { return cmp.Compare(a.key, b.key) })
	return all
}

// agent is one process that reports. Once it is killed nothing that it does has any effect.
type agent struct {
	*world
	name   string
	runner *runner.Runner
	ahead  atomic.Int64 // of its clock, in nanoseconds
	dead   chan struct{}
	stop   context.CancelFunc
	ended  chan struct{} // of its last run; nil: it never ran
	err    error
}

func (w *world) agent(t testing.TB, name string, log *slog.Logger, tune func(*runner.Options)) *agent {
	a := &agent{world: w, name: name, dead: make(chan struct{})}
	o := runner.Options{
		Ledger: a, Catalog: w.now,
		Getenv:  func(name string) string { return " token-" + name[len(name)-1:] + "\n" },
		Targets: []partner.Target{vercel.New(vercel.Options{Transport: a})}, Batch: 2, Concurrency: 4, SlowConcurrency: 4,
		RequestTimeout: 10 * time.Second, DeliveryTimeout: 5 * time.Minute, RetryBackoffMin: time.Second, RetryBackoffMax: time.Minute,
		MaxLag: 5 * time.Minute, Reporter: name, Now: func() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) },
		Random: func(n time.Duration) time.Duration { return n / 2 }, Log: log, Registerer: prometheus.NewRegistry(),
	}
	if tune != nil {
		tune(&o)
	}
	var err error
	if a.runner, err = runner.New(o); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *agent) running() bool {
	if a.ended == nil {
		return false
	}
	select {
	case <-a.ended:
		return false
	default:
		return true
	}
}

func (a *agent) start(req runner.Request) {
	ctx, cancel := context.WithCancel(context.Background())
	a.stop, a.ended = cancel, make(chan struct{})
	go func() {
		defer close(a.ended)
		_, a.err = a.runner.Run(ctx, req, nil)
	}()
}

func (a *agent) isDead() bool {
	select {
	case <-a.dead:
		return true
	default:
		return false
	}
}

func (a *agent) kill() {
	if a.isDead() {
		return
	}
	close(a.dead)
	if a.stop != nil {
		a.stop()
	}
}

// gate waits until an operation is let go.
func (a *agent) gate(ctx context.Context, key string) (fate, error) {
	if a.isDead() {
		return killedBefore, errKilled
	}
	if a.free {
		a.world.mu.Lock()
		defer a.world.mu.Unlock()
		a.done = append(a.done, key)
		return well, ctx.Err()
	}
	o := &op{agent: a, key: a.name + " " + key, let: make(chan fate)}
	a.world.mu.Lock()
	a.world.waiting = append(a.world.waiting, o)
	a.world.mu.Unlock()
	defer func() {
		a.world.mu.Lock()
		defer a.world.mu.Unlock()
		a.world.waiting = slices.DeleteFunc(a.world.waiting, func(x *op) bool { return x == o })
	}()
	select {
	case f := <-o.let:
		if f == killedBefore {
			a.kill()
			return f, errKilled
		}
		if f == failsBefore {
			return f, errLost
		}
		return f, nil
	case <-a.dead:
		return killedBefore, errKilled
	case <-ctx.Done():
		return failsBefore, ctx.Err()
	}
}

// after ends an operation that was done.
func (a *agent) after(ctx context.Context, f fate) error {
	switch f {
	case killedAfter:
		a.kill()
		return errKilled
	case failsAfter:
		return errLost
	case hangs:
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.dead:
			return errKilled
		case <-time.After(time.Minute):
			return errLost
		}
	default:
		return nil
	}
}

// through does an operation of the ledger as it is let.
func through[T any](ctx context.Context, a *agent, key string, do func() (T, error)) (none T, err error) {
	f, err := a.gate(ctx, key)
	if err != nil {
		return none, err
	}
	got, err := do()
	if after := a.after(ctx, f); after != nil {
		return none, after
	}
	return got, err
}

func (a *agent) Figures(ctx context.Context, q []ledger.FiguresQuery) ([]ledger.Figures, error) {
	return through(ctx, a, "figures", func() ([]ledger.Figures, error) { return a.memory.Figures(ctx, q) })
}

func (a *agent) SubscriptionsUsed(ctx context.Context, accounts []string) (map[string]map[string]time.Time, error) {
	return through(ctx, a, "used", func() (map[string]map[string]time.Time, error) { return a.memory.SubscriptionsUsed(ctx, accounts) })
}

func (a *agent) FiguresAt(context.Context, []ledger.FiguresQuery) ([]ledger.Figures, error) {
	panic("a runner never reads figures of long ago")
}

func (a *agent) Behind(ctx context.Context, q ledger.FiguresQuery) iter.Seq2[ledger.Entry, error] {
	return a.memory.Behind(ctx, q)
}

func (a *agent) LastTimestamps(ctx context.Context, ids []string) (map[string]time.Time, error) {
	return through(ctx, a, "last", func() (map[string]time.Time, error) { return a.memory.LastTimestamps(ctx, ids) })
}

func (a *agent) Claim(ctx context.Context, c []ledger.ReportClaim) error {
	_, err := through(ctx, a, "claim", func() (bool, error) { return true, a.memory.Claim(ctx, c) })
	return err
}

func (a *agent) Claimed(ctx context.Context, ids []string, reporter string) (map[string]time.Time, error) {
	return through(ctx, a, "claimed", func() (map[string]time.Time, error) { return a.memory.Claimed(ctx, ids, reporter) })
}

func (a *agent) History(ctx context.Context, ids []string, since time.Time) ([]ledger.Report, error) {
	return through(ctx, a, "history", func() ([]ledger.Report, error) { return a.memory.History(ctx, ids, since) })
}

func (a *agent) WriteReports(ctx context.Context, rows []ledger.Report) error {
	_, err := through(ctx, a, "write", func() (bool, error) { return true, a.memory.WriteReports(ctx, rows) })
	return err
}

// RoundTrip is the way to the partner.
func (a *agent) RoundTrip(req *http.Request) (*http.Response, error) {
	f, err := a.gate(req.Context(), "post "+path.Base(path.Dir(req.URL.Path)))
	if err != nil {
		return nil, err
	}
	answer := httptest.NewRecorder()
	switch f {
	case busy:
		answer.WriteHeader(http.StatusInternalServerError)
	case waits:
		answer.Header().Set("Retry-After", "40")
		answer.WriteHeader(http.StatusTooManyRequests)
	case forbids:
		answer.WriteHeader(http.StatusForbidden)
	default:
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		to := httptest.NewRequestWithContext(req.Context(), req.Method, req.URL.Path[len("/api"):], io.NopCloser(newReader(body)))
		to.Header = req.Header
		a.receiver.ServeHTTP(answer, to)
		if err := a.after(req.Context(), f); err != nil {
			return nil, err
		}
	}
	return answer.Result(), nil
}
