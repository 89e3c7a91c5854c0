package send

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"reckoner"
)

const org = "demo"

// A request is one that the fake ingest answered for good.
type request struct {
	account string
	revert  bool
	key     string // Idempotency-Key
	usage   string // of a revert
	ids     []string
	body    string
	waits   bool   // for the outcome, as a probe does
	known   []bool // of each usage, before this request
}

// A disturbance may answer a request instead of the fake, or break its connection.
type disturbance func(w http.ResponseWriter, r *http.Request, nth int) bool

// A fakeIngest keeps what it is sent and decides reverts as the ledger would.
type fakeIngest struct {
	t       *testing.T
	server  *httptest.Server
	disturb disturbance

	mu       sync.Mutex
	nth      int
	busy     map[string]bool // accounts with a request under way
	requests []request
	usages   map[string]bool // account and id
	reverted map[string]bool
	answers  map[string]answer // of reverts, by account and key
}

func newFakeIngest(t *testing.T, disturb disturbance) *fakeIngest {
	f := &fakeIngest{
		t: t, disturb: disturb, busy: map[string]bool{}, usages: map[string]bool{}, reverted: map[string]bool{}, answers: map[string]answer{},
	}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeIngest) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.nth++
	nth := f.nth
	f.mu.Unlock()
	if f.disturb != nil && f.disturb(w, r, nth) {
		return
	}
	if id, secret, ok := r.BasicAuth(); !ok || id != "demo" || secret != "demo-secret" {
		refuse(w, 401, 16, "not authenticated")
		return
	}
	got, err := parseRequest(r)
	if err != nil {
		f.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		refuse(w, 400, 3, err.Error())
		return
	}
	f.enter(got.account)
	defer f.leave(got.account)
	a := f.decide(&got)
	if a.outcome != "" {
		w.Header().Set("Reckoner-Outcome", a.outcome)
	}
	if a.ok() {
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, got.outcomes())
		return
	}
	refuse(w, a.status, a.code, a.message)
}

// outcomes is the body of an answer, in the server's own form.
func (r *request) outcomes() string {
	if !r.waits {
		return "{}"
	}
	var all []string
	for i, id := range r.ids {
		one := fmt.Sprintf(`{"id":%q,"outcome":"applied","quantity":"1"`, id)
		if r.known[i] {
			one += `,"duplicate":true`
		}
		all = append(all, one+"}")
	}
	return `{"outcomes":[` + strings.Join(all, ",") + "]}"
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"code":%d,"message":%q,"details":[]}`, code, message)
}

func parseRequest(r *http.Request) (request, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return request{}, err
	}
	got := request{body: string(body), key: r.Header.Get("Idempotency-Key"), waits: strings.HasPrefix(r.Header.Get("Prefer"), "wait=")}
	p := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1beta1/"), "/")
	switch {
	case len(p) == 5 && p[0] == "organizations" && p[1] == org && p[2] == "billing" && p[4] == "usages":
		got.account = p[3]
		var told struct{ Usages []struct{ ID string } }
		if err := json.Unmarshal(body, &told); err != nil {
			return request{}, err
		}
		for _, u := range told.Usages {
			got.ids = append(got.ids, u.ID)
		}
	case len(p) == 8 && p[0] == "admin" && p[2] == org && p[3] == "billing" && p[5] == "usage" && p[7] == "revert":
		got.account, got.usage, got.revert = p[4], p[6], true
		got.ids = []string{got.key}
	default:
		return request{}, errors.New("no such route")
	}
	return got, nil
}

// enter fails the test when an account has two requests under way: their order would be anybody's guess.
func (f *fakeIngest) enter(account string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy[account] {
		f.t.Errorf("account %s has two requests under way", account)
	}
	f.busy[account] = true
}

func (f *fakeIngest) leave(account string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy[account] = false
}

func (f *fakeIngest) decide(r *request) answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, *r)
	if !r.revert {
		for _, id := range r.ids {
			r.known = append(r.known, f.usages[r.account+" "+id])
			f.usages[r.account+" "+id] = true
		}
		return answer{status: 200}
	}
	key, usage := r.account+" "+r.key, r.account+" "+r.usage
	a, seen := f.answers[key]
	switch {
	case seen:
		return a
	case !f.usages[usage]:
		a = answer{status: 404, code: 5, message: "unknown usage", outcome: "unknown_usage"}
	case f.reverted[usage]:
		a = answer{status: 400, code: 9, message: "already reverted", outcome: "already_reverted"}
	default:
		f.reverted[usage] = true
		a = answer{status: 200, outcome: "reverted"}
	}
	f.answers[key] = a
	return a
}

// forget loses usages, as a server does that went back to an older state, and with all of them everything else.
func (f *fakeIngest) forget(lost func(id string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.usages, func(key string, _ bool) bool { return lost(strings.Fields(key)[1]) })
	if len(f.usages) == 0 {
		clear(f.reverted)
		clear(f.answers)
	}
	f.requests = nil
}

// sent returns the ids of each account in the order in which they were first stored.
func (f *fakeIngest) sent() map[string][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string][]string{}
	seen := map[string]bool{}
	for _, r := range f.requests {
		for _, id := range r.ids {
			if key := fmt.Sprint(r.account, r.revert, id); !seen[key] {
				seen[key] = true
				out[r.account] = append(out[r.account], id)
			}
		}
	}
	return out
}

func (f *fakeIngest) options(path, state string) Options {
	return Options{Path: path, URL: f.server.URL, Org: org, StateDir: state, Batch: 50}
}

// write puts a file into a fresh folder.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// id makes a UUID that a person can tell from others.
func id(group, n int) string {
	s := fmt.Sprintf("%08d-0000-4000-8000-%012d", group, n)
	if !reckoner.IsUUID(s) {
		panic(s)
	}
	return s
}

// usages makes a CSV of n usages for each of some accounts, taking turns.
func usages(accounts, n int) string {
	var b strings.Builder
	b.WriteString("kind,id,account_id,time,amount,usage_id\n")
	for i := range n {
		for a := range accounts {
			fmt.Fprintf(&b, "usage,%s,%s,2026-01-01T00:00:00Z,%d,\n", id(1+a, i), id(0, a), i+1)
		}
	}
	return b.String()
}

func marks(t *testing.T, state string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(state, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func TestTheServerNamesWhatBecameOfARevert(t *testing.T) {
	for _, c := range []struct {
		answer  answer
		class   Class
		decided bool
	}{
		{answer{status: 200, outcome: "reverted"}, Reverted, true},
		{answer{status: 200}, Reverted, true},
		{answer{status: 202}, Undecided, true},
		{answer{status: 404, code: 5, outcome: "unknown_usage"}, UnknownUsage, true},
		{answer{status: 404, code: 5}, Refused, false}, // no such account, or no such path
		{answer{status: 400, code: 9, outcome: "already_reverted"}, AlreadyReverted, true},
		{answer{status: 400, code: 9, outcome: "not_revertable"}, NotRevertable, true},
		{answer{status: 400, code: 3, outcome: "exceeds_usage"}, ExceedsUsage, true},
		{answer{status: 400, code: 3}, Refused, false},
		{answer{status: 409, code: 6, outcome: "conflict"}, Conflict, true},
		{answer{status: 500, code: 13, outcome: "misrouted"}, Refused, false},
	} {
		if class, decided := revertClass(c.answer); class != c.class || decided != c.decided {
			t.Errorf("%+v: %s, decided %v", c.answer, class, decided)
		}
	}
}
