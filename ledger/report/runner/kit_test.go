package runner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reckoner/ledger"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/vercel"
	"reckoner/ledger/report/runner"
)

// call is one report as it arrived.
type call struct {
	ctx            context.Context // the caller's
	id, token      string
	at             time.Time
	Timestamp, EOD time.Time
	body           []byte
}

// calls is a partner that answers as it is told, and keeps what came.
type calls struct {
	mu     sync.Mutex
	all    []call
	answer func(c call, nth int) (*http.Response, error) // nth of that installation, from 1; a nil response: 201
}

func (p *calls) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	c := call{ctx: req.Context(), id: path.Base(path.Dir(req.URL.Path)), token: strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), at: time.Now(), body: body}
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.all = append(p.all, c)
	nth := len(p.of(c.id))
	p.mu.Unlock()
	if p.answer != nil {
		if res, err := p.answer(c, nth); res != nil || err != nil {
			return res, err
		}
	}
	return status(http.StatusCreated, ""), nil
}

func (p *calls) of(id string) (some []call) {
	for _, c := range p.all {
		if c.id == id {
			some = append(some, c)
		}
	}
	return some
}

func status(code int, body string, header ...string) *http.Response {
	w := httptest.NewRecorder()
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
	return w.Result()
}

// hang answers when the caller has gone.
func hang(ctx context.Context) (*http.Response, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// bench is one reporter in a world where nothing waits.
type bench struct {
	*agent
	partner *calls
	log     bytes.Buffer
}

func newBench(t testing.TB, text string, tune func(*runner.Options)) *bench {
	b := &bench{partner: new(calls)}
	w := newWorld(t, text)
	w.free = true
	b.agent = w.agent(t, "me", slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})), func(o *runner.Options) {
		o.Targets = []partner.Target{vercel.New(vercel.Options{Transport: b.partner})}
		if tune != nil {
			tune(o)
		}
	})
	return b
}

// run runs once, and stops the test where the run itself fails.
func (b *bench) run(t testing.TB, req runner.Request) runner.Summary {
	t.Helper()
	s, err := b.runner.Run(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bubble runs a test in time of its own, which begins three days after the subscriptions of the document.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * 24 * time.Hour)
		f(t)
		time.Sleep(time.Hour) // timers of what was cut off
	})
}

// many is a document of n installations without subscriptions, icfg_000 and on.
func many(n int) string {
	var b strings.Builder
	b.WriteString(document[:strings.Index(document, "meters:")])
	b.WriteString("meters: [{name: calls, unit: calls, type: interval}]\ninstallations:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {id: icfg_%03d, target: vercel, account: %s, base_url: \"https://partner.test/api\", token_env: TOKEN_%03d}\n", i, accountC, i)
	}
	return b.String()
}

func statuses(rows []ledger.Report) string {
	var all []string
	for _, r := range rows {
		all = append(all, r.Status.String())
	}
	return strings.Join(all, " ")
}
