package ingest

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"reckoner"
)

// runs are runs of reports that a test ends.
type runs struct {
	mu    sync.Mutex
	asked []ReportRunAsk
	err   error
	ended chan struct{}
}

func (r *runs) StartReports(_ context.Context, ask ReportRunAsk) (*ReportRun, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, ask)
	if r.err != nil {
		return nil, r.err
	}
	run, _ := r.ReportRun("run-1")
	return run, nil
}

func (r *runs) ReportRun(id string) (*ReportRun, bool) {
	return &ReportRun{ID: id, Ended: r.ended, State: func() *ReportRunState {
		s := &ReportRunState{ID: id, State: "running", StartedAt: noon(), Worked: 1, Of: 2}
		select {
		case <-r.ended:
			at := noon()
			s.State, s.EndedAt, s.Worked, s.Summary = "done", &at, 2, json.RawMessage(ranSummary)
		default:
		}
		return s
	}}, id == "run-1"
}

// ranSummary is what came of a run that ended.
const ranSummary = `{"ok":true,"installations":2,"accepted":2,"unchanged":0,"failed":0,"refused":0,"superseded":0,"skipped":0,"unsendable":0,"reports":2,"stale":0,"expired":0}`

const (
	runPath       = "/admin/v1/reports/run"
	installations = `
installations: [{id: icfg_1, target: vercel, account: ` + account + `}]
`
	runsCredentials = `
- {id: root, secret_sha256: HASH, scopes: [catalog.write], organizations: ["*"]}
- {id: bound, secret_sha256: HASH, scopes: [catalog.write], organizations: [` + acme + `]}
`
)

func newRunsWorld(t *testing.T) (*world, *runs) {
	t.Helper()
	r := &runs{ended: make(chan struct{})}
	w := newWorld(t, func(o *Options) { o.Reports = r })
	text := strings.TrimSpace(catalogText()) + strings.ReplaceAll(runsCredentials, "HASH", hash("se:cret")) + installations
	w.catalog.Store(parseCatalog(t, text))
	return w, r
}

func TestARunOfReportsIsStartedAndWaitedFor(t *testing.T) {
	w, r := newRunsWorld(t)
	root := as("root")

	// It goes on: 202, and where to ask.
	for _, prefer := range []string{"Prefer: wait=1", "Prefer: respond-async"} {
		got := w.post(runPath, `{"installation":"icfg_1","dry_run":true}`, root, prefer)
		if got.status != 202 || got.header.Get("Location") != "/admin/v1/reports/runs/run-1" {
			t.Fatalf("%s: %d %s, at %q", prefer, got.status, got.body, got.header.Get("Location"))
		}
	}
	if want := (ReportRunAsk{Installation: "icfg_1", DryRun: true}); len(r.asked) != 2 || r.asked[0] != want {
		t.Errorf("asked %+v", r.asked)
	}
	if got := w.request("GET", "/admin/v1/reports/runs/run-1", "", root); got.status != 202 || !strings.Contains(got.body, `"state":"running"`) || !strings.Contains(got.body, `"worked":1,"of":2`) {
		t.Errorf("while it runs: %d %s", got.status, got.body)
	}

	// It ends while a request waits.
	answered := make(chan answer)
	go func() { answered <- w.post(runPath, "", root, "Prefer: wait=30") }()
	close(r.ended)
	got := <-answered
	const shown = `{"id":"run-1","state":"done","started_at":"2026-06-15T12:00:00.123456789Z","ended_at":"2026-06-15T12:00:00.123456789Z","worked":2,"of":2,"summary":` + ranSummary + `}`
	if got.status != 200 || got.body != shown || got.header.Get("Preference-Applied") != "wait=30" {
		t.Errorf("ended: %d %s, %v", got.status, got.body, got.header)
	}
	for _, body := range []string{"", " ", "{}", "null"} {
		if got := w.post(runPath, body, root); got.status != 200 {
			t.Errorf("body %q: %d %s", body, got.status, got.body)
		}
	}
}

func TestARunOfReportsIsRefused(t *testing.T) {
	w, r := newRunsWorld(t)
	busy := reckoner.Errorf(reckoner.FailedPrecondition, "run-0 is under way")
	for _, c := range []struct {
		name, method, path, body, credential string
		err                                  error
		status                               int
		says                                 string
	}{
		{"nobody", "POST", runPath, "{}", "root:wrong", nil, 401, ""},
		{"another scope", "POST", runPath, "{}", "demo", nil, 403, "not authorized"},
		{"bound to an organization", "POST", runPath, "{}", "bound", nil, 403, "all organizations"},
		{"bound, and asks how it stands", "GET", "/admin/v1/reports/runs/run-1", "", "bound", nil, 403, "all organizations"},
		{"no JSON", "POST", runPath, "{", "root", nil, 400, "installation and dry_run"},
		{"another type", "POST", runPath, `{"dry_run":"yes"}`, "root", nil, 400, "dry_run"},
		{"unknown field", "POST", runPath, `{"dryrun":true}`, "root", nil, 400, "dryrun"},
		{"what is asked stands in the query", "POST", runPath + "?dry_run=true", "", "root", nil, 400, "stands in the body"},
		{"unknown installation", "POST", runPath, `{"installation":"icfg_2"}`, "root", nil, 422, `no installation \"icfg_2\"`},
		{"another run is under way", "POST", runPath, "{}", "root", busy, 409, "run-0 is under way"},
		{"unknown run", "GET", "/admin/v1/reports/runs/run-9", "", "root", nil, 404, "run-9"},
		{"another method", "DELETE", "/admin/v1/reports/runs/run-1", "", "root", nil, 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.err = c.err
			got := w.request(c.method, c.path, c.body, as(c.credential))
			if got.problem(t); got.status != c.status || !strings.Contains(got.body, c.says) {
				t.Errorf("%d %s, want %d that says %q", got.status, got.body, c.status, c.says)
			}
		})
	}
}

// A process without reports says where there are some.
func TestAProcessWithoutReportsSaysSo(t *testing.T) {
	a := newAdminWorld(t)
	if p := a.want(t, 404, "POST", "reports/run", "{}").problem(t); !strings.Contains(p.Detail, "7405") {
		t.Errorf("detail %q", p.Detail)
	}
	a.want(t, 404, "GET", "reports/runs/run-1", "")
}

// A process that does nothing but reports has these routes, and no other.
func TestReportServerHasItsRoutesOnly(t *testing.T) {
	w, r := newRunsWorld(t)
	close(r.ended)
	if _, err := NewReportServer(ReportOptions{Catalog: w.catalog, Runs: r}); err == nil {
		t.Error("without limits it is an error")
	}
	h, err := NewReportServer(ReportOptions{Catalog: w.catalog, Runs: r, Limits: DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]int{
		"POST " + runPath: 200, "GET /admin/v1/reports/runs/run-1": 200, "GET /admin/v1/accounts": 404, "POST " + createPath: 404, "POST /usages": 404,
	} {
		method, target, _ := strings.Cut(path, " ")
		req := httptest.NewRequest(method, target, nil)
		req.Header.Set("Authorization", "Bearer root:se:cret")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		var body struct {
			State  string
			Status int
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil || rec.Code != status || body.State == "" && body.Status != status {
			t.Errorf("%s: %d %s, want %d", path, rec.Code, rec.Body, status)
		}
		if rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", path, rec.Header())
		}
	}
}
