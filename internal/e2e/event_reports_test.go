package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// eventReports asks for the story of an id, and returns the reports of its one event of a kind.
func (a *api) eventReports(t testing.TB, account, id, kind string) (reports []eventReport) {
	t.Helper()
	got := a.do(t, http.MethodGet, "/v1/events/"+account+"/"+id, "")
	var story struct {
		Events []struct {
			Kind    string
			Reports *[]eventReport
		}
	}
	if err := json.Unmarshal([]byte(got.body), &story); err != nil || got.status != http.StatusOK {
		t.Fatalf("%s: %v", got, err)
	}
	for _, e := range story.Events {
		if e.Kind == kind && e.Reports != nil {
			return *e.Reports
		}
	}
	t.Fatalf("no %s with a list of reports: %s", kind, got)
	return nil
}

type eventReport struct {
	Installation string `json:"installation_id"`
	Target       string
	Timestamp    string
	EOD          string
	Period       struct{ Start, End string }
	SHA256       string `json:"payload_sha256"`
}

// TestAnEventNamesItsReports: the first accepted report that carried an event is named by the hash of its bytes, and stays so. That
// may be one with the closing figures of the day before, whose values of the period are those up to now.
func TestAnEventNamesItsReports(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, patient())
	dev := i.dev(t)
	a := i.producer()
	taken := func() (bodies []string) { // newest first
		t.Helper()
		_, text := get("http://" + i.api + "/partner/v1/installations/icfg_demo")
		var page struct{ Reports []struct{ Body string } }
		if err := json.Unmarshal([]byte(text), &page); err == nil {
			for _, r := range page.Reports {
				bodies = append(bodies, r.Body)
			}
		}
		return bodies
	}
	run := func() (first string) { // what was reported first by it
		t.Helper()
		before := len(taken())
		if got := a.post(t, "/admin/v1/reports/run", m{}, "Prefer", "wait=30"); got.status != http.StatusOK {
			t.Fatalf("run: %s", got)
		}
		after := taken()
		if len(after) <= before {
			t.Fatalf("the partner has %d reports, and had %d", len(after), before)
		}
		return after[len(after)-before-1]
	}
	eventually(t, time.Minute, func() string { // the first tick comes by itself, the next one in an hour
		if !strings.Contains(dev.log.String(), "reports sent") {
			return "the first tick has not ended"
		}
		return ""
	})
	usage, revert := uuid.NewString(), uuid.NewString()
	wantOutcomes(t, a.post(t, createPath(demoAccount), usages(m{"id": usage, "amount": 7, "type": "feature", "source": "api"}), "Prefer", "wait=30"),
		outcome{usage, "applied", "7", false})
	if reports := a.eventReports(t, demoAccount, usage, "usage"); len(reports) != 0 {
		t.Errorf("before it was reported: %+v", reports)
	}
	body := run()
	first := a.eventReports(t, demoAccount, usage, "usage")
	wantCarrier(t, first, body)

	wantOK(t, a.post(t, revertPath(demoAccount, usage), m{}, "Idempotency-Key", revert))
	if reports := a.eventReports(t, demoAccount, revert, "revert"); len(reports) != 0 {
		t.Errorf("before it was reported: %+v", reports)
	}
	body = run()
	wantCarrier(t, a.eventReports(t, demoAccount, revert, "revert"), body)
	if again := a.eventReports(t, demoAccount, usage, "usage"); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("first %+v, later %+v", first, again)
	}
}

// wantCarrier holds the one report of an event against the bytes that the partner got.
func wantCarrier(t testing.TB, got []eventReport, body string) {
	t.Helper()
	var payload struct {
		Timestamp, EOD string
		Period         struct{ Start, End string }
	}
	if err := json.Unmarshal([]byte(body), &payload); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	sum := sha256.Sum256([]byte(body))
	if len(got) != 1 || got[0].Installation != "icfg_demo" || got[0].Target != "vercel" || got[0].SHA256 != hex.EncodeToString(sum[:]) {
		t.Fatalf("reports %+v, want one of the payload %x: %s", got, sum, body)
	}
	for _, times := range [][2]string{
		{got[0].Timestamp, payload.Timestamp}, {got[0].EOD, payload.EOD}, {got[0].Period.Start, payload.Period.Start}, {got[0].Period.End, payload.Period.End},
	} {
		a, errA := time.Parse(time.RFC3339Nano, times[0])
		b, errB := time.Parse(time.RFC3339Nano, times[1])
		if errA != nil || errB != nil || !a.Equal(b) {
			t.Errorf("%s, want %s (%v, %v)", times[0], times[1], errA, errB)
		}
	}
}
