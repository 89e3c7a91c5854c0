package ingest

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"reckoner/internal/bus"
)

// TestErrorTable has every error that a caller can provoke, each with status, code and what its message must match, and
// holds that none of them writes anything.
func TestErrorTable(t *testing.T) {
	const one = `{"usages":[{"amount":1}]}`
	for _, c := range []struct {
		name, method, path, body, headers string
		status, code                      int
		message                           string
	}{
		{"unknown path", "POST", "/v1beta1/nothing", one, "", 404, 5, "^Not Found$"},
		{"unknown path, unauthenticated", "POST", "/", one, "Authorization: ", 404, 5, "^Not Found$"},
		{"an empty segment", "POST", "/v1beta1/organizations//billing//usages", one, "", 404, 5, "^Not Found$"},
		{"a slash too many", "POST", createPath + "/", one, "", 404, 5, "^Not Found$"},
		{"a path that is not clean", "POST", "/x/.." + createPath, one, "", 404, 5, "^Not Found$"},
		{"the plural of the admin route", "POST", strings.Replace(revertPath, "/usage/", "/usages/", 1), "", "", 404, 5, "^Not Found$"},
		{"wrong method", "GET", createPath, "", "", 501, 12, "^Method Not Allowed$"},
		{"wrong method, unauthenticated", "DELETE", readPath, "", "Authorization: ", 501, 12, "^Method Not Allowed$"},
		{"wrong method of a revert", "PUT", revertPath, "", "", 501, 12, "^Method Not Allowed$"},
		{"a method of the caller's own", "BREW", debitedPath, "", "", 501, 12, "^Method Not Allowed$"},

		{"no credentials", "POST", createPath, one, "Authorization: ", 401, 16, "^not authenticated$"},
		{"wrong secret", "POST", createPath, one, "Authorization: Bearer demo:guess", 401, 16, "^not authenticated$"},
		{"unknown credential", "POST", createPath, one, "Authorization: Bearer nobody:se:cret", 401, 16, "^not authenticated$"},
		{"no credentials and a bad body", "POST", createPath, "{", "Authorization: ", 401, 16, "^not authenticated$"},
		{"a scope too few", "POST", createPath, one, as("reader"), 403, 7, "^not authorized$"},
		{"a scope too few and a bad body", "POST", createPath, "{", as("reader"), 403, 7, "^not authorized$"},
		{"revert without its scope", "POST", revertPath, "", as("old"), 403, 7, "^not authorized$"},
		{"revert as documented without its scope", "POST", "/v1beta1/organizations/x/billing/" + account + "/usages/" + usageID + "/revert", "", as("old"), 403, 7, "^not authorized$"},
		{"read without its scope", "GET", readPath, "", as("old"), 403, 7, "^not authorized$"},
		{"total without its scope", "GET", debitedPath, "", as("old"), 403, 7, "^not authorized$"},
		{"another organization", "POST", createPath, one, as("narrow"), 403, 7, "^not authorized$"},
		{"another organization's account, named alone", "POST", createShort, `{"billing_id":"` + account + `"}`, as("narrow"), 403, 7, "^not authorized$"},
		{"another organization's project", "POST", createShort, `{"project_id":"site"}`, as("narrow"), 403, 7, "^not authorized$"},
		{"revert in another organization", "POST", revertPath, "", as("narrow"), 403, 7, "^not authorized$"},
		{"read of another organization", "GET", readPath, "", as("narrow"), 403, 7, "^not authorized$"},

		{"broken JSON", "POST", createPath, `{"usages":[`, "", 400, 3, "^invalid JSON at byte 11: the text ends too early$"},
		{"broken JSON in another organization", "POST", createPath, `{"usages":[`, as("narrow"), 400, 3, "^invalid JSON"},
		{"null", "POST", createPath, `null`, "", 400, 3, "^invalid JSON at byte 4 .*want an object, got null$"},
		{"a list", "POST", createPath, `[]`, "", 400, 3, `want an object, got \[\]$`},
		{"wrong type", "POST", createPath, `{"usages":[{"amount":true}]}`, "", 400, 3, `^invalid JSON at byte 25 \(/usages/0/amount\): want an int64, got true$`},
		{"repeated key", "POST", createPath, `{"org_id":"a","org_id":"a"}`, "", 400, 3, `\(/org_id\): the key is repeated$`},
		{"both names", "POST", createPath, `{"org_id":"a","orgId":"a"}`, "", 400, 3, `\(/orgId\): the field is given under both of its names$`},
		{"random bytes", "POST", createPath, "\x00\xde\xad\xbe\xef", "", 400, 3, "^invalid JSON at byte 0"},
		{"more after the end", "POST", createPath, one + one, "", 400, 3, "more after the end of the message$"},
		{"10,001 usages", "POST", createPath, usagesBody(10_001), "", 400, 3, `^invalid CreateBillingUsageRequest.Usages: value must contain no more than 10000 item\(s\)$`},

		{"amount 0", "POST", createPath, `{"usages":[{"amount":1},{"amount":"0"}]}`, "", 400, 3, `^invalid CreateBillingUsageRequest.Usages\[1\]: .* invalid Usage.Amount: value must be greater than 0$`},
		{"no amount", "POST", createPath, `{"usages":[{}]}`, "", 400, 3, `Usages\[0\].*Usage.Amount: value must be greater than 0$`},
		{"id not a UUID", "POST", createPath, `{"usages":[{"amount":1,"id":"a-1"}]}`, "", 400, 3, `Usages\[0\].*Usage.Id: value must be a valid UUID`},
		{"type neither", "POST", createPath, `{"usages":[{"amount":1,"type":"Credit"}]}`, "", 400, 3, `Usages\[0\].*Usage.Type: value must be in list \[credit feature\]$`},
		{"billing_id not a UUID", "POST", createShort, `{"billing_id":"mine"}`, "", 400, 3, `^invalid CreateBillingUsageRequest.BillingId: value must be a valid UUID`},
		{"billing_id of the path not a UUID", "POST", "/v1beta1/organizations/acme/billing/mine/usages", "", "", 400, 3, `^invalid CreateBillingUsageRequest.BillingId: `},
		{"bad fields before unknown names", "POST", createShort, `{"org_id":"x","usages":[{}]}`, "", 400, 3, `Usage.Amount`},
		{"usage_id not a UUID", "POST", revertShort, `{"org_id":"acme","usage_id":"u"}`, "", 400, 3, `^invalid RevertBillingUsageRequest.UsageId: value must be a valid UUID`},
		{"no usage_id", "POST", revertShort, `{"org_id":"acme"}`, "", 400, 3, `^invalid RevertBillingUsageRequest.UsageId: `},
		{"negative amount of a revert", "POST", revertPath, `{"amount":-1}`, "", 400, 3, `^invalid RevertBillingUsageRequest.Amount: value must be greater than or equal to 0$`},
		{"billing_id of a revert", "POST", revertShort, `{"billing_id":"x","usage_id":"` + usageID + `"}`, "", 400, 3, `^invalid RevertBillingUsageRequest.BillingId: `},
		{"key too long", "POST", revertPath, "", "Idempotency-Key: " + strings.Repeat("k", 256), 400, 3, `^invalid Idempotency-Key: `},
		{"key not UTF-8", "POST", revertPath, "", "Idempotency-Key: \xff", 400, 3, `^invalid Idempotency-Key: `},

		{"project and organization", "POST", createShort, `{"project_id":"site","org_id":"acme"}`, "", 400, 3, "^both project_id and org_id cannot be provided$"},
		{"project and the path's organization", "POST", createPath, `{"projectId":"site"}`, "", 400, 3, "^both project_id and org_id cannot be provided$"},
		{"unknown project", "POST", createShort, `{"project_id":"x"}`, "", 404, 5, "^project doesn't exist$"},
		{"unknown organization", "POST", createShort, `{"org_id":"nowhere"}`, "", 400, 3, "^no org found with id nowhere$"},
		{"unknown organization of the path", "POST", "/v1beta1/organizations/nowhere/billing/" + account + "/usages", one, "", 400, 3, "^no org found with id nowhere$"},
		{"nobody named", "POST", createShort, one, "", 400, 3, "^no org found with id "},
		{"no active account", "POST", createShort, `{"org_id":"hollow","usages":[{"amount":1}]}`, "", 400, 3, "^no customer found for org hollow$"},
		{"unknown account", "POST", createShort, `{"billing_id":"` + usageID + `"}`, "", 404, 5, "^customer doesn't exist$"},
		{"unknown account of a revert", "POST", revertShort, `{"billing_id":"` + usageID + `","usage_id":"` + usageID + `"}`, "", 404, 5, "^customer doesn't exist$"},
		{"unknown account of a read", "GET", "/v1beta1/organizations/acme/billing/" + usageID + "/transactions", "", "", 404, 5, "^customer doesn't exist$"},
		{"account of another organization", "POST", "/v1beta1/organizations/acme/billing/" + other + "/usages", one, "", 403, 7, "^invalid arguments$"},
		{"account of another organization than the project's", "POST", createShort, `{"project_id":"site","billing_id":"` + other + `"}`, "", 403, 7, "^invalid arguments$"},

		{"limit not a number", "GET", readPath + "?limit=many", "", "", 400, 3, "^invalid limit: "},
		{"limit negative", "GET", readPath + "?limit=-1", "", "", 400, 3, "^invalid limit: "},
		{"since not a time", "GET", readPath + "?since=today", "", "", 400, 3, "^invalid since: "},
		{"start_range not a time", "GET", readPath + "?startRange=2026-01-01", "", "", 400, 3, "^invalid start_range: "},
		{"end_range twice", "GET", readPath + "?end_range=2026-01-01T00:00:00Z&endRange=2026-01-01T00:00:00Z", "", "", 400, 3, "^invalid end_range: given more than once$"},
		{"page_token made up", "GET", readPath + "?page_token=xyz", "", "", 400, 3, "^invalid page_token: "},
		{"broken query", "GET", readPath + "?a=%zz", "", "", 400, 3, "^invalid query: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			var headers []string
			if c.headers != "" {
				headers = []string{c.headers}
			}
			a := w.request(c.method, c.path, c.body, headers...)
			code, message := a.errorBody(t)
			if a.status != c.status || code != c.code || !regexp.MustCompile(c.message).MatchString(message) {
				t.Errorf("answered %d, code %d, %q; want %d, %d, %s", a.status, code, message, c.status, c.code, c.message)
			}
			if got := a.header.Get("WWW-Authenticate"); (got != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate: %q", got)
			}
			if a.header.Get("Content-Type") != "application/json" || a.header.Get(requestIDHeader) == "" {
				t.Errorf("headers %v", a.header)
			}
			if len(w.produced()) > 0 || len(w.reader.queries) > 0 {
				t.Error("it reached the log or the ledger")
			}
		})
	}
}

