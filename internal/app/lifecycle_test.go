package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

func TestStopsEndInTheOppositeOrderAndGoOnAfterAFailure(t *testing.T) {
	l := NewLifecycle(quiet)
	var ended []string
	bad := errors.New("bad")
	for _, name := range []string{"first", "second", "third"} {
		l.OnStop(name, func(context.Context) error {
			ended = append(ended, name)
			if name == "second" {
				return bad
			}
			return nil
		})
	}
	err := l.Stop(time.Second)
	if !slices.Equal(ended, []string{"third", "second", "first"}) {
		t.Errorf("ended %v", ended)
	}
	if !errors.Is(err, bad) || !strings.Contains(err.Error(), "stop second") {
		t.Errorf("error %v does not name what failed", err)
	}
}

func TestGoIsWaitedForAndStopped(t *testing.T) {
	l := NewLifecycle(quiet)
	stopped := false
	l.Go("worker", func(ctx context.Context) error {
		<-ctx.Done()
		stopped = true
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Stop(time.Second); err != nil || !stopped {
		t.Errorf("stopped %v, error %v", stopped, err)
	}
}

func TestSomethingThatMustRunEndsTheWait(t *testing.T) {
	bad := errors.New("bad")
	for name, result := range map[string]error{"with an error": bad, "without one": nil} {
		t.Run(name, func(t *testing.T) {
			l := NewLifecycle(quiet)
			l.Go("worker", func(context.Context) error { return result })
			err := l.Wait(t.Context())
			if err == nil || !strings.Contains(err.Error(), "worker ended") || result != nil && !errors.Is(err, bad) {
				t.Errorf("error %v", err)
			}
			if err := l.Stop(time.Second); err != nil {
				t.Errorf("what was told is told again: %v", err)
			}
		})
	}
}

// TestTheSecondThatEndsIsToldAtTheStop, for Wait tells of the first only.
func TestTheSecondThatEndsIsToldAtTheStop(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	l := NewLifecycle(quiet)
	l.Go("one", func(context.Context) error { return first })
	if err := l.Wait(t.Context()); !errors.Is(err, first) {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	l.Go("two", func(context.Context) error { defer close(ended); return second })
	<-ended
	if err := l.Stop(time.Second); !errors.Is(err, second) || errors.Is(err, first) {
		t.Errorf("error %v", err)
	}
}

func TestWhatHangsIsNamedAndWhatCameBeforeIsStillEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLifecycle(quiet)
		flushed := false
		l.OnStop("store", func(context.Context) error { flushed = true; return nil })
		release := make(chan struct{})
		l.Go("hangs", func(context.Context) error { <-release; return nil })
		err := l.Stop(5 * time.Second)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "hangs") || !flushed {
			t.Errorf("flushed %v, error %v", flushed, err)
		}
		close(release)
	})
}

func TestOpsTellsTheTruth(t *testing.T) {
	l := NewLifecycle(quiet)
	o := NewOps()
	addr, err := o.Serve(l, "127.0.0.1:0", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Stop(time.Second); err != nil {
			t.Error(err)
		}
	}()
	get := func(path string) (int, string) {
		res, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	var down error
	o.Ready("kafka", func(context.Context) error { return down })
	o.Healthy("progress", func(context.Context) error { return nil })
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "starting") {
		t.Errorf("while starting: %d %q", code, body)
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("starting is not unhealthy: %d", code)
	}
	o.Stage("")
	if code, body := get("/readyz"); code != 200 || body != "ok\n" {
		t.Errorf("ready: %d %q", code, body)
	}
	down = errors.New("no broker answers")
	if code, body := get("/readyz"); code != 503 || body != "kafka: no broker answers\n" {
		t.Errorf("kafka down: %d %q", code, body)
	}
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics: %d", code)
	}
}

func TestAListenAddressInUseNamesTheSetting(t *testing.T) {
	l := NewLifecycle(quiet)
	addr, err := serve(l, "first", "listen", "127.0.0.1:0", &http.Server{ReadHeaderTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, err = serve(l, "second", "listen", addr, &http.Server{ReadHeaderTimeout: time.Second})
	if err == nil || !strings.Contains(err.Error(), "set listen to a free address") {
		t.Errorf("error %v", err)
	}
	if err := l.Stop(time.Second); err != nil {
		t.Error(err)
	}
}
