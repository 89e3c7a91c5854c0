package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner/ledger/report/runner"
)

// TestANewcomerSeesAReport takes the way of the README: usage in, a run, and the report at the built-in receiver.
func TestANewcomerSeesAReport(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, patient())
	p := i.dev(t)
	a := i.producer()
	// The first tick comes by itself.
	eventually(t, time.Minute, func() string {
		if status, body := get("http://" + i.api + "/partner/v1/installations/icfg_demo"); status != 200 {
			return fmt.Sprint("the receiver has nothing yet: ", status, " ", body)
		}
		return ""
	})
	use := func(amount int) {
		t.Helper()
		id := uuid.NewString()
		body := usages(m{"id": id, "amount": amount, "type": "feature", "source": "api"})
		wantOutcomes(t, a.post(t, createPath(demoAccount), body, "Prefer", "wait=30"), outcome{id, "applied", fmt.Sprint(amount), false})
	}
	use(1500)
	got := a.post(t, "/admin/v1/reports/run", m{}, "Prefer", "wait=30")
	var ran struct {
		State   string
		Summary struct {
			OK       bool
			Accepted int
		}
	}
	if err := json.Unmarshal([]byte(got.body), &ran); err != nil || got.status != 200 || ran.State != "done" || !ran.Summary.OK || ran.Summary.Accepted != 1 {
		t.Fatalf("run: %s", got)
	}
	latest := func() string {
		t.Helper()
		_, body := get("http://" + i.api + "/partner/v1/installations/icfg_demo")
		var page struct {
			Reports []struct{ Body string }
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Reports) == 0 {
			t.Fatalf("the receiver shows %s: %v", tail(body, 500), err)
		}
		return page.Reports[0].Body
	}
	const row = `{"name":"api_calls","type":"interval","units":"calls","dayValue":1500,"periodValue":1500,"planValue":100000}`
	if body := latest(); !strings.Contains(body, row) || !strings.Contains(body, `"total":"1.00"`) {
		t.Errorf("the receiver got %s", body)
	}
	// A browser gets a page; the first one is at /partner/.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+i.api+"/partner", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || res.Request.URL.Path != "/partner/" || !strings.HasPrefix(ct, "text/html") {
		t.Errorf("a browser gets %d %s at %s", res.StatusCode, ct, res.Request.URL)
	}
	// A reporter of its own, beside.
	use(500)
	env := []string{setting("report.default_base_url", "http://"+i.api+"/partner")}
	status, once := run(t, append(i.env, env...), append([]string{"report", "--once"}, i.at()...)...)
	if status != 0 || !strings.Contains(once.out.String(), "1 installations") {
		t.Errorf("report --once beside dev: status %d\n%s%s", status, once.out.String(), once.log.String())
	}
	if body := latest(); !strings.Contains(body, `"dayValue":2000`) {
		t.Errorf("after the second reporter the receiver has %s", body)
	}
	// What it says of bad requests.
	for path, want := range map[string]int{"/admin/v1/reports/runs/none": 404, "/admin/v1/reports/run": 404} {
		if got := a.do(t, "GET", path, ""); got.status != want {
			t.Errorf("GET %s: %s, want %d", path, got, want)
		}
	}
	if got := a.post(t, "/admin/v1/reports/run", m{"installation": "icfg_demo", "dry_run": true}); got.status != 200 || !strings.Contains(got.body, `"payloads":[{"installation":"icfg_demo","payload":{"timestamp":`) {
		t.Errorf("dry run: %s", got)
	}
	if text := p.log.String(); strings.Contains(text, "level=ERROR") {
		t.Errorf("dev logged an error:\n%s", text)
	}
}

