package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"reckoner"
	"reckoner/internal/catalog"
)

// ReportRuns runs the reports to partners, in a process that makes them. Its methods may be called by many goroutines.
type ReportRuns interface {
	// StartReports starts a run and returns it, without waiting for its end; or, while one that does what is asked is under
	// way, that one. The run outlives ctx. While one that does something else is under way, the error is an Error with the
	// code FailedPrecondition, and nothing is started.
	StartReports(ctx context.Context, ask ReportRunAsk) (*ReportRun, error)
	// ReportRun returns a run by its id; false when it is not known, or so old that it was forgotten.
	ReportRun(id string) (*ReportRun, bool)
}

// ReportRunAsk says what a run is to do. The zero value is the run that a scheduler wants.
type ReportRunAsk struct {
	Installation string `json:"installation,omitzero"` // empty: all
	DryRun       bool   `json:"dry_run,omitzero"`      // make the reports, write and send nothing
}

// ReportRun is one run, under way or ended.
type ReportRun struct {
	ID    string
	Ended <-chan struct{}        // closed when it ended
	State func() *ReportRunState // at the moment of the call
}

// ReportRunState is how a run stands, as callers are told.
type ReportRunState struct {
	ID    string `json:"id"`
	State string `json:"state"` // running, done, or failed: it ended early
	ReportRunAsk
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at,omitzero"`
	Worked    int        `json:"worked"` // installations
	Of        int        `json:"of"`
	Error     string     `json:"error,omitzero"`   // why it ended early
	Summary   any        `json:"summary,omitzero"` // once it ended: a value that encodes as JSON
}

// reportRuns are the routes by which schedulers that speak only HTTP start runs. Errors are problems.
type reportRuns struct {
	*Server
	dialect dialect
	runs    ReportRuns
}

func newReportRuns(s *Server, runs ReportRuns) *reportRuns {
	return &reportRuns{Server: s, runs: runs, dialect: dialect{name: "admin", roots: []string{"/admin"}, fail: problemFail}}
}

const reportRunsPath = "/admin/v1/reports/runs/"

func (r *reportRuns) routes() []*route {
	table := []route{
		{name: "report_run", method: http.MethodPost, pattern: "/admin/v1/reports/run", handle: r.run},
		{name: "report_run_state", method: http.MethodGet, pattern: reportRunsPath + "{id}", handle: r.state},
	}
	routes := make([]*route, len(table))
	for i := range table {
		table[i].dialect, table[i].scope = &r.dialect, catalog.CatalogWrite
		routes[i] = &table[i]
	}
	return routes
}

// reportRunWait is how long a request waits for the end of its run, where it does not say: about what schedulers give a
// request by default, less some.
const reportRunWait = 10 * time.Second

// allowed refuses credentials that are bound to organizations: a run is of all of them. Elsewhere than where reports are
// made it says where to ask.
func (r *reportRuns) allowed(c *call) error {
	switch {
	case !slices.Contains(c.credential.Organizations, "*"):
		return errNotEverywhere
	case r.runs == nil:
		return errNoReports
	}
	return nil
}

var errNoReports = &reckoner.Error{
	Code: reckoner.NotFound, Message: "this process makes no reports: ask the one that `reckoner report` runs, by default on port 7405",
}

// run starts a run, or finds the one under way, and waits for its end as long as the caller likes to.
func (r *reportRuns) run(c *call) error {
	if err := r.allowed(c); err != nil {
		return err
	}
	if c.r.URL.RawQuery != "" { // who asks for a dry run there must not get one that sends
		return invalid("a run takes no query: what it is to do stands in the body, as in {\"installation\": \"icfg_1\", \"dry_run\": true}")
	}
	body, err := r.readBody(c, nil)
	if err != nil {
		return err
	}
	var ask ReportRunAsk
	if body = bytes.TrimSpace(body); len(body) > 0 {
		if err := json.Unmarshal(body, &ask, json.RejectUnknownMembers(true)); err != nil {
			why := err.Error()
			if e, ok := errors.AsType[*json.SemanticError](err); ok && e.Err != nil { // its own text is long, and varies
				why = fmt.Sprintf("%s: %v", e.JSONPointer, e.Err)
			}
			return invalid("invalid body: want {}, or an object with installation and dry_run: %s", clip(why))
		}
	}
	if ask.Installation != "" {
		if _, _, ok := c.catalog.Entity(catalog.InstallationKind, ask.Installation); !ok {
			return badField("installation", "the catalog has no installation "+strconv.Quote(clip(ask.Installation)))
		}
	}
	run, err := r.runs.StartReports(c.r.Context(), ask)
	if err != nil {
		return err
	}
	r.await(c, run)
	return r.tell(c, run)
}

// await waits for the end of a run.
func (r *reportRuns) await(c *call, run *ReportRun) {
	wait := reportRunWait
	if preferred := preferredWait(c.r.Header); preferred > 0 {
		wait = preferred
		applied(c.w.Header(), wait)
	} else if respondAsync(c.r.Header) {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-run.Ended:
	case <-timer.C:
	case <-c.r.Context().Done():
	}
}

// state tells how a run stands.
func (r *reportRuns) state(c *call) error {
	if err := r.allowed(c); err != nil {
		return err
	}
	run, ok := r.runs.ReportRun(c.params["id"])
	if !ok {
		return reckoner.Errorf(reckoner.NotFound, "no run %s is known: it is none of this process, or its end is long past", strconv.Quote(clip(c.params["id"])))
	}
	return r.tell(c, run)
}

// tell answers 200 with a run that ended, 202 with one that goes on.
func (r *reportRuns) tell(c *call, run *ReportRun) error {
	status := http.StatusOK
	select {
	case <-run.Ended:
	default:
		status = http.StatusAccepted
		c.w.Header().Set("Location", reportRunsPath+url.PathEscape(run.ID))
	}
	return r.answerJSON(c, status, run.State())
}
