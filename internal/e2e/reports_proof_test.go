package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner"
)

// shownReports is what `report show --format json` prints, as far as is looked at here.
type shownReports struct {
	Installation string
	Parts        []struct {
		EOD     time.Time
		Reports []struct{ Timestamp, Status string }
		Rows    []struct{ Meter, Day, Period string }
		Figures []struct {
			Subscription, Meter, Type, When, Quantity string
			Count                                     int `json:"entries_count"`
			Entries                                   []struct {
				EventID  string `json:"event_id"`
				Kind     string
				Quantity string
				UsageID  string `json:"usage_id"`
			}
			ComeTo *string `json:"entries_come_to"`
		}
		Payload string
	}
}

func (r *reported) show(t testing.TB, args ...string) (s shownReports) {
	t.Helper()
	out := r.command(t, 0, append([]string{"show", "--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return s
}

// TestBehindEachFigureAreItsEntries shows what a report is made of, down to ids, and finds an entry that was damaged.
func TestBehindEachFigureAreItsEntries(t *testing.T) {
	t.Parallel()
	r := newReported(t, 2, 2*time.Hour)
	r.processes(t)
	now, late := time.Now(), time.Now().Add(-4*time.Hour)
	yesterday, reverted := r.use(t, 0, 100, late), r.use(t, 0, 30, now)
	today := r.use(t, 0, 7, now)
	if got := r.producer().post(t, revertPath(r.accounts[0], reverted), m{"amount": 20}, "Idempotency-Key", "refund-1"); got.status != 200 {
		t.Fatalf("revert: %s", got)
	}
	r.use(t, 1, 1, now)
	r.once(t)
	r.use(t, 0, 1000, now) // after the report

	s := r.show(t, "icfg_0", "--day", "latest", "--payload")
	if len(s.Parts) != 1 || len(s.Parts[0].Reports) != 1 || s.Parts[0].Reports[0].Status != "accepted" {
		t.Fatalf("shown %+v", s)
	}
	part := s.Parts[0]
	reports := r.partner.Reports("icfg_0")
	if part.Payload != string(reports[len(reports)-1].Body) {
		t.Errorf("the payload is shown as\n%s\nand the partner got\n%s", part.Payload, reports[len(reports)-1].Body)
	}
	day := map[string]string{}
	for _, f := range part.Figures {
		var sum reckoner.Quantity
		for _, e := range f.Entries {
			q, err := reckoner.ParseQuantity(e.Quantity)
			if err != nil {
				t.Fatal(err)
			}
			if sum, err = sum.Add(q); err != nil {
				t.Fatal(err)
			}
			day[e.EventID] = f.When + " " + e.Kind + " " + e.Quantity
		}
		if f.ComeTo != nil || sum.String() != f.Quantity || f.Count != len(f.Entries) {
			t.Errorf("the entries come to %s of %+v", sum, f)
		}
	}
	want := map[string]string{
		yesterday: "before the day usage 100", reverted: "in the day usage 30", today: "in the day usage 7", "refund-1": "in the day revert -20",
	}
	if start := now.UTC().AddDate(0, 0, 1-now.UTC().Day()).Truncate(24 * time.Hour); late.Before(start) { // a month began in between
		delete(want, yesterday)
	}
	if fmt.Sprint(day) != fmt.Sprint(want) {
		t.Errorf("behind the figures are %v, want %v", day, want)
	}
	if len(part.Rows) != 1 || part.Rows[0].Day != "17" {
		t.Errorf("rows %+v", part.Rows)
	}

	// The same for people, cut; and by date, for the day that ended too.
	text := r.command(t, 0, "show", "icfg_0", "--day", late.UTC().Format(time.DateOnly), "--limit", "1")
	if !strings.Contains(text, yesterday) || !strings.Contains(text, "accepted") {
		t.Errorf("shown %s", text)
	}
	if text := r.command(t, 0, "show", "icfg_0", "--day", "latest", "--limit", "1"); !strings.Contains(text, "… and 2 more; --limit 0 shows all") || strings.Contains(text, today) {
		t.Errorf("shown %s", text)
	}
	for _, c := range [][]string{{"icfg_0", "--day", "soon"}, {"icfg_0", "--day", "2020-01-01"}, {"none", "--day", "latest"}} {
		if status, p := r.report(t, nil, append([]string{"show"}, c...)...); status != 1 || !strings.Contains(p.log.String(), "reckoner: ") {
			t.Errorf("show %v: status %d %s", c, status, p.log.String())
		}
	}

	r.findsDamage(t, today)
}

// findsDamage changes an entry behind the back of everybody.
func (r *reported) findsDamage(t testing.TB, id string) {
	t.Helper()
	if out := r.command(t, 0, "check"); !strings.Contains(out, "each is what the ledger gives at its position") {
		t.Errorf("check: %s", out)
	}
	r.exec(t, "ALTER TABLE reckoner.entries UPDATE quantity = 8 WHERE event_id = '"+id+"' SETTINGS mutations_sync = 2")
	out := r.command(t, 1, "check")
	latest := r.partner.Reports("icfg_0")
	stamp := latest[len(latest)-1].Timestamp.Format("2006-01-02T15:04:05.000Z")
	for _, says := range []string{"icfg_0", stamp, "usage[credit].dayValue", "17", "18", "differ"} {
		if !strings.Contains(out, says) {
			t.Errorf("check does not say %q:\n%s", says, out)
		}
	}
	if out := r.command(t, 0, "show", "icfg_0", "--day", "latest"); !strings.Contains(out, "BUT the report that was sent says otherwise in") {
		t.Errorf("show takes figures that were damaged for those that were sent:\n%s", out)
	}
	if strings.Contains(out, "icfg_1") {
		t.Errorf("check blames another installation:\n%s", out)
	}
	if out := r.command(t, 0, "check", "--installation", "icfg_1"); !strings.Contains(out, "each is what") {
		t.Errorf("check of the other installation: %s", out)
	}
	if status, p := r.report(t, nil, "check", "--installation", "icfg_9"); status != 1 || !strings.Contains(p.log.String(), "nothing was ever reported") {
		t.Errorf("check of an installation that there is not: status %d %s", status, p.log.String())
	}
	r.exec(t, "ALTER TABLE reckoner.reports UPDATE payload = '' WHERE installation_id = 'icfg_1' SETTINGS mutations_sync = 2")
	if out := r.command(t, 1, "check", "--installation", "icfg_1"); !strings.Contains(out, "0 that hold nothing") {
		t.Errorf("a report that was emptied is passed over:\n%s", out)
	}
	if out := r.command(t, 0, "check", "--since", time.Now().UTC().Add(time.Hour).Format(time.RFC3339)); !strings.HasPrefix(out, "0 reports") {
		t.Errorf("check of nothing: %s", out)
	}
}

// exec runs a statement in ClickHouse.
func (i *installation) exec(t testing.TB, sql string) {
	t.Helper()
	res, err := http.Post("http://"+i.clickhouse+"/", "text/plain", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", sql, res.StatusCode, body, err)
	}
}

// TestTokensStaySecret reports to partners that give the token back in every way, and looks for it everywhere.
func TestTokensStaySecret(t *testing.T) {
	t.Parallel()
	const first, second = "planted-token-of-the-environment", "planted-token-of-a-file"
	var mu sync.Mutex
	var seen []string
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		token := req.Header.Get("Authorization")
		mu.Lock()
		seen = append(seen, token)
		mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":"unauthorized","message":"not `+token+`"}}`)
	}))
	defer echo.Close()
	r := newReported(t, 1, 2*time.Hour)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(second+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n, token := range []string{"token_env: PLANTED", "token_file: " + file, "token_env: RECKONER_CLICKHOUSE_URL", "token_env: NOT_THERE"} {
		r.catalog = strings.Replace(r.catalog, "installations:\n", fmt.Sprintf("installations:\n- {id: echo_%d, account: %s, base_url: %q, %s}\n", n, r.accounts[0], echo.URL, token), 1)
	}
	r.processes(t)
	r.use(t, 0, 5, time.Now())
	status, p := r.report(t, []string{"PLANTED=" + first}, "--once")
	if status != 1 || !strings.Contains(p.out.String(), "1 accepted") || !strings.Contains(p.out.String(), "2 refused") || !strings.Contains(p.out.String(), "2 unsendable") {
		t.Errorf("status %d\n%s%s", status, p.out.String(), p.log.String())
	}
	if all := strings.Join(seen, " "); !strings.Contains(all, "Bearer "+first) || !strings.Contains(all, "Bearer "+second) || strings.Contains(all, "http://") {
		t.Errorf("the partner got the tokens %q", seen)
	}
	if out := r.command(t, 0, "show", "echo_0", "--day", "latest"); !strings.Contains(out, `the partner's answer: {"error":{"code":"unauthorized"`) {
		t.Errorf("what the partner answered is not shown:\n%s", out)
	}
	said := p.out.String() + p.log.String() + r.command(t, 0, "status", "--format", "json") + r.command(t, 0, "show", "echo_0", "--day", "latest")
	for _, table := range []string{"reports", "partner_reports", "report_claims", "catalog"} {
		for _, row := range r.rows(t, "SELECT * FROM "+table) {
			said += strings.Join(row, "\t") + "\n"
		}
	}
	for _, token := range []string{first, second} {
		if at := strings.Index(said, token); at >= 0 {
			t.Errorf("the token is told: …%s…", said[max(0, at-200):at+len(token)])
		}
	}
	if !strings.Contains(said, "NOT_THERE") || !strings.Contains(said, "unauthorized") {
		t.Errorf("what is wrong is not told:\n%s", said)
	}
}

// TestTheReportProcess runs `report` with a schedule of its own, and asks it over HTTP.
func TestTheReportProcess(t *testing.T) {
	t.Parallel()
	r := newReported(t, 3, 2*time.Hour)
	r.processes(t)
	if out := r.command(t, 0, "status"); !strings.Contains(out, "3 never reported") {
		t.Errorf("status: %s", out)
	}
	reporter := *r.installation
	reporter.api, reporter.ops = freeAddress(t), freeAddress(t)
	p := start(t, r.env, append([]string{"report", "--listen", reporter.api, "--ops-listen", reporter.ops}, r.at()...)...)
	r.ready(t, p, reporter.ops)
	eventually(t, time.Minute, func() string {
		if n := len(r.partner.Reports("icfg_2")); n == 0 {
			return "the first tick has not come"
		}
		return ""
	})
	if status, body := get("http://" + reporter.ops + "/healthz"); status != 200 {
		t.Errorf("health: %d %s", status, body)
	}
	r.use(t, 1, 12, time.Now())
	a := reporter.producer()
	got := a.post(t, "/admin/v1/reports/run", m{"installation": "icfg_1"}, "Prefer", "wait=30")
	if got.status != 200 || !strings.Contains(got.body, `"ok":true`) || !strings.Contains(got.body, `"accepted":1`) {
		t.Errorf("run: %s", got)
	}
	r.wantLedger(t, 1)
	got = a.post(t, "/admin/v1/reports/run", "", "Prefer", "respond-async")
	if got.status != 202 || !strings.HasPrefix(got.header.Get("Location"), "/admin/v1/reports/runs/") {
		t.Fatalf("run: %s", got)
	}
	eventually(t, time.Minute, func() string {
		if state := a.do(t, "GET", got.header.Get("Location"), ""); state.status != 200 || !strings.Contains(state.body, `"worked":3,"of":3`) {
			return state.String()
		}
		return ""
	})
	a.secret = "wrong"
	if got := a.post(t, "/admin/v1/reports/run", ""); got.status != 401 {
		t.Errorf("without a credential: %s", got)
	}
	// An installation that is added is reported by the next run; the catalog is followed.
	id := uuid.NewString()
	r.catalog = strings.Replace(r.catalog, "accounts:\n", "accounts:\n- {id: "+id+", organization: d3300000-0000-4000-8000-000000000001}\n", 1)
	r.catalog = strings.Replace(r.catalog, "installations:\n", "installations:\n- {id: added, account: "+id+"}\n", 1)
	r.apply(t, r.catalog)
	r.follows(t, reporter.ops)
	a.secret = "demo-secret"
	if got := a.post(t, "/admin/v1/reports/run", "", "Prefer", "wait=30"); got.status != 200 || len(r.partner.Reports("added")) == 0 {
		t.Errorf("after an installation was added: %s, %d reports of it", got, len(r.partner.Reports("added")))
	}
	out := r.command(t, 0, "status")
	if !strings.Contains(out, "4 installations: 4 accepted, 0 failing, 0 never reported") {
		t.Errorf("status: %s", out)
	}
	p.terminate(t)
}
