package send

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// expected reads a trace by other code than the product's: ids by account in order, and how many of each kind.
func expected(t *testing.T, path string) (order map[string][]string, kinds map[string]int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	order, kinds = map[string][]string{}, map[string]int64{}
	for _, row := range rows[1:] {
		order[row[2]] = append(order[row[2]], row[1])
		kinds[row[0]]++
	}
	return order, kinds
}

func TestTraceGoesOutWholeAndInOrder(t *testing.T) {
	const path = "../../testdata/trace-a.csv"
	order, kinds := expected(t, path)
	server := newFakeIngest(t, nil)
	state := t.TempDir()
	got, err := Run(t.Context(), server.options(path, state))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(order, server.sent()); diff != "" {
		t.Errorf("order by account (-file +server):\n%s", diff)
	}
	want := map[Class]int64{Accepted: kinds["usage"], UnknownUsage: 9, Reverted: kinds["revert"] - 9}
	if diff := cmp.Diff(want, got.Counts); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if !got.Complete() || got.ExitStatus() != 0 || got.Lines != kinds["usage"]+kinds["revert"] {
		t.Errorf("the file should be complete: %+v", got)
	}
	if left := marks(t, state); len(left) != 0 {
		t.Errorf("a complete run left %v", left)
	}
	for _, r := range server.requests {
		if len(r.ids) > 50 {
			t.Fatalf("a request of %d usages, where 50 were allowed", len(r.ids))
		}
	}
}

func TestTroublesAreRiddenOut(t *testing.T) {
	server := newFakeIngest(t, func(w http.ResponseWriter, _ *http.Request, nth int) bool {
		switch nth {
		case 1:
			w.Header().Set("Retry-After", "0")
			refuse(w, 503, 14, "the log is slow")
		case 2:
			refuse(w, 429, 8, "slow down")
		case 3:
			panic(http.ErrAbortHandler) // the connection breaks
		case 4:
			refuse(w, 500, 13, "internal server error")
		default:
			return false
		}
		return true
	})
	path := write(t, "a.csv", usages(3, 20)+"revert,r1,"+id(0, 1)+",,,"+id(2, 7)+"\n")
	o := server.options(path, t.TempDir())
	var out bytes.Buffer
	o.Out, o.Batch = &out, 10
	got, err := Run(t.Context(), o)
	if err != nil || !got.Complete() || got.Counts[Accepted] != 60 || got.Counts[Reverted] != 1 {
		t.Fatalf("Run = %+v, %v", got, err)
	}
	order, _ := expected(t, path)
	if diff := cmp.Diff(order, server.sent()); diff != "" {
		t.Errorf("order by account (-file +server):\n%s", diff)
	}
	if !strings.Contains(out.String(), "waiting") {
		t.Errorf("nothing was said of the waiting: %q", out.String())
	}
}

func TestGivesUpInTheEnd(t *testing.T) {
	server := newFakeIngest(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		refuse(w, 503, 14, "the log is down")
		return true
	})
	o := server.options(write(t, "a.csv", usages(2, 3)), t.TempDir())
	o.RetryFor = time.Millisecond
	got, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "the log is down") || got.Complete() || got.ExitStatus() != 1 {
		t.Fatalf("Run = %+v, %v", got, err)
	}
	var text strings.Builder
	if _, err := got.WriteTo(&text); err != nil || !strings.Contains(text.String(), "6  not sent") {
		t.Errorf("the summary is %q", text.String())
	}
}

func TestWrongCredentialEndsTheRun(t *testing.T) {
	server := newFakeIngest(t, nil)
	o := server.options(write(t, "a.csv", usages(40, 3)), t.TempDir())
	o.Credential, o.Connections = "demo:guess", 1
	got, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `credential "demo"`) || strings.Contains(err.Error(), "guess") {
		t.Fatalf("Run = %+v, %v", got, err)
	}
	if server.nth != 1 {
		t.Errorf("%d requests with a credential that is not known", server.nth)
	}
}