// TestNoFalse200 holds that whatever goes wrong with the log, the caller is not told that its events are safe.
func TestNoFalse200(t *testing.T) {
	secret := errors.New("dial tcp 10.1.2.3:9092: broker-7 refused")
	for _, c := range []struct {
		name         string
		err          error
		status, code int
		message      string
	}{
		{"busy", bus.ErrBusy, 503, 14, "nothing was written, try again"},
		{"unknown", &bus.UnknownError{Err: secret}, 503, 14, "some may be stored, so send the request again with the same ids"},
		{"closed", bus.ErrClosed, 503, 14, "send the request again"},
		{"timeout", context.DeadlineExceeded, 503, 14, "send the request again"},
		{"partitions changed", &bus.PartitionsChangedError{Topic: "t", Was: 4, Is: 8}, 503, 14, "send the request again"},
		{"anything", secret, 503, 14, "send the request again"},
		{"too large", &bus.TooLargeError{Bytes: 2, Max: 1}, 413, 8, "nothing was written"},
	} {
		for _, request := range []struct{ path, body, prefer string }{
			{createPath, usagesBody(3), ""}, {createPath, usagesBody(3), "wait=5"}, {revertPath, "", ""},
		} {
			w := newWorld(t)
			w.produce = func(context.Context, []bus.Record) error { return c.err }
			a := w.post(request.path, request.body, "Prefer: "+request.prefer)
			code, message := a.errorBody(t)
			if a.status != c.status || code != c.code || !strings.Contains(message, c.message) || strings.Contains(a.body, "broker-7") {
				t.Errorf("%s, %s: %d %s", c.name, request.path, a.status, a.body)
			}
			if (a.header.Get("Retry-After") == "1") != (c.status == 503) {
				t.Errorf("%s: Retry-After %q", c.name, a.header.Get("Retry-After"))
			}
			if n := len(w.outcomes.slots); n > 0 {
				t.Errorf("%s: %d still wait", c.name, n)
			}
		}
	}
}

