package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reckoner"
)

// problem is the shape of an error of the dialects that answer with problems.
type problem struct {
	Type          string `json:"type"`
	Title         string `json:"title"`
	Status        int    `json:"status"`
	Detail        string `json:"detail"`
	Instance      string `json:"instance"`
	InvalidFields []struct {
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"invalidFields"`
}

// fields are the names of the invalid fields, in their order.
func (p problem) fields() string {
	names := make([]string, len(p.InvalidFields))
	for i, f := range p.InvalidFields {
		names[i] = f.Field
	}
	return strings.Join(names, " ")
}

// problem reads an answer as a problem, strictly: a status that agrees, the right type, no more keys.
func (a answer) problem(t testing.TB) problem {
	t.Helper()
	var p problem
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.Status != a.status || p.Type == "" || p.Title == "" || p.Detail == "" || !strings.HasPrefix(p.Instance, "/") {
		t.Fatalf("not a problem: %d %s (%v)", a.status, a.body, err)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("a problem came as %q", got)
	}
	if (a.status == http.StatusUnprocessableEntity) != (len(p.InvalidFields) > 0) {
		t.Errorf("%d with invalid fields %v", a.status, p.InvalidFields)
	}
	return p
}

func TestProblems(t *testing.T) {
	var fields fieldsError
	if fields.err() != nil {
		t.Error("no wrong field is an error")
	}
	fields.add("quantity", "want a number")
	fields.add("subscriptionId", `"no" such`)
	failed := func(code reckoner.Code) error {
		return fmt.Errorf("deep inside: %w", &reckoner.Error{Code: code, Message: "told", Err: errors.New("secret")})
	}
	for _, c := range []struct {
		err            error
		status         int
		detail, fields string
		header         string // Name: value
	}{
		{errNoRoute, 404, "no such path", "", ""},
		{&noMethodError{[]string{"GET", "DELETE"}}, 405, "it has GET, DELETE", "", "Allow: GET, DELETE"},
		{errSlowBody, 408, "did not arrive", "", "Connection: close"},
		{fmt.Errorf("put: %w", errVersion), 412, "changed by somebody else", "", ""},
		{failed(reckoner.Invalid), 400, "told", "", ""},
		{&reckoner.Error{Code: reckoner.Invalid, Field: "limit", Message: "too many"}, 422, "invalidFields", "limit", ""},
		{fmt.Errorf("post: %w", fields.err()), 422, "invalidFields", "quantity subscriptionId", ""},
		{badField("id", "x"), 422, "invalidFields", "id", ""},
		{errUnauthenticated, 401, "not authenticated", "", "WWW-Authenticate: " + challenge},
		{errForbidden, 403, "not authorized", "", ""},
		{failed(reckoner.NotFound), 404, "told", "", ""},
		{failed(reckoner.AlreadyExists), 409, "told", "", ""},
		{failed(reckoner.FailedPrecondition), 409, "told", "", ""},
		{failed(reckoner.TooLarge), 413, "told", "", "Connection: close"},
		{failed(reckoner.TooMany), 429, "told", "", "Retry-After: 1"},
		{failed(reckoner.Unavailable), 503, "told", "", "Retry-After: 1"},
		{failed(reckoner.Internal), 500, internalMessage, "", ""},
		{errors.New("secret"), 500, internalMessage, "", ""},
	} {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/usages/a%2Fb", nil)
		problemFail(&call{w: &recorder{ResponseWriter: rec}, r: r, received: noon()}, c.err)
		a := answer{rec.Code, rec.Header(), rec.Body.String()}
		p := a.problem(t)
		if p.Status != c.status || p.Title != http.StatusText(c.status) || !strings.Contains(p.Detail, c.detail) || p.fields() != c.fields {
			t.Errorf("%v: %s", c.err, a.body)
		}
		if strings.Contains(a.body, "secret") {
			t.Errorf("%v: the cause is shown: %s", c.err, a.body)
		}
		if p.Instance != "/usages/a%2Fb" {
			t.Errorf("%v: instance %s", c.err, p.Instance)
		}
		if name, value, ok := strings.Cut(c.header, ": "); ok && a.header.Get(name) != value {
			t.Errorf("%v: %s is %q", c.err, name, a.header.Get(name))
		}
	}
}

func TestNotUTF8InAProblem(t *testing.T) {
	got := string(appendProblem(nil, "/x", 404, &reckoner.Error{Code: reckoner.NotFound, Message: "\xff\"<"}))
	want := `{"type":"about:blank","title":"Not Found","status":404,"detail":"` + "�" + `\"<","instance":"/x"}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
