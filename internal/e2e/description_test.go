package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner/internal/openapi"
	"reckoner/internal/openapi/openapitest"
)

var checker = sync.OnceValues(openapitest.New)

// described is how tests reach the API: whatever is answered that its description does not allow fails the test. Benchmarks
// are let alone, which would measure it.
func described(t testing.TB) http.RoundTripper {
	t.Helper()
	c, err := checker()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := t.(*testing.T); !ok {
		return http.DefaultTransport
	}
	return &openapitest.Transport{T: t, Checker: c}
}

// judge holds an answer that came by another way than the client's.
func judge(t testing.TB, method, path string, got answer) {
	t.Helper()
	c, err := checker()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, path, nil)
	if err := c.Check(&openapitest.Exchange{Request: r, Status: got.status, Header: got.header, Body: []byte(got.body)}); err != nil {
		t.Error(err)
	}
}

// TestTheAPIIsAsItIsDescribed fetches the description as anybody can, asks every operation that it has with nothing but
// its examples and made up names, and lets `reckoner send` go by a proxy that looks at all it says and hears.
func TestTheAPIIsAsItIsDescribed(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, patient())
	i.dev(t)
	anybody := &http.Client{Timeout: time.Minute, Transport: i.described}
	status, text := fetch(t, anybody, "http://"+i.api+"/openapi.json")
	var want bytes.Buffer
	if err := json.Compact(&want, openapi.Document); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK || text != want.String() {
		t.Errorf("the description: %d, %d bytes, want the %d of the document", status, len(text), want.Len())
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		if status, text := fetch(t, anybody, "http://"+i.ops+path); status != http.StatusOK || text == "" {
			t.Errorf("%s: %d %q", path, status, text)
		}
	}
	t.Run("every operation", func(t *testing.T) { i.everyOperation(t) })
	t.Run("send", func(t *testing.T) { i.sendsAsDescribed(t) })
}

// operation is what the document says of one: here, how it is asked.
type operation struct {
	Security    []any
	RequestBody struct {
		Content map[string]struct {
			Example  json.RawMessage
			Examples map[string]struct {
				Ref string `json:"$ref"`
			}
		}
	}
}

// everyOperation asks each operation of the API twice: with a wrong secret, and with the demo's credential and the example of
// its body. What comes back is judged on its way; none may be a defect. The examples of entities can be put, got and deleted.
func (i *installation) everyOperation(t *testing.T) {
	var document struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct {
			Examples map[string]struct{ Value json.RawMessage }
		}
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer(
		"{billing_id}", demoAccount, "{account}", demoAccount, "v1/accounts/{id}/", "v1/accounts/"+demoAccount+"/", "{usage_id}", uuid.NewString(),
		"{org_id}", demoOrg, "{organizationId}", demoOrg, "subscriptions/{id}/usage", "subscriptions/sub_demo/usage",
		"admin/v1/accounts/{id}", "admin/v1/accounts/"+uuid.NewString(), "{id}", "made_up",
	)
	a := i.producer()
	nobody := &api{base: a.base, secret: "wrong", client: a.client}
	asked := 0
	for path, item := range document.Paths {
		for _, method := range []string{"post", "put", "get", "delete"} {
			text, has := item[method]
			if !has || strings.Contains(string(text), `"operations"`) {
				continue
			}
			var o operation
			if err := json.Unmarshal(text, &o); err != nil {
				t.Fatal(err)
			}
			content := o.RequestBody.Content["application/json"]
			body := string(content.Example)
			for _, example := range content.Examples {
				body = string(document.Components.Examples[filepath.Base(example.Ref)].Value)
			}
			method, path := strings.ToUpper(method), fill.Replace(path)
			asked++
			if got := nobody.do(t, method, path, body); len(o.Security) > 0 && got.status != http.StatusUnauthorized {
				t.Errorf("%s %s with a wrong secret: %s", method, path, got)
			}
			got := a.do(t, method, path, body)
			if got.status >= 500 || got.status == http.StatusUnauthorized {
				t.Errorf("%s %s: %s", method, path, got)
			}
			if want := map[string]int{http.MethodPut: 201, http.MethodGet: 200, http.MethodDelete: 204}[method]; item["put"] != nil && got.status != want {
				t.Errorf("an entity: %s %s %s: %s, want %d", method, path, body, got, want)
			}
		}
	}
	if asked < 50 {
		t.Errorf("the document has %d operations only", asked)
	}
}

// sendsAsDescribed reports usages and reverts by the program's own client.
func (i *installation) sendsAsDescribed(t *testing.T) {
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: i.api}) },
		Transport: i.described,
	})
	defer proxy.Close()
	var lines strings.Builder
	lines.WriteString("kind,id,account_id,time,amount,usage_id\n")
	for n := range 20 {
		id := uuid.NewString()
		fmt.Fprintf(&lines, "usage,%s,%s,%s,%d,\n", id, demoAccount, time.Now().UTC().Format(time.RFC3339), n+1)
		if n%4 == 0 {
			fmt.Fprintf(&lines, "revert,%s,%s,%s,0,%s\n", uuid.NewString(), demoAccount, time.Now().UTC().Format(time.RFC3339), id)
		}
	}
	file := filepath.Join(t.TempDir(), "usages.csv")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, p := run(t, nil, "send", "--url", proxy.URL, file); status != 0 {
		t.Errorf("send ended with status %d\n%s%s", status, p.out.String(), p.log.String())
	}
}

// fetch asks without a credential.
func fetch(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b.String()
}
