package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"reckoner"
	"reckoner/ingest"
	"reckoner/ledger/report/runner"
)

const (
	// runsKept bounds the runs of the past that are remembered.
	runsKept = 100
	// dryBytesMax bounds the payloads of a dry run over HTTP; those that come after are counted.
	dryBytesMax = 4 << 20
	// dryKept bounds the dry runs whose payloads are remembered.
	dryKept = 4
)

// runReports is runner.Runner.Run.
type runReports = func(ctx context.Context, r runner.Request, progress func(done, of int)) (runner.Summary, error)

// reportRuns starts runs for those who ask over HTTP, and remembers the last ones. It is safe for concurrent use.
type reportRuns struct {
	now func() time.Time

	mu      sync.Mutex
	run     runReports      // nil until there is a runner
	closed  context.Context //nolint:containedctx // of every run; ended by close
	end     context.CancelFunc
	working sync.WaitGroup
	all     []*httpRun // oldest first
}

// httpRun is one run.
type httpRun struct {
	ask   ingest.ReportRunAsk
	id    string
	ended chan struct{}

	mu      sync.Mutex
	state   ingest.ReportRunState
	dry     []dryReport
	dryMore int
	bytes   int
}

// runSummary is what is told of a run that ended.
type runSummary struct {
	OK bool `json:"ok"`
	runner.Summary
	Payloads []dryReport `json:"payloads,omitzero"`      // of a dry run
	More     int         `json:"payloads_more,omitzero"` // that are not shown
}

// dryReport is a payload that would be sent.
type dryReport struct {
	Installation string          `json:"installation"`
	Payload      json.RawMessage `json:"payload"`
}

// newReportRuns returns what starts runs as soon as there is a runner.
func newReportRuns() *reportRuns {
	r := &reportRuns{now: time.Now}
	r.closed, r.end = context.WithCancel(context.Background())
	return r
}

// use says what makes a run.
func (r *reportRuns) use(run runReports) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run = run
}

// close starts no more runs, and ends those under way.
func (r *reportRuns) close() error {
	r.mu.Lock()
	defer r.mu.Unlock() // no run starts after it
	r.end()
	return nil
}

// wait waits for the runs under way, after close.
func (r *reportRuns) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { r.working.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errNoRunNow = &reckoner.Error{Code: reckoner.Unavailable, Message: "this process is starting, or about to end; try again in a moment"}

// StartReports implements ingest.ReportRuns.
func (r *reportRuns) StartReports(_ context.Context, ask ingest.ReportRunAsk) (*ingest.ReportRun, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run == nil || r.closed.Err() != nil {
		return nil, errNoRunNow
	}
	for _, h := range r.all {
		select {
		case <-h.ended:
			continue
		default:
		}
		if h.ask == ask {
			return h.report(), nil
		}
		if h.ask.DryRun == ask.DryRun {
			return nil, reckoner.Errorf(reckoner.FailedPrecondition, "another run is under way: %s; ask how it stands, and try again when it ended", h.id)
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("name a run: %w", err)
	}
	h := &httpRun{ask: ask, id: id.String(), ended: make(chan struct{})}
	h.state = ingest.ReportRunState{ID: h.id, State: "running", ReportRunAsk: ask, StartedAt: r.now().UTC()}
	r.keep(h)
	run := r.run
	r.working.Go(func() { r.work(h, run) })
	return h.report(), nil
}

// keep remembers a run and forgets the oldest that ended, and the payloads of all dry runs but the last ones.
func (r *reportRuns) keep(h *httpRun) {
	r.all = append(r.all, h)
	dry := 0
	for i := len(r.all) - 1; i >= 0; i-- {
		if r.all[i].ask.DryRun {
			if dry++; dry > dryKept {
				r.all[i].forget()
			}
		}
	}
	for i := 0; len(r.all) > runsKept && i < len(r.all)-1; {
		select {
		case <-r.all[i].ended:
			r.all = append(r.all[:i], r.all[i+1:]...)
		default:
			i++
		}
	}
}

// ReportRun implements ingest.ReportRuns.
func (r *reportRuns) ReportRun(id string) (*ingest.ReportRun, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.all {
		if h.id == id {
			return h.report(), true
		}
	}
	return nil, false
}

// work makes the run.
func (r *reportRuns) work(h *httpRun, run runReports) {
	request := runner.Request{Installation: h.ask.Installation}
	if h.ask.DryRun {
		request.DryRun = h.drafted
	}
	sum, err := run(r.closed, request, h.progress)
	at := r.now().UTC()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.EndedAt, h.state.State = &at, "done"
	h.state.Summary = runSummary{OK: err == nil && sum.OK(), Summary: sum, Payloads: h.dry, More: h.dryMore}
	if err != nil {
		h.state.State, h.state.Error = "failed", told(err)
	}
	close(h.ended)
}

// told says to a caller why a run ended early.
func told(err error) string {
	if errors.Is(err, context.Canceled) {
		return "the process that ran it was told to end"
	}
	return err.Error()
}

func (h *httpRun) progress(worked, of int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Worked, h.state.Of = worked, of
}

func (h *httpRun) drafted(d runner.Drafted) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bytes += len(d.Report.Payload); h.bytes > dryBytesMax && len(h.dry) > 0 {
		h.dryMore++
		return
	}
	h.dry = append(h.dry, dryReport{d.Installation.ID, d.Report.Payload})
}

// forget drops the payloads of a dry run that ended.
func (h *httpRun) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ended := h.state.Summary.(runSummary); ended {
		s.More, s.Payloads = s.More+len(s.Payloads), nil
		h.state.Summary, h.dry = s, nil
	}
}

func (h *httpRun) report() *ingest.ReportRun {
	return &ingest.ReportRun{ID: h.id, Ended: h.ended, State: func() *ingest.ReportRunState {
		h.mu.Lock()
		defer h.mu.Unlock()
		s := h.state
		return &s
	}}
}