func TestRefusedUsagesHoldTheirAccountBack(t *testing.T) {
	bad := id(0, 1)
	var mended atomic.Bool
	server := newFakeIngest(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if strings.Contains(r.URL.Path, "/"+bad+"/") && !mended.Load() {
			if strings.HasSuffix(r.URL.Path, "/revert") {
				t.Error("a revert went out, though its usage was refused")
			}
			refuse(w, 400, 3, "invalid CreateBillingUsageRequest.Usages[2].CreatedAt: 2018-09-30T09:58:02Z is older than 35 days; a credential with the scope usage.backfill may send it")
			return true
		}
		return false
	})
	path := write(t, "a.csv", usages(2, 4)+
		"revert,r1,"+bad+",,,"+id(2, 2)+"\n"+
		"revert,r2,"+id(0, 0)+",,,"+id(1, 2)+"\n")
	state := t.TempDir()
	got, err := Run(t.Context(), server.options(path, state))
	if err != nil {
		t.Fatal(err)
	}
	want := map[Class]int64{Accepted: 4, Reverted: 1, Refused: 4, HeldBack: 1}
	if diff := cmp.Diff(want, got.Counts); diff != "" || got.ExitStatus() != 1 {
		t.Fatalf("status %d, summary (-want +got):\n%s", got.ExitStatus(), diff)
	}
	var text strings.Builder
	if _, err := got.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"4 lines from 3 to 9", bad, "usage.backfill", "1  held_back"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the summary does not say %q:\n%s", want, &text)
		}
	}
	if len(marks(t, state)) != 1 {
		t.Error("no progress was left")
	}

	mended.Store(true)
	got, err = Run(t.Context(), server.options(path, state))
	if err != nil || !got.Complete() || got.Skipped != 1 || len(marks(t, state)) != 0 {
		t.Fatalf("after the mending: %+v, %v", got, err)
	}
	order, _ := expected(t, path)
	if diff := cmp.Diff(order, server.sent()); diff != "" {
		t.Errorf("order by account (-file +server):\n%s", diff)
	}
}

func TestRefusedRevertHoldsNothingBack(t *testing.T) {
	server := newFakeIngest(t, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Header.Get("Idempotency-Key") == "r1" {
			refuse(w, 403, 7, "not authorized")
			return true
		}
		return false
	})
	path := write(t, "a.csv", usages(1, 2)+"revert,r1,"+id(0, 0)+",,,"+id(1, 0)+"\nrevert,r2,"+id(0, 0)+",,,"+id(1, 1)+"\n")
	got, err := Run(t.Context(), server.options(path, t.TempDir()))
	want := map[Class]int64{Accepted: 2, Reverted: 1, Refused: 1}
	if diff := cmp.Diff(want, got.Counts); diff != "" || err != nil || got.ExitStatus() != 1 {
		t.Fatalf("%v, summary (-want +got):\n%s", err, diff)
	}
}

func TestBodies(t *testing.T) {
	server := newFakeIngest(t, nil)
	path := write(t, "a.ndjson", `{"id":"`+strings.ToUpper(id(10, 1))+`","account_id":"`+id(0, 0)+`","time":"2026-01-01T00:00:00.5+01:00","amount":5e2,"type":"feature","source":"s","metadata":{"n":12345678901234567890.123,"t":"x"}}

{"kind":"usage","id":"`+id(10, 2)+`","account_id":"`+id(0, 0)+`","amount":"9223372036854775807"}
{"kind":"revert","id":"r 1","account_id":"`+id(0, 0)+`","amount":0,"usage_id":"`+id(10, 2)+`"}
`)
	if _, err := Run(t.Context(), server.options(path, t.TempDir())); err == nil || !strings.Contains(err.Error(), "line 4: id:") {
		t.Fatalf("an id with a blank: %v", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Replace(data, []byte("r 1"), []byte("r-1"), 1)
	data = append(data, `{"kind":"revert","id":"r-2","account_id":"`+id(0, 0)+`","amount":"3","usage_id":"`+id(10, 1)+`"}`...)
	if got, err := Run(t.Context(), server.options(write(t, "b.jsonl", string(data)), t.TempDir())); err != nil || !got.Complete() {
		t.Fatal(got, err)
	}
	var bodies []string
	for _, r := range server.requests {
		bodies = append(bodies, r.key+r.body)
	}
	want := []string{
		`{"usages":[{"id":"` + id(10, 1) + `","type":"feature","source":"s","amount":"500","created_at":"2026-01-01T00:00:00.5+01:00","metadata":{"n":12345678901234567890.123,"t":"x"}},` +
			`{"id":"` + id(10, 2) + `","amount":"9223372036854775807"}]}`,
		`r-1{}`,
		`r-2{"amount":"3"}`,
	}
	if !slices.Equal(want, bodies) {
		t.Errorf("bodies:\n%s", cmp.Diff(want, bodies))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	path := write(t, "a.csv", usages(1, 1))
	for name, change := range map[string]func(*Options){
		"organization":    func(o *Options) { o.Org = "" },
		"not a URL":       func(o *Options) { o.URL = "127.0.0.1:7400" },
		"id:secret":       func(o *Options) { o.Credential = "demo" },
		"connections":     func(o *Options) { o.Connections = -1 },
		"batch":           func(o *Options) { o.Batch = 10_001 },
		"unknown format":  func(o *Options) { o.Format = "xml" },
		"tells no format": func(o *Options) { o.Path = "usage.txt" },
		"no such file":    func(o *Options) { o.Path = path + ".csv" },
	} {
		o := Options{Path: path, Org: org, StateDir: t.TempDir()}
		change(&o)
		if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
