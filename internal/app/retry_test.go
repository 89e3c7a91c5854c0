package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A wrong password is told at once by every command, with the setting that holds it.
func TestAWrongPasswordIsToldAtOnce(t *testing.T) {
	s := newSite(t)
	if err := s.do(Migrate, "3"); err != nil {
		t.Fatal(err)
	}
	s.clickhouse = strings.Replace(s.clickhouse, "http://", "http://reckoner:wrong@", 1)
	s.endsAtOnce("see the user and password in clickhouse.url")
}

func TestAnotherBuildsSchemaIsToldAtOnce(t *testing.T) {
	s := newSite(t)
	if err := s.do(Migrate, "3"); err != nil {
		t.Fatal(err)
	}
	s.exec("INSERT INTO reckoner.schema_migrations (version, name, checksum) VALUES (9999, '9999_future', '00')")
	s.endsAtOnce("run a newer build of reckoner")
}

// endsAtOnce runs the commands that wait at their start, and wants each to end with this error.
func (s *site) endsAtOnce(says string) {
	s.t.Helper()
	catalogued := func(start func(context.Context, *Process) error) func(context.Context, *Process) error {
		return func(ctx context.Context, p *Process) error {
			p.Settings.Catalog.File = "../../configs/catalog.yaml"
			return start(ctx, p)
		}
	}
	for name, start := range map[string]func(context.Context, *Process) error{
		"migrate": Migrate, "ingest": catalogued(Ingest), "aggregate": Aggregate,
	} {
		ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
		p := s.process("3")
		if err := p.End(start(ctx, p)); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), says) {
			s.t.Errorf("%s: %v: want %q at once", name, err, says)
		}
		cancel()
	}
}

// What may pass is waited for: ClickHouse breaks connections and says that it is starting before it answers.
func TestMigrateWaitsForAnEngineThatStarts(t *testing.T) {
	s := newSite(t)
	target, err := url.Parse(s.clickhouse)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case n <= 4:
			panic(http.ErrAbortHandler)
		case n == 5:
			http.Error(w, "starting", http.StatusServiceUnavailable)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	defer front.Close()
	s.clickhouse = front.URL
	if err := s.do(Migrate, "3"); err != nil || asked.Load() < 6 {
		t.Errorf("%v, after %d requests", err, asked.Load())
	}
}

// Nobody answers: migrate says for how long it tried, and what went wrong.
func TestMigrateGivesUp(t *testing.T) {
	s := newSite(t)
	if err := s.broker.Close(); err != nil {
		t.Fatal(err)
	}
	err := s.do(func(ctx context.Context, p *Process) error { return MigrateWithin(ctx, p, 400*time.Millisecond) }, "3")
	if err == nil {
		t.Fatal("done")
	}
	for _, want := range []string{"wait for Kafka (kafka.brokers)", "gave up after 400ms (--wait)", "connection refused"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %q", err, want)
		}
	}
}

func TestRetryUntil(t *testing.T) {
	passing, final := errors.New("passing"), errors.New("final")
	for name, c := range map[string]struct {
		errs  []error // of each attempt, the last one for ever
		want  error
		tries int // 0: until the time is over
		told  int
	}{
		"at once":     {errs: []error{nil}, tries: 1},
		"after two":   {errs: []error{passing, passing, nil}, tries: 3, told: 2},
		"final":       {errs: []error{passing, final}, want: final, tries: 2, told: 1},
		"never":       {errs: []error{passing}, want: passing},
		"told why":    {errs: []error{passing}, want: context.DeadlineExceeded},
		"final first": {errs: []error{final}, want: final, tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				tries, told := 0, 0
				err := retryUntil(ctx, func(context.Context) error {
					tries++
					return c.errs[min(tries, len(c.errs))-1]
				}, func(err error) bool { return errors.Is(err, final) }, func(error) { told++ })
				if !errors.Is(err, c.want) || c.tries > 0 && (tries != c.tries || told != c.told) {
					t.Errorf("%v after %d tries, %d of them told", err, tries, told)
				}
				if c.tries == 0 && (tries < 12 || tries != told) {
					t.Errorf("%d tries in a minute, %d of them told", tries, told)
				}
			})
		})
	}
}
