package ingest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

func recorded(id, accountID string) ledger.UsageRecord {
	return ledger.UsageRecord{EventID: id, AccountID: accountID, OrganizationID: acme, SubscriptionID: "sub_1", Outcome: reckoner.Applied,
		Quantity: reckoner.Units(5), UsageTime: noon(), ReceivedAt: noon()}
}

func takenBack(r ledger.UsageRecord) ledger.UsageRecord {
	r.Reverted, r.RevertedAt = r.Quantity, noon()
	return r
}

func TestGetUsage(t *testing.T) {
	for _, c := range []struct {
		name   string
		found  []ledger.UsageRecord
		err    error
		status int
	}{
		{"counts", []ledger.UsageRecord{recorded("u", account)}, nil, 200},
		{"unknown", nil, nil, 404},
		{"taken back", []ledger.UsageRecord{takenBack(recorded("u", account))}, nil, 404},
		{"of two accounts", []ledger.UsageRecord{recorded("u", account), recorded("u", other)}, nil, 409},
		{"the ledger is down", nil, context.DeadlineExceeded, 503},
		{"the ledger fails", nil, errors.New("secret"), 500},
	} {
		w := newUsagesWorld(t)
		w.reader.usages.found, w.reader.err = c.found, c.err
		a := w.request(http.MethodGet, "/usages/u", "")
		if a.status != c.status {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		if c.status == 200 {
			a.usage(t)
		} else {
			a.problem(t)
		}
	}
}

// TestWhoseUsages: a credential sees the usages of its organizations, and a path may narrow that further.
func TestWhoseUsages(t *testing.T) {
	for _, c := range []struct {
		credential, path string
		status           int
		organizations    []string
	}{
		{"demo", "", 200, nil},
		{"narrow", "", 200, []string{globex}},
		{"demo", "/organizations/" + acme, 200, []string{acme}},
		{"demo", "/organizations/acme", 200, []string{acme}},
		{"demo", "/organizations/" + strings.ToUpper(acme), 200, []string{acme}},
		{"narrow", "/organizations/globex", 200, []string{globex}},
		{"narrow", "/organizations/acme", 403, nil},
		{"demo", "/organizations/nobody", 404, nil},
		{"old", "", 403, nil}, // may not read
	} {
		for _, path := range []string{"/usages", "/usages/u"} {
			w := newUsagesWorld(t)
			w.reader.usages.found = []ledger.UsageRecord{recorded("u", account)}
			a := w.request(http.MethodGet, c.path+path, "", as(c.credential))
			if a.status != c.status {
				t.Errorf("%s %s%s: %d %s", c.credential, c.path, path, a.status, a.body)
			}
			asked := [][]string{}
			for _, q := range w.reader.usages.lists {
				asked = append(asked, q.Organizations)
			}
			for _, q := range w.reader.usages.lookups {
				asked = append(asked, q.Organizations)
			}
			if c.status != 200 {
				a.problem(t)
				if len(asked) > 0 {
					t.Errorf("%s %s%s was read", c.credential, c.path, path)
				}
				continue
			}
			if diff := cmp.Diff([][]string{c.organizations}, asked); diff != "" {
				t.Errorf("%s %s%s: %s", c.credential, c.path, path, diff)
			}
		}
	}
}

// TestWhoseSubscription: a subscription that a caller may not use is as unknown as one that is not there.
func TestWhoseSubscription(t *testing.T) {
	for _, c := range []struct {
		credential, path, subscription string
		status                         int
	}{
		{"demo", "/usages", "sub_globex", 201},
		{"demo", globexUsages, "sub_globex", 201},
		{"demo", "/organizations/acme/usages", "sub_globex", 422},
		{"narrow", "/usages", "sub_globex", 201},
		{"narrow", "/usages", "sub_1", 422},
		{"narrow", "/organizations/acme/usages", "sub_1", 403},
		{"demo", "/organizations/nobody/usages", "sub_1", 404},
		{"reader", "/usages", "sub_1", 403},
	} {
		w := newUsagesWorld(t)
		w.decide = counted
		a := w.post(c.path, `{"subscriptionId":"`+c.subscription+`","quantity":1}`, as(c.credential))
		if a.status != c.status || (c.status == 201) != (len(w.produced()) == 1) {
			t.Errorf("%s %s %s: %d %s", c.credential, c.path, c.subscription, a.status, a.body)
		}
		if c.status == 422 && !strings.Contains(a.body, "there is no subscription") {
			t.Errorf("%s %s %s: %s", c.credential, c.path, c.subscription, a.body)
		}
	}
}

// TestUsageCredentials: the key, Bearer or Basic, and of several any that proves counts.
func TestUsageCredentials(t *testing.T) {
	const good, bad, none = "demo:se:cret", "demo:wrong", "Authorization: "
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"basic", nil, 200},
		{"bearer", []string{"Authorization: Bearer " + good}, 200},
		{"key", []string{none, "REB-APIKEY: " + good}, 200},
		{"key in another case", []string{none, "reb-apikey: " + good}, 200},
		{"key, and a bad bearer", []string{"Authorization: Bearer " + bad, "REB-APIKEY: " + good}, 200},
		{"bad key, and bearer", []string{"Authorization: Bearer " + good, "REB-APIKEY: " + bad}, 200},
		{"the key counts first", []string{"Authorization: Bearer old:se:cret", "REB-APIKEY: " + good}, 200},
		{"also if it may less", []string{"Authorization: Bearer " + good, "REB-APIKEY: old:se:cret"}, 403},
		{"none", []string{none}, 401},
		{"bad key", []string{none, "REB-APIKEY: " + bad}, 401},
		{"key without a secret", []string{none, "REB-APIKEY: demo"}, 401},
		{"empty key", []string{none, "REB-APIKEY:  "}, 401},
		{"two keys", []string{none, "REB-APIKEY: " + good, "REB-APIKEY: " + good}, 401},
		{"both bad", []string{"Authorization: Bearer " + bad, "REB-APIKEY: " + bad}, 401},
	} {
		w := newUsagesWorld(t)
		a := w.request(http.MethodGet, "/usages", "", c.headers...)
		if a.status != c.status {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		if c.status != 200 {
			a.problem(t)
		}
		if (c.status == 401) != (a.header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: no challenge: %v", c.name, a.header)
		}
	}
	w := newUsagesWorld(t)
	if a := w.post(createPath, usagesBody(1), none, "REB-APIKEY: "+good); a.status != 401 {
		t.Errorf("the key opens another dialect: %d %s", a.status, a.body)
	}
}

