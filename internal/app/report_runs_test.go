package app

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"reckoner"
	"reckoner/ingest"
	"reckoner/internal/catalog"
	"reckoner/internal/config"
	"reckoner/ledger"
	"reckoner/ledger/report/runner"
)

// stepwise is a runner whose runs end when a test says so.
type stepwise struct{ begun, end chan struct{} }

func (s *stepwise) run(ctx context.Context, r runner.Request, progress func(done, of int)) (runner.Summary, error) {
	s.begun <- struct{}{}
	progress(1, 2)
	if r.DryRun != nil {
		r.DryRun(runner.Drafted{Installation: &catalog.Installation{ID: "icfg_1"}, Report: ledger.Report{Payload: []byte(`{"a":1}`)}})
	}
	select {
	case <-s.end:
		progress(2, 2)
		return runner.Summary{Installations: 2, Accepted: 2}, nil
	case <-ctx.Done():
		return runner.Summary{Installations: 1, Accepted: 1}, ctx.Err()
	}
}

func (s *stepwise) runs() *reportRuns {
	s.begun, s.end = make(chan struct{}, 1000), make(chan struct{})
	r := newReportRuns()
	r.use(s.run)
	return r
}

func TestOneRunAtATime(t *testing.T) {
	var s stepwise
	r := s.runs()
	first, err := r.StartReports(t.Context(), ingest.ReportRunAsk{})
	if err != nil {
		t.Fatal(err)
	}
	<-s.begun
	again, err := r.StartReports(t.Context(), ingest.ReportRunAsk{})
	if err != nil || again.ID != first.ID {
		t.Errorf("asked again it is %v, %v; want %s", again, err, first.ID)
	}
	if _, err := r.StartReports(t.Context(), ingest.ReportRunAsk{Installation: "icfg_1"}); reckoner.CodeOf(err) != reckoner.FailedPrecondition {
		t.Errorf("another run beside it: %v", err)
	}
	dry, err := r.StartReports(t.Context(), ingest.ReportRunAsk{Installation: "icfg_1", DryRun: true})
	if err != nil || dry.ID == first.ID {
		t.Errorf("a dry run beside it: %v, %v", dry, err)
	}
	<-s.begun
	if _, err := r.StartReports(t.Context(), ingest.ReportRunAsk{DryRun: true}); reckoner.CodeOf(err) != reckoner.FailedPrecondition {
		t.Errorf("another dry run beside it: %v", err)
	}
	if got := first.State(); got.State != "running" || got.Summary != nil || got.EndedAt != nil {
		t.Errorf("while it runs: %+v", got)
	}
	close(s.end)
	<-first.Ended
	<-dry.Ended
	got := first.State()
	if sum := got.Summary.(runSummary); got.State != "done" || got.Worked != 2 || got.Of != 2 || !sum.OK || sum.Accepted != 2 || got.EndedAt == nil {
		t.Errorf("ended: %+v", got)
	}
	if sum := dry.State().Summary.(runSummary); len(sum.Payloads) != 1 || string(sum.Payloads[0].Payload) != `{"a":1}` {
		t.Errorf("dry run: %+v", sum)
	}
	if next, err := r.StartReports(t.Context(), ingest.ReportRunAsk{}); err != nil || next.ID == first.ID {
		t.Errorf("after its end: %v, %v", next, err)
	}
}

func TestRunsEndWithTheProcess(t *testing.T) {
	var s stepwise
	r := newReportRuns()
	if _, err := r.StartReports(t.Context(), ingest.ReportRunAsk{}); reckoner.CodeOf(err) != reckoner.Unavailable {
		t.Errorf("before there is a runner: %v", err)
	}
	r = s.runs()
	run, err := r.StartReports(t.Context(), ingest.ReportRunAsk{})
	if err != nil {
		t.Fatal(err)
	}
	<-s.begun
	if err := errors.Join(r.close(), r.wait(t.Context())); err != nil {
		t.Error(err)
	}
	if got := run.State(); got.State != "failed" || got.Error == "" || got.Summary.(runSummary).OK {
		t.Errorf("a run that was cut off: %+v", got)
	}
	if _, err := r.StartReports(t.Context(), ingest.ReportRunAsk{}); reckoner.CodeOf(err) != reckoner.Unavailable {
		t.Errorf("after the end: %v", err)
	}
}