// TestClosingFiguresFollowLateUsage reports a day that ended, usage that came late for it, and nothing when nothing changed.
func TestClosingFiguresFollowLateUsage(t *testing.T) {
	t.Parallel()
	r := newReported(t, 2, 2*time.Hour)
	r.processes(t)
	late := time.Now().Add(-4 * time.Hour) // of the day that ended
	r.use(t, 0, 100, late)
	r.use(t, 0, 7, time.Now())
	out := r.once(t)
	if !strings.Contains(out, "2 installations") || !strings.Contains(out, "2 accepted") {
		t.Errorf("the run says %s", out)
	}
	for n := range 2 {
		if parts := r.wantLedger(t, n); parts < 2 {
			t.Errorf("the partner has %d parts of installation %d, want the day that ended and the current one", parts, n)
		}
	}
	first := len(r.partner.Reports("icfg_0"))
	r.use(t, 0, 11, late)
	r.use(t, 0, 5, time.Now())
	r.once(t)
	r.wantLedger(t, 0)
	second := len(r.partner.Reports("icfg_0"))
	if closing := second - first; closing < 2 {
		t.Errorf("late usage made %d reports, want closing figures and the current ones", closing)
	}
	// Nothing changed: only the current day goes out again, at every tick.
	r.once(t)
	if again := len(r.partner.Reports("icfg_0")) - second; again != 1 {
		t.Errorf("without a change %d reports were sent", again)
	}
	r.wantRising(t, 0)
	r.wantRising(t, 1)
	if out := r.command(t, 0, "check"); !strings.Contains(out, "each is what the ledger gives at its position") {
		t.Errorf("check: %s", out)
	}
	// As of an earlier time; the future is for dry runs.
	before := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	r.once(t, "--at", before, "--installation", "icfg_1")
	r.wantLedger(t, 1)
	r.wantRising(t, 1)
	ahead := time.Now().UTC().Add(48 * time.Hour).Format(time.RFC3339)
	if status, p := r.report(t, nil, "--once", "--at", ahead); status != 1 || !strings.Contains(p.log.String(), "--dry-run") {
		t.Errorf("a run of the future: status %d %s", status, p.log.String())
	}
	held := r.value(t, "SELECT count() FROM partner_reports")
	dry := r.command(t, 0, "--dry-run", "--installation", "icfg_0", "--at", ahead)
	for line := range strings.Lines(dry) {
		var payload struct{ EOD time.Time }
		if err := json.Unmarshal([]byte(line), &payload); err != nil || payload.EOD.Before(time.Now()) {
			t.Errorf("a dry run of the future prints %s: %v", line, err)
		}
	}
	all := strings.Split(strings.TrimSpace(r.command(t, 0, "--dry-run")), "\n")
	if len(all) < 2 || !strings.HasPrefix(all[0], `{"installation":"icfg_`) || !json.Valid([]byte(all[0])) {
		t.Errorf("a dry run prints %q", all)
	}
	if now := r.value(t, "SELECT count() FROM partner_reports"); now != held {
		t.Errorf("dry runs wrote reports: %s became %s", held, now)
	}
}

// TestAReporterIsKilledAtEveryStep kills `report --once` at each step of a report; the next run makes it right.
func TestAReporterIsKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	r := newReported(t, 3, 2*time.Hour)
	r.processes(t)
	for n, step := range runner.Steps() {
		at := time.Now().Add(-time.Duration(n%2) * 4 * time.Hour)
		for in := range r.accounts {
			r.use(t, in, int64(n+1), at)
		}
		p := start(t, append(r.env, "RECKONER_CRASH_AT=report:"+step+":1"), append([]string{"report", "--once"}, r.at()...)...)
		if !p.Dies(t, time.Minute) {
			t.Fatalf("at %s it was not killed:\n%s%s", step, p.out.String(), p.log.String())
		}
		if step == "record" { // sent, and nobody knows
			if got := r.value(t, "SELECT countIf(status = 'sending') > 0 FROM partner_reports"); got != "1" {
				t.Errorf("killed before it recorded anything, no report is `sending`")
			}
		}
		r.once(t)
		for in := range r.accounts {
			if r.wantLedger(t, in); t.Failed() {
				t.Fatalf("after it was killed at %s", step)
			}
			r.wantRising(t, in)
		}
	}
	if out := r.command(t, 0, "check"); !strings.Contains(out, "each is what the ledger gives") {
		t.Errorf("check: %s", out)
	}
}

// TestTwoReportersAtOnce runs two `report --once` at the same time, again and again, while usage comes in.
func TestTwoReportersAtOnce(t *testing.T) {
	t.Parallel()
	const installations = 8
	r := newReported(t, installations, 2*time.Hour)
	r.processes(t)
	late := time.Now().Add(-4 * time.Hour)
	for round := range 5 {
		for n := range installations {
			r.use(t, n, int64(round+1), []time.Time{time.Now(), late}[(n+round)%2])
		}
		args := append([]string{"report", "--once"}, r.at()...)
		first, second := start(t, r.env, args...), start(t, r.env, args...)
		for _, p := range []*process{first, second} {
			if status := p.wait(t, time.Minute); status != 0 {
				t.Errorf("round %d: status %d\n%s%s", round, status, p.out.String(), p.log.String())
			}
		}
	}
	r.once(t)
	for n := range installations {
		r.wantLedger(t, n)
		r.wantRising(t, n)
	}
	r.want(t, "SELECT count() FROM (SELECT installation_id, timestamp FROM partner_reports WHERE sent_at IS NOT NULL GROUP BY ALL HAVING uniqExact(payload_sha256) > 1)", "0")
	if out := r.command(t, 0, "check"); !strings.Contains(out, "each is what the ledger gives") {
		t.Errorf("check: %s", out)
	}
}
