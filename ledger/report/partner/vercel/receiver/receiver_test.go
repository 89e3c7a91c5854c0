package receiver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// goldens are the payloads that reports are held to, by file.
func goldens(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../../testdata/*.jsonl")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	all := make(map[string][]byte)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		for n := 0; lines.Scan(); n++ {
			all[strings.TrimSuffix(filepath.Base(file), ".jsonl")+"/"+string(rune('a'+n))] = bytes.Clone(lines.Bytes())
		}
	}
	return all
}

// came is when a report arrives: at its own timestamp.
func came(t testing.TB, body []byte) time.Time {
	t.Helper()
	r, _ := read(body, time.Time{})
	if r.Timestamp.IsZero() {
		t.Fatalf("no timestamp in %s", body)
	}
	return r.Timestamp
}

func TestGoldenPayloadsAreTaken(t *testing.T) {
	for name, body := range goldens(t) {
		if broken := Check(body, came(t, body)); len(broken) > 0 {
			t.Errorf("%s: %q\n%s", name, broken, body)
		}
	}
}

// call is one request to a receiver, as it is served below a path.
type call struct {
	method, path, token, accept, kind string
	body                              []byte
}

func (c call) to(r *Receiver) *httptest.ResponseRecorder {
	req := httptest.NewRequest(c.method, "/partner"+c.path, bytes.NewReader(c.body))
	if c.token != "" {
		req.Header.Set("Authorization", c.token)
	}
	req.Header.Set("Accept", c.accept)
	req.Header.Set("Content-Type", c.kind)
	w := httptest.NewRecorder()
	http.StripPrefix("/partner", r).ServeHTTP(w, req)
	return w
}

// post sends a report of an installation that must be taken.
func post(t *testing.T, r *Receiver, escapedID, body string) {
	t.Helper()
	w := call{http.MethodPost, "/v1/installations/" + escapedID + "/billing", "Bearer any", "", "application/json", []byte(body)}.to(r)
	if w.Code != http.StatusCreated || w.Body.Len() > 0 {
		t.Errorf("%d %s, want 201 and nothing", w.Code, w.Body)
	}
}

func TestAnswers(t *testing.T) {
	const path = "/v1/installations/icfg_1/billing"
	large := `{"timestamp":"` + strings.Repeat("x", 5000) + `"}`
	r := New(Options{Now: func() time.Time { return now }, MaxBody: 5000, Token: func(id string) (string, bool) { return "secret", id == "icfg_1" || id == "a/b" }})
	for _, tt := range []struct {
		name string
		call
		status int
		want   string
	}{
		{"taken", call{http.MethodPost, path, "Bearer secret", "", "application/json", []byte(base)}, 201, ""},
		{"of an id with a slash", call{http.MethodPost, "/v1/installations/a%2Fb/billing", "bearer secret", "", "application/json; charset=utf-8", []byte(base)}, 201, ""},
		{"no token", call{http.MethodPost, path, "", "", "application/json", []byte(base)}, 401, "unauthorized"},
		{"an empty token", call{http.MethodPost, path, "Bearer ", "", "application/json", []byte(base)}, 401, "unauthorized"},
		{"another scheme", call{http.MethodPost, path, "Basic secret", "", "application/json", []byte(base)}, 401, "unauthorized"},
		{"a wrong token", call{http.MethodPost, path, "Bearer Secret", "", "application/json", []byte(base)}, 401, "not the installation's access token"},
		{"an unknown installation", call{http.MethodPost, "/v1/installations/icfg_2/billing", "Bearer secret", "", "application/json", []byte(base)}, 404, "icfg_2"},
		{"a path that is none", call{http.MethodPost, path + "/", "Bearer secret", "", "application/json", []byte(base)}, 404, "not_found"},
		{"another path that is none", call{http.MethodPost, "/v2/installations/icfg_1/billing", "Bearer secret", "", "application/json", []byte(base)}, 404, "not_found"},
		{"no id", call{http.MethodPost, "/v1/installations//billing", "Bearer secret", "", "application/json", []byte(base)}, 404, "not_found"},
		{"a GET of billing", call{http.MethodGet, path, "Bearer secret", "", "", nil}, 405, "method_not_allowed"},
		{"a PUT of billing", call{http.MethodPut, path, "Bearer secret", "", "application/json", []byte(base)}, 405, "method_not_allowed"},
		{"a POST of a page", call{http.MethodPost, "/", "Bearer secret", "", "application/json", []byte(base)}, 405, "read with GET"},
		{"a large body", call{http.MethodPost, path, "Bearer secret", "", "application/json", []byte(large)}, 413, "over 5000 bytes"},
		{"no type", call{http.MethodPost, path, "Bearer secret", "", "", []byte(base)}, 400, "Content-Type: is"},
		{"two rules", call{http.MethodPost, path, "Bearer secret", "", "text/plain", []byte(`{}`)}, 400, `usage: is missing; Content-Type: is`},
		{"an installation of which nothing is kept", call{http.MethodGet, "/v1/installations/icfg_3", "", "", "", nil}, 404, "icfg_3"},
	} {
		w := tt.to(r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s, want %d and %q", tt.name, w.Code, w.Body, tt.status, tt.want)
		}
		if w.Code == http.StatusCreated {
			continue
		}
		var said struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || said.Error.Code == "" || said.Error.Message == "" {
			t.Errorf("%s: %s: %v", tt.name, w.Body, err)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: the answer says the token: %s", tt.name, w.Body)
		}
	}
	if len(r.Reports("icfg_1")) != 1 || len(r.Reports("a/b")) != 1 {
		t.Error("what was taken is not what was answered with 201")
	}
}

// at gives base another timestamp and eod.
func at(timestamp, eod string) string {
	return strings.NewReplacer("2026-03-15T08:00:00.001Z", timestamp, "2026-03-16T00:00:00.000Z", eod).Replace(base)
}

func TestNewestTimestampStands(t *testing.T) {
	const today, yesterday = "2026-03-16T00:00:00.000Z", "2026-03-15T00:00:00.000Z"
	r := New(Options{Now: func() time.Time { return now }})
	for _, body := range []string{
		at("2026-03-15T08:00:00.005Z", today),
		at("2026-03-15T08:00:00.003Z", today), // older: taken, and replaces nothing
		at("2026-03-15T08:00:00.004Z", yesterday),
		strings.Replace(at("2026-03-15T08:00:00.005Z", today), `"planValue":10`, `"planValue":11`, 1), // not newer either
		at("2026-03-15T08:00:00.006Z", yesterday),
	} {
		post(t, r, "icfg_1", body)
	}
	if all := r.Reports("icfg_1"); len(all) != 5 || all[1].Timestamp.Nanosecond() != 3e6 || !all[1].At.Equal(now) {
		t.Errorf("%+v", all)
	}
	stands := r.Latest("icfg_1")
	if len(stands) != 2 || stands[0].Timestamp.Nanosecond() != 6e6 || stands[1].Timestamp.Nanosecond() != 5e6 || stands[1].Usage[0].Plan.String() != "10" {
		t.Errorf("%+v", stands)
	}
	if len(r.Latest("icfg_2"))+len(r.Reports("icfg_2")) > 0 {
		t.Error("reports of an installation that sent none")
	}
}

func TestPages(t *testing.T) {
	r := New(Options{Now: func() time.Time { return now }})
	if w := (call{method: http.MethodGet, path: "/"}).to(r); w.Code != 200 || w.Body.String() != `{"installations":[],"more":0}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	newer := strings.Replace(at("2026-03-15T08:00:01.000Z", "2026-03-16T00:00:00.000Z"), `"launch"`, `"<script>x</script>"`, 1)
	post(t, r, "a%2Fb", base)
	post(t, r, "a%2Fb", newer)
	var first installationsPage
	w := call{method: http.MethodGet, path: "", accept: "application/json"}.to(r)
	if err := json.Unmarshal(w.Body.Bytes(), &first); err != nil || len(first.Installations) != 1 || first.Installations[0].ID != "a/b" || first.Installations[0].Reports != 2 {
		t.Errorf("%s: %v", w.Body, err)
	}
	var page reportsPage
	w = call{method: http.MethodGet, path: "/v1/installations/a%2Fb"}.to(r)
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Reports) != 2 {
		t.Fatalf("%s: %v", w.Body, err)
	}
	if p := page.Reports; p[0].Body != newer || !p[0].Latest || p[1].Body != base || p[1].Latest {
		t.Errorf("%+v: want the exact bodies, newest first", p)
	}
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	w = call{method: http.MethodGet, path: "/", accept: browser}.to(r)
	if !strings.Contains(w.Body.String(), `<a href="v1/installations/a%2Fb">a/b</a>`) || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	w = call{method: http.MethodGet, path: "/v1/installations/a%2Fb", accept: browser}.to(r)
	for _, want := range []string{"<td class=\"n\">0.3</td>", "a newer timestamp replaced it", html.EscapeString(newer), `<td>res_1</td>`, "<td class=\"n\">0.02</td>", "</html>"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q is not in %s", want, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), "<script>") {
		t.Errorf("what was reported became part of the page: %s", w.Body)
	}
}

// However much arrives, the shelf stays within its bounds, and what stands goes last.
func TestShelfIsBounded(t *testing.T) {
	const keep = 5
	r := New(Options{Now: func() time.Time { return now }, Keep: keep})
	for i := range 20 {
		post(t, r, "icfg_1", at(now.Add(-time.Duration(i)*time.Second).Format(wireLayout), "2026-03-16T00:00:00.000Z")) // each older
	}
	all := r.Reports("icfg_1")
	if len(all) != keep || !r.Latest("icfg_1")[0].Timestamp.Equal(now) || !all[keep-1].Timestamp.Equal(now.Add(-19*time.Second)) {
		t.Errorf("%d are kept: %+v", len(all), all)
	}
	r = New(Options{Now: func() time.Time { return now }, KeepBytes: 10 * int64(len(base)+heldOverhead+len("icfg_00"))})
	for i := range 100 {
		post(t, r, fmt.Sprintf("icfg_%02d", i%50), base)
	}
	if n := len(r.shelf.installations); n != 10 || r.shelf.bytes > r.o.KeepBytes || r.shelf.arrivals.Len() != 10 || len(r.Reports("icfg_49")) != 1 {
		t.Errorf("%d installations, %d bytes of %d", n, r.shelf.bytes, r.o.KeepBytes)
	}
}

func TestMayBeUsedByMany(t *testing.T) {
	r := New(Options{Now: func() time.Time { return now }, Keep: 3})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 20 {
				post(t, r, fmt.Sprint("icfg_", i%3), base)
				r.Latest("icfg_1")
				call{method: http.MethodGet, path: "/v1/installations/icfg_0", accept: "text/html"}.to(r)
			}
		})
	}
	all.Wait()
	if n := len(r.Reports("icfg_0")) + len(r.Reports("icfg_1")) + len(r.Reports("icfg_2")); n != 9 {
		t.Errorf("%d are kept, want 9", n)
	}
}