func TestRunsOfThePastAreForgotten(t *testing.T) {
	var s stepwise
	r := s.runs()
	close(s.end)
	var ids []string
	for range runsKept + 10 {
		run, err := r.StartReports(t.Context(), ingest.ReportRunAsk{})
		if err != nil {
			t.Fatal(err)
		}
		<-run.Ended
		ids = append(ids, run.ID)
	}
	if _, ok := r.ReportRun(ids[9]); ok || len(r.all) != runsKept {
		t.Errorf("%d runs are remembered", len(r.all))
	}
	if got, ok := r.ReportRun(ids[10]); !ok || got.ID != ids[10] {
		t.Error("a run is forgotten too early")
	}
}

// Payloads beyond the bound are counted, the first is always shown.
func TestDryRunsAreBounded(t *testing.T) {
	h := &httpRun{}
	d := runner.Drafted{Installation: &catalog.Installation{ID: "x"}, Report: ledger.Report{Payload: make([]byte, dryBytesMax-1)}}
	for range 3 {
		h.drafted(d)
	}
	if len(h.dry) != 1 || h.dryMore != 2 {
		t.Errorf("%d shown, %d more", len(h.dry), h.dryMore)
	}
}

func TestHealthOfReports(t *testing.T) {
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := &config.Report{Every: time.Hour, Jitter: time.Minute, DeliveryTimeout: 5 * time.Minute, RequestTimeout: 10 * time.Second}
	patience := 3*time.Hour + 6*time.Minute + 10*time.Second
	refused := runner.Summary{Refused: 10}
	for _, c := range []struct {
		name   string
		status runner.Status
		after  time.Duration
		well   bool
	}{
		{"just begun", runner.Status{}, patience, true},
		{"no run ever ended", runner.Status{Err: errors.New("away")}, patience + 1, false},
		{"the last one is not long ago", runner.Status{EndedAt: began.Add(time.Hour)}, time.Hour + patience, true},
		{"the last one is long ago", runner.Status{EndedAt: began.Add(time.Hour), Err: errors.New("away")}, time.Hour + patience + 1, false},
		{"partners refuse", runner.Status{EndedAt: began.Add(time.Hour), Last: refused}, 2 * time.Hour, true},
	} {
		err := reporting(&c.status, s, began, began.Add(c.after))
		if (err == nil) != c.well {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A run that somebody asks for is not passed over because a tick has the installations in hand.
func TestARunComesAfterTheTick(t *testing.T) {
	for _, c := range []struct {
		name string
		sums []runner.Summary // of one run after the other
		runs int
	}{
		{"nothing is in hand", []runner.Summary{{Installations: 2, Accepted: 2}}, 1},
		{"all are, for a while", []runner.Summary{{Installations: 2, Skipped: 2}, {Installations: 2, Skipped: 2}, {Installations: 2, Accepted: 2}}, 3},
		{"one is", []runner.Summary{{Installations: 2, Skipped: 1, Accepted: 1}}, 1},
		{"there is none", []runner.Summary{{}}, 1},
	} {
		n := 0
		sum, err := afterTheTick(func(context.Context, runner.Request, func(done, of int)) (runner.Summary, error) {
			n++
			return c.sums[n-1], nil
		})(t.Context(), runner.Request{}, nil)
		if err != nil || n != c.runs || sum.Accepted != c.sums[n-1].Accepted {
			t.Errorf("%s: %d runs, %+v, %v", c.name, n, sum, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := afterTheTick(func(context.Context, runner.Request, func(done, of int)) (runner.Summary, error) {
		cancel()
		return runner.Summary{Installations: 1, Skipped: 1}, nil
	})(ctx, runner.Request{}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was told to end: %v", err)
	}
}

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:7400": "127.0.0.1:7400", "0.0.0.0:7400": "127.0.0.1:7400", "[::]:7400": "[::1]:7400", "[::1]:7400": "[::1]:7400",
		"192.0.2.7:80": "192.0.2.7:80",
	} {
		if got := reachable(addr); got != want {
			t.Errorf("%s is reached at %s, want %s", addr, got, want)
		}
	}
	if got := fmt.Sprint(reachable("no address")); got != "no address" {
		t.Error(got)
	}
}

// The payloads of dry runs are remembered for the last of them only; the runs are told of all the same.
func TestOldDryRunsLoseTheirPayloads(t *testing.T) {
	var s stepwise
	r := s.runs()
	close(s.end)
	var runs []*ingest.ReportRun
	for range dryKept + 2 {
		dry, err := r.StartReports(t.Context(), ingest.ReportRunAsk{DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		<-dry.Ended
		runs = append(runs, dry)
	}
	for i, run := range runs {
		sum := run.State().Summary.(runSummary)
		if kept := i >= 2; kept != (len(sum.Payloads) == 1) || len(sum.Payloads)+sum.More != 1 {
			t.Errorf("run %d has %d payloads and %d more", i, len(sum.Payloads), sum.More)
		}
	}
}
