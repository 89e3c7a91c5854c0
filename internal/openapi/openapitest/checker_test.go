package openapitest

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"reckoner/internal/openapi"
)

const (
	account = "/v1beta1/organizations/demo/billing/d3300000-0000-4000-8000-000000000003"
	usage   = `{"id":"job","subscriptionId":"s","quantity":9223372036854775807.001,"usageTime":"2026-06-15T12:00:00Z","invoiceId":null,` +
		`"invoiceItemId":null,"createdTime":"2026-06-15T12:00:00Z","updatedTime":"2026-06-15T12:00:00Z","_links":[{"href":"/usages/job","rel":"self"}]}`
	notFound = `{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such usage","instance":"/usages/job"}`
)

// TestWhatIsWrongIsSeen breaks each promise of the document once.
func TestWhatIsWrongIsSeen(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	const key, id, jsonType = "Reb-Apikey: a:b", "X-Request-Id: r1", "Content-Type: application/json"
	created := []string{id, jsonType, "Location: /usages/job", "Reckoner-Outcome: applied"}
	page := []string{id, jsonType, "Pagination-Total: 1", "Pagination-Limit: 100", "Pagination-Offset: 0"}
	for name, x := range map[string]struct {
		method, path, sent string
		with               string // a header of the request
		status             int
		header             []string
		body               string
		says               string // "": nothing is wrong
	}{
		"all is well":                    {"POST", "/usages", `{"subscriptionId":"s","quantity":1e-3}`, key, 201, created, usage, ""},
		"a large quantity":               {"POST", "/usages", `{"subscriptionId":"s","quantity":9007199254740993.001}`, key, 201, created, usage, ""},
		"too fine a quantity":            {"POST", "/usages", `{"subscriptionId":"s","quantity":9007199254740993.0001}`, key, 201, created, usage, "multipleOf"},
		"no credential":                  {"POST", "/usages", `{"subscriptionId":"s","quantity":1}`, "", 201, created, usage, "ecurity"},
		"a field is missing":             {"POST", "/usages", `{"quantity":1}`, key, 201, created, usage, "subscriptionId"},
		"no body":                        {"POST", "/usages", ``, key, 201, created, usage, "required"},
		"a refusal may break the schema": {"POST", "/usages/job", `[`, key, 404, []string{id, jsonType}, notFound, ""},
		"a status that is not":           {"POST", "/usages", `{"subscriptionId":"s","quantity":1}`, key, 200, created, usage, "status"},
		"a header is missing":            {"POST", "/usages", `{"subscriptionId":"s","quantity":1}`, key, 201, created[:3], usage, "Reckoner-Outcome"},
		"a header is none":               {"POST", "/usages", `{"subscriptionId":"s","quantity":1}`, key, 201, []string{id, jsonType, "Location: job", "Reckoner-Outcome: applied"}, usage, "Location"},
		"no request id":                  {"GET", "/usages/job", "", key, 404, []string{jsonType}, notFound, "X-Request-Id"},
		"a field that is not described":  {"GET", "/usages/job", "", key, 200, []string{id, jsonType}, strings.Replace(usage, "{", `{"x":1,`, 1), "x"},
		"a field of another type":        {"GET", "/usages/job", "", key, 200, []string{id, jsonType}, strings.Replace(usage, `"invoiceId":null`, `"invoiceId":""`, 1), "invoiceId"},
		"a problem of another status":    {"GET", "/usages/job", "", key, 409, []string{id, jsonType}, notFound, "409"},
		"another type of body":           {"GET", "/usages/job", "", key, 404, []string{id, "Content-Type: text/plain"}, notFound, "Content-Type"},
		"a body where none is":           {"DELETE", "/usages/job", "", key, 204, created, "{}", "body"},
		"a page":                         {"GET", "/usages?filter=id:a;quantity:1..2&limit=1000", "", key, 200, page, "[" + usage + "]", ""},
		"a page without its total":       {"GET", "/usages", "", key, 200, append(page[:2:2], page[3:]...), "[]", "Pagination-Total"},
		"too large a limit":              {"GET", "/usages?limit=1001", "", key, 200, page, "[]", "limit"},
		"the Frontier dialect":           {"POST", account + "/usages", `{"usages":[{"amount":"5"}]}`, "Authorization: Basic x", 200, []string{id, jsonType}, "{}", ""},
		"an API key, which it has not":   {"POST", account + "/usages", `{}`, key, 200, []string{id, jsonType}, "{}", "ecurity"},
		"an account that is no UUID":     {"POST", "/v1beta1/organizations/demo/billing/5/usages", `{}`, "Authorization: Basic x", 200, []string{id, jsonType}, "{}", "billing_id"},
		"the wrong code":                 {"POST", account + "/usages", "", "", 404, []string{id, jsonType}, `{"code":6,"message":"","details":[]}`, "code"},
		"an unknown path":                {"GET", "/nothing", "", "", 404, []string{id, jsonType}, `{"code":5,"message":"Not Found","details":[]}`, ""},
		"an unknown path that answers":   {"GET", "/nothing", "", "", 200, []string{id, jsonType}, `{"code":5,"message":"Not Found","details":[]}`, "no such operation"},
		"an unknown method":              {"PUT", "/usages/job", "", "", 405, []string{id, jsonType}, strings.Replace(notFound, "404", "405", 1), ""},
		"an error of the other dialect":  {"GET", "/v1beta1/nothing", "", "", 404, []string{id, jsonType}, notFound, "FrontierError"},
		"an entity":                      {"PUT", "/admin/v1/meters/m%2Fn", `{"unit":"x"}`, "Authorization: Bearer a:b", 200, []string{id, jsonType, `ETag: "7"`}, `{"name":"m/n","unit":"x","type":"interval"}`, ""},
		"an unknown key of an entity":    {"PUT", "/admin/v1/meters/m", `{"units":"x"}`, "Authorization: Bearer a:b", 200, []string{id, jsonType, `ETag: "7"`}, `{"name":"m","unit":"x","type":"interval"}`, "units"},
		"a secret":                       {"GET", "/admin/v1/credentials/c", "", "Authorization: Bearer a:b", 200, []string{id, jsonType, `ETag: "7"`}, `{"id":"c","secret_sha256":"` + strings.Repeat("0", 64) + `"}`, "secret_sha256"},
		"health":                         {"GET", "/healthz", "", "", 503, []string{"Content-Type: text/plain; charset=utf-8"}, "kafka: gone\n", ""},
		"health that says nothing":       {"GET", "/healthz", "", "", 200, []string{"Content-Type: text/plain; charset=utf-8"}, "yes", "must be"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Exchange{Request: httptest.NewRequest(x.method, x.path, nil), RequestBody: []byte(x.sent), Status: x.status, Header: headers(x.header...), Body: []byte(x.body)}
			if x.with != "" {
				e.Request.Header = headers(x.with)
			}
			err := c.Check(e)
			if x.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %v, want it to say %q", err, x.says)
			}
		})
	}
}

// TestExamplesHaveNoOtherFields holds the examples against the document as answers are: what it does not describe is not in them.
func TestExamplesHaveNoOtherFields(t *testing.T) {
	check := func(document []byte) error {
		c, err := newChecker(document)
		if err != nil {
			t.Fatal(err)
		}
		return c.doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableMultiError())
	}
	if err := check(openapi.Document); err != nil {
		t.Error(err)
	}
	wrong := bytes.Replace(openapi.Document, []byte(`"invoiceItemId": null`), []byte(`"invoiceItemID": null, "invoiceItemId": null`), 1)
	if err := check(wrong); err == nil || !strings.Contains(err.Error(), "invoiceItemID") {
		t.Errorf("a field that is not described: %v", err)
	}
}

func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}
