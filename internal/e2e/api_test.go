package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// The demo catalog's names.
const (
	demoOrg     = "demo"
	demoAccount = "d3300000-0000-4000-8000-000000000003"
)

// api is a producer with the demo's credential.
type api struct {
	base   string
	secret string
	client *http.Client
}

func (i *installation) producer() *api {
	return &api{base: "http://" + i.api, secret: "demo-secret", client: &http.Client{Timeout: time.Minute, Transport: i.described}}
}

// answer is what came back of one request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, tail(a.body, 500)) }

// try makes one request. header are names and values in turn. body is a string, or something to write as JSON.
func (a *api) try(method, path string, body any, header ...string) (answer, error) {
	text, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = string(b)
	}
	req, err := http.NewRequest(method, a.base+path, bytes.NewReader([]byte(text)))
	if err != nil {
		return answer{}, err
	}
	req.SetBasicAuth("demo", a.secret)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := a.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

func (a *api) do(t testing.TB, method, path string, body any, header ...string) answer {
	t.Helper()
	got, err := a.try(method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (a *api) post(t testing.TB, path string, body any, header ...string) answer {
	t.Helper()
	return a.do(t, http.MethodPost, path, body, header...)
}

func createPath(account string) string {
	return "/v1beta1/organizations/" + demoOrg + "/billing/" + account + "/usages"
}

func revertPath(account, usage string) string {
	return "/v1beta1/admin/organizations/" + demoOrg + "/billing/" + account + "/usage/" + usage + "/revert"
}

// m is a JSON object.
type m = map[string]any

// usages is the body of a create request.
func usages(list ...m) m { return m{"usages": list} }

// manyUsages is n usages of new ids.
func manyUsages(n int, amount int64) (list []m, ids []string) {
	for range n {
		id := uuid.NewString()
		ids = append(ids, id)
		list = append(list, m{"id": id, "amount": amount})
	}
	return list, ids
}

// wantOK holds an answer against a success. Without Prefer it is an empty object.
func wantOK(t testing.TB, got answer) {
	t.Helper()
	if got.status != http.StatusOK || got.body != "{}" {
		t.Errorf("got %s, want 200 {}", got)
	}
}

// wantError holds an answer against the shape of errors: three keys and no more.
func wantError(t testing.TB, got answer, status, code int, says string) {
	t.Helper()
	var shape struct {
		Code    *int    `json:"code"`
		Message *string `json:"message"`
		Details *[]any  `json:"details"`
	}
	d := json.NewDecoder(strings.NewReader(got.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&shape); err != nil || shape.Code == nil || shape.Message == nil || shape.Details == nil || len(*shape.Details) != 0 {
		t.Errorf("got %s, which has not the shape of an error: %v", got, err)
		return
	}
	if got.status != status || *shape.Code != code || !strings.Contains(*shape.Message, says) {
		t.Errorf("got %s, want %d code %d saying %q", got, status, code, says)
	}
	if ct := got.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("an error came as %q", ct)
	}
}

// outcome is one outcome as an answer carries it.
type outcome struct {
	ID        string `json:"id"`
	Outcome   string `json:"outcome"`
	Quantity  string `json:"quantity"`
	Duplicate bool   `json:"duplicate"`
}

// wantOutcomes holds the outcomes of a waited create against what they must be.
func wantOutcomes(t testing.TB, got answer, want ...outcome) {
	t.Helper()
	var shape struct {
		Outcomes []outcome `json:"outcomes"`
	}
	if err := json.Unmarshal([]byte(got.body), &shape); err != nil || got.status != http.StatusOK {
		t.Errorf("got %s (%v), want outcomes", got, err)
		return
	}
	if fmt.Sprint(shape.Outcomes) != fmt.Sprint(want) {
		t.Errorf("outcomes %v, want %v", shape.Outcomes, want)
	}
}