func TestAuthorizationHeaders(t *testing.T) {
	for header, want := range map[string]int{
		"Basic ZGVtbzpzZTpjcmV0":     200, // demo:se:cret
		"basic ZGVtbzpzZTpjcmV0":     200,
		"BEARER demo:se:cret":        200,
		"Bearer   demo:se:cret":      200,
		"Basic demo:se:cret":         401,
		"Basic ZGVtbw==":             401, // demo
		"Bearer demo":                401,
		"Bearer :":                   401,
		"Bearer ":                    401,
		"Bearer":                     401,
		"Digest demo:se:cret":        401,
		"demo:se:cret":               401,
		"Bearer demo:se:cret ":       200,
		"Bearer demo:se:cre":         401,
		"Bearer Demo:se:cret":        401,
		"Bearer demo:" + hash("wat"): 401,
	} {
		w := newWorld(t)
		if a := w.post(createPath, "", "Authorization: "+header); a.status != want {
			t.Errorf("%q: %d, want %d", header, a.status, want)
		}
	}
	w := newWorld(t)
	if a := w.post(createPath, "", as("demo"), "Authorization: "); a.status != 401 {
		t.Errorf("no header: %d", a.status)
	}
	r, _ := http.NewRequest(http.MethodPost, createPath, nil)
	r.Header["Authorization"] = []string{"Bearer demo:se:cret", "Bearer nobody:x"}
	if _, err := authenticate(w.catalog.Current(), r.Header); err == nil {
		t.Error("two headers are taken for one")
	}
}