func TestDeleteUsage(t *testing.T) {
	const dup = reckoner.Duplicate
	for _, c := range []struct {
		outcome, first reckoner.Outcome
		status         int
	}{
		{reckoner.Reverted, 0, 204},
		{dup, reckoner.Reverted, 204},
		{reckoner.AlreadyReverted, 0, 409},
		{dup, reckoner.AlreadyReverted, 409},
		{reckoner.NotRevertable, 0, 409},
		{reckoner.UnknownUsage, 0, 404},
		{reckoner.Conflict, 0, 409},
		{reckoner.Applied, 0, 500},
	} {
		w := newUsagesWorld(t)
		w.decide = decided(c.outcome, c.first, -5)
		w.reader.usages.found = []ledger.UsageRecord{recorded("u", account)}
		a := w.request(http.MethodDelete, "/usages/u", "", "Idempotency-Key: key")
		named := c.outcome
		if named == dup {
			named = c.first
		}
		if a.status != c.status || a.header.Get("Reckoner-Outcome") != named.String() || c.status == 204 && a.body != "" {
			t.Errorf("%s/%s: %d %s", c.outcome, c.first, a.status, a.body)
		}
		if c.status > 299 {
			a.problem(t)
		}
		e := w.produced()[0]
		want := &reckoner.Event{
			Rules: reckoner.Rules, Kind: reckoner.Revert, ID: "key", AccountID: account, OrganizationID: acme,
			Written: reckoner.Written{UsageID: "u"}, ReceivedAt: noon(), ReplyTo: e.ReplyTo,
		}
		if diff := cmp.Diff(want, e, quantities()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestDeleteFindsTheUsage: what was taken back, and what was refused, is known; the machine says that nothing is left.
func TestDeleteFindsTheUsage(t *testing.T) {
	refused := recorded("u", account)
	refused.Outcome, refused.Quantity = reckoner.LimitExceeded, reckoner.Quantity{}
	for _, c := range []struct {
		name           string
		found, refused []ledger.UsageRecord
		status, reads  int
	}{
		{"counts", []ledger.UsageRecord{recorded("u", account)}, []ledger.UsageRecord{refused}, 204, 1},
		{"taken back", []ledger.UsageRecord{takenBack(recorded("u", account))}, nil, 204, 1},
		{"refused", nil, []ledger.UsageRecord{refused}, 204, 2},
		{"unknown", nil, nil, 404, 2},
		{"of two accounts", []ledger.UsageRecord{recorded("u", account), recorded("u", other)}, nil, 409, 1},
	} {
		w := newUsagesWorld(t)
		w.decide = decided(reckoner.Reverted, 0, -5)
		w.reader.usages.found, w.reader.usages.refused = c.found, c.refused
		a := w.request(http.MethodDelete, "/organizations/acme/usages/u", "")
		if a.status != c.status || len(w.reader.usages.lookups) != c.reads || (c.status == 204) != (len(w.produced()) == 1) {
			t.Errorf("%s: %d %s after %d reads", c.name, a.status, a.body, len(w.reader.usages.lookups))
		}
	}
	w := newUsagesWorld(t)
	if a := w.request(http.MethodDelete, "/usages/u", "", "Idempotency-Key: a", "Idempotency-Key: b"); a.status != 422 || a.problem(t).fields() != "Idempotency-Key" {
		t.Errorf("two keys: %d %s", a.status, a.body)
	}
	if a := w.request(http.MethodDelete, "/usages/u", "", as("reader")); a.status != 403 {
		t.Errorf("a credential that may not revert: %d %s", a.status, a.body)
	}
}

func TestUsageListQueries(t *testing.T) {
	at := func(s string) time.Time { v, _ := time.Parse(time.RFC3339Nano, s); return v }
	q := func(change func(*ledger.UsageList)) ledger.UsageList {
		l := ledger.UsageList{Sort: []ledger.UsageSort{{Field: ledger.UsageCreated}}, Limit: 100}
		change(&l)
		return l
	}
	one, nine := reckoner.Thousandths(1), reckoner.Units(9)
	for query, want := range map[string]ledger.UsageList{
		"":                   q(func(*ledger.UsageList) {}),
		"limit=0":            q(func(l *ledger.UsageList) { l.Limit = 0 }),
		"limit=1000":         q(func(l *ledger.UsageList) { l.Limit = 1000 }),
		"limit=&offset=&q=":  q(func(*ledger.UsageList) {}),
		"offset=99999999999": q(func(l *ledger.UsageList) { l.Offset = 99999999999 }),
		"q=Abc&expand=x":     q(func(l *ledger.UsageList) { l.Text = "Abc" }),
		"sort=-quantity,id":  q(func(l *ledger.UsageList) { l.Sort = []ledger.UsageSort{{Field: ledger.UsageQuantity, Desc: true}, {}} }),
		"filter=subscriptionId:a,b;id:" + strings.ToUpper(usageID): q(func(l *ledger.UsageList) {
			l.Subscriptions, l.IDs = &ledger.TextFilter{Values: []string{"a", "b"}}, &ledger.TextFilter{Values: []string{usageID}}
		}),
		"filter=id%3A!a,b%3BsubscriptionId:!a,!b": q(func(l *ledger.UsageList) {
			l.IDs = &ledger.TextFilter{Values: []string{"a", "b"}, Not: true}
			l.Subscriptions = &ledger.TextFilter{Values: []string{"a", "b"}, Not: true}
		}),
		"filter=id:a:b..c": q(func(l *ledger.UsageList) { l.IDs = &ledger.TextFilter{Values: []string{"a:b..c"}} }),
		"filter=quantity:0.001..9,1e-3;usageTime:2026-06-15T12:00:00Z..": q(func(l *ledger.UsageList) {
			l.Quantity = &ledger.QuantityFilter{Ranges: []ledger.QuantityRange{{From: &one, To: &nine}, {From: &one, To: &one}}}
			l.UsageTime = &ledger.TimeFilter{Ranges: []ledger.TimeRange{{From: at("2026-06-15T12:00:00Z")}}}
		}),
		"filter=quantity:!..9": q(func(l *ledger.UsageList) {
			l.Quantity = &ledger.QuantityFilter{Ranges: []ledger.QuantityRange{{To: &nine}}, Not: true}
		}),
		"filter=createdTime:2026-06-15;updatedTime:2026-06-15T14:00:00+02:00..2026-06-16": q(func(l *ledger.UsageList) {
			l.CreatedTime = &ledger.TimeFilter{Ranges: []ledger.TimeRange{{From: at("2026-06-15T00:00:00Z"), To: at("2026-06-15T23:59:59.999999999Z")}}}
			l.UpdatedTime = &ledger.TimeFilter{Ranges: []ledger.TimeRange{{From: at("2026-06-15T12:00:00Z"), To: at("2026-06-16T23:59:59.999999999Z")}}}
		}),
		"filter=createdTime:0001-01-01T00:00:00Z..9999-01-01T00:00:00Z": q(func(l *ledger.UsageList) {
			l.CreatedTime = &ledger.TimeFilter{Ranges: []ledger.TimeRange{{From: reckoner.MinTime, To: reckoner.MaxTime}}}
		}),
	} {
		w := newUsagesWorld(t)
		a := w.request(http.MethodGet, "/usages?"+query, "")
		if a.status != 200 || a.body != "[]" || len(w.reader.usages.lists) != 1 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
			continue
		}
		if diff := cmp.Diff(want, w.reader.usages.lists[0], quantities()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestUsageListQueriesThatMakeNoSense(t *testing.T) {
	for query, c := range map[string]struct{ fields, says string }{
		"limit=1001":                                {"limit", "from 0 to 1000"},
		"limit=-1":                                  {"limit", "from 0 to 1000"},
		"limit=x&offset=-1&sort=x&filter=x":         {"filter sort limit offset", "0 or more"},
		"limit=1&limit=1":                           {"limit", "more than once"},
		"q=" + strings.Repeat("x", 256):             {"q", "at most 255"},
		"sort=invoiceId":                            {"sort", "unknown field"},
		"sort=id,-id":                               {"sort", "more than once"},
		"sort=id,":                                  {"sort", "unknown field"},
		"sort=--id":                                 {"sort", "unknown field"},
		"filter=planId:x":                           {"filter", "unknown field"},
		"filter=planId:x;invoiceId:y":               {"filter filter", "unknown field"},
		"filter=id":                                 {"filter", "want field:value"},
		"filter=id:a;":                              {"filter", "want field:value"},
		"filter=id:":                                {"filter", "a value is missing"},
		"filter=id:a,":                              {"filter", "a value is missing"},
		"filter=id:!":                               {"filter", "a value is missing"},
		"filter=id:a,!b":                            {"filter", "cannot do both"},
		"filter=id:@list":                           {"filter", "no lists of values"},
		"filter=id:a;id:b":                          {"filter", "more than once"},
		"filter=quantity:x":                         {"filter", "not a decimal number"},
		"filter=quantity:0.0001":                    {"filter", "more than 3 decimals"},
		"filter=quantity:..":                        {"filter", "a begin or an end"},
		"filter=quantity:2..1":                      {"filter", "ends before it begins"},
		"filter=usageTime:yesterday":                {"filter", "want a time"},
		"filter=usageTime:2026-06-15T12:00":         {"filter", "give the offset"},
		"filter=usageTime:2026-02-30":               {"filter", "want a time"},
		"filter=createdTime:2026-06-15..now":        {"filter", "want a time"},
		"filter=updatedTime:2026-06-15..2026-06-14": {"filter", "ends before it begins"},
	} {
		w := newUsagesWorld(t)
		a := w.request(http.MethodGet, "/usages?"+query, "")
		if p := a.problem(t); a.status != 422 || p.fields() != c.fields || !strings.Contains(a.body, c.says) || len(w.reader.usages.lists) > 0 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	w := newUsagesWorld(t)
	if a := w.request(http.MethodGet, "/usages?q=%zz", ""); a.status != 400 {
		t.Errorf("a query that is none: %d %s", a.status, a.body)
	}
}

// TestUsagePaths: errors of paths come in the dialect's shape, and only of its paths.
func TestUsagePaths(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/usages/", 404, ""}, {"GET", "/usages/a/b", 404, ""}, {"GET", "/organizations/acme", 404, ""}, {"GET", "/organizations/acme/usages/a/b", 404, ""},
		{"PATCH", "/usages/a", 405, "GET, DELETE"}, {"DELETE", "/usages", 405, "POST, GET"}, {"HEAD", "/usages", 405, "POST, GET"},
		{"PUT", "/organizations/acme/usages/a", 405, "GET, DELETE"}, {"OPTIONS", "/usages", 405, "POST, GET"},
	} {
		w := newUsagesWorld(t)
		a := w.request(c.method, c.path, "")
		if a.problem(t); a.status != c.status || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %s, allow %s", c.method, c.path, a.status, a.body, a.header.Get("Allow"))
		}
	}
	w := newUsagesWorld(t)
	for _, path := range []string{"/usagesx", "/v1beta1/usages", "/"} {
		if code, _ := w.request("GET", path, "").errorBody(t); code != 5 {
			t.Errorf("%s is answered with code %d", path, code)
		}
	}
}

// TestUsageFailures: what is not the caller's fault, and what is too much.
func TestUsageFailures(t *testing.T) {
	const good = `{"subscriptionId":"sub_1","quantity":1}`
	w := newUsagesWorld(t)
	if a := w.post("/usages", good+strings.Repeat(" ", 8<<20)); a.status != 413 || a.header.Get("Connection") != "close" {
		t.Errorf("a large body: %d %s", a.status, a.body)
	} else {
		a.problem(t)
	}
	w = newUsagesWorld(t)
	w.produce = func(context.Context, []bus.Record) error { return errors.New("secret") }
	a := w.post("/usages", good)
	if p := a.problem(t); a.status != 503 || a.header.Get("Retry-After") != "1" || strings.Contains(a.body, "secret") || !strings.Contains(p.Detail, "send the request again") {
		t.Errorf("a log that does not answer: %d %s", a.status, a.body)
	}
	w = newUsagesWorld(t, func(o *Options) { o.Limits.WaitersMax = 1 })
	w.server.outcomes.max = 0
	if a := w.post("/usages", good); a.status != 503 || len(w.produced()) != 0 {
		t.Errorf("too many wait: %d %s", a.status, a.body)
	}
	if got := w.metrics("reckoner_ingest_requests_total"); !strings.Contains(got, "dialect=usages,route=create,status=503") {
		t.Errorf("metrics:\n%s", got)
	}
}
