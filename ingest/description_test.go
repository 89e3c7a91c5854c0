package ingest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/catalog"
	"reckoner/internal/openapi"
)

// described is what the document says of one operation.
type described struct {
	Tags     []string
	Security []map[string][]string
}

// operations reads the document: by method and path. Those of the operators' port are another server's.
func operations(t *testing.T) map[string]described {
	t.Helper()
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	all := map[string]described{}
	for path, item := range document.Paths {
		for _, method := range []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"} {
			text, has := item[method]
			if !has {
				continue
			}
			var o described
			if err := json.Unmarshal(text, &o); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			if !slices.Contains(o.Tags, "operations") {
				all[strings.ToUpper(method)+" "+path] = o
			}
		}
	}
	return all
}

// routesAsDescribed returns the routes of a router, that of any kind of entity once for each kind.
func routesAsDescribed(rt router) map[string]*route {
	all := map[string]*route{}
	for _, r := range rt.routes {
		if !strings.Contains(r.pattern, "{kind}") {
			all[r.method+" "+r.pattern] = r
			continue
		}
		for _, k := range catalog.Kinds() {
			all[r.method+" "+strings.Replace(r.pattern, "{kind}", k.Plural(), 1)] = r
		}
	}
	return all
}

// TestEveryRouteIsDescribed holds the document against the router, both ways: the paths with the names of their parameters,
// methods, ways to authenticate, scopes.
func TestEveryRouteIsDescribed(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Reports, o.CatalogWriter = &runs{}, struct{ CatalogWriter }{} })
	got, want := map[string][]string{}, map[string][]string{}
	for name, o := range operations(t) {
		got[name] = []string{}
		for _, way := range o.Security {
			for scheme, scopes := range way {
				got[name] = append(got[name], scheme+" "+strings.Join(scopes, " "))
			}
		}
	}
	for name, r := range routesAsDescribed(w.server.routes) {
		want[name] = []string{}
		if r.open {
			continue
		}
		if r.dialect.authenticate != nil {
			want[name] = append(want[name], "apiKey "+string(r.scope))
		}
		want[name] = append(want[name], "basic "+string(r.scope), "bearer "+string(r.scope))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the routes (-) and the document (+):\n%s", diff)
	}
}

// The reporter serves a part of the routes, and the same document.
func TestTheReporterServesWhatIsDescribed(t *testing.T) {
	w, runs := newRunsWorld(t)
	h, err := NewReportServer(ReportOptions{Catalog: w.catalog, Runs: runs, Limits: DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	s, ok := h.(*Server)
	if !ok {
		t.Fatalf("a %T", h)
	}
	all := operations(t)
	for name := range routesAsDescribed(s.routes) {
		if _, ok := all[name]; !ok {
			t.Errorf("%s is not described", name)
		}
	}
	for _, h := range []http.Handler{h, w.server} {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/openapi.json", nil)) // without a credential
		var served, carried any
		if err := json.Unmarshal(r.Body.Bytes(), &served); err != nil || r.Code != http.StatusOK || r.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%d %v", r.Code, err)
		}
		if err := json.Unmarshal(openapi.Document, &carried); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(carried, served); diff != "" {
			t.Error(diff)
		}
		r = httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest(http.MethodPost, "/openapi.json", nil))
		if r.Code != http.StatusMethodNotAllowed || r.Header().Get("Allow") != http.MethodGet {
			t.Errorf("a POST: %d, Allow %q", r.Code, r.Header().Get("Allow"))
		}
	}
}
