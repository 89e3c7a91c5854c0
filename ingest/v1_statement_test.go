package ingest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
)

const statementPath = "/v1/accounts/" + account + "/statement"

// newStatementWorld has a plan, on which sub_1 is.
func newStatementWorld(t testing.TB) *world {
	w := newWorld(t)
	text := strings.Replace(usagesCatalog(), "{id: sub_1, ", "{id: sub_1, plan: pro, ", 1)
	text += `plans: [{id: pro, prices: [{meter: credit, unit_price: "0.0125", included: "100"}], discounts: [{name: "a <new> one", amount: "1"}]}]` + "\n"
	w.catalog.Store(parseCatalog(t, text))
	w.reader.members = []string{"", "sub_1", "was <removed>"}
	w.reader.figures = []ledger.Figure{
		{SubscriptionID: "sub_1", Meter: "credit", MeterType: reckoner.Interval, Quantity: reckoner.Thousandths(300500)},
		{SubscriptionID: "", Meter: "tokens", MeterType: reckoner.Interval, Quantity: must(reckoner.ParseQuantity("9223372036854775807000.001"))},
		{SubscriptionID: "was <removed>", Meter: "tokens", MeterType: reckoner.Interval, Quantity: reckoner.Units(7)},
	}
	return w
}

// TestStatementPayloads holds what goes out to the byte.
func TestStatementPayloads(t *testing.T) {
	var b strings.Builder
	for _, query := range []string{
		"", "?period=current&subscription=", "?period=previous&subscription=sub_1", "?period=2026-04&subscription=sub_1", "?subscription=was%20%3Cremoved%3E",
		"?period=2026-07", "?period=junetime&subscription=" + strings.Repeat("s", reckoner.MaxIDBytes+1), "?subscription=sub_globex", "?tz=UTC", "?period=current&period=previous",
	} {
		w := newStatementWorld(t)
		a := w.request("GET", statementPath+query, "")
		fmt.Fprintf(&b, "GET %s\n%d\n%s\n\n", statementPath+query, a.status, a.body)
		if !json.Valid([]byte(a.body)) || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: no JSON: %s", query, a.body)
		}
	}
	golden(t, "v1_statement.txt", b.String())
}

func TestStatementErrors(t *testing.T) {
	for _, c := range []struct {
		path   string
		status int
		fields string
		says   string
	}{
		{"/v1/accounts/" + usageID + "/statement", 404, "", "no account"},
		{"/v1/accounts/nobody/statement?period=x", 404, "", "no account"}, // who may ask comes before what
		{statementPath + "/2026-06", 404, "", "no such path"},
		{statementPath + "?a=%zz", 400, "", "invalid query"},
		{statementPath + "?Period=current", 422, "Period", "there are period, subscription"},
		{statementPath + "?period=current&period=current", 422, "period", "more than once"},
		{statementPath + "?period=2026", 422, "period", "2026-06"},
		{statementPath + "?period=2026-06-01T00:00:00+02:00", 422, "period", "%2B"},
		{statementPath + "?period=2026-06-16", 200, "", ""}, // the month that it is in has begun
		{statementPath + "?period=2030-01-01", 422, "period", "has begun"},
		{statementPath + "?subscription=nothing", 404, "", "no subscription"},
		{statementPath + "?subscription=sub_globex", 404, "", "no subscription"},
	} {
		w := newStatementWorld(t)
		a := w.request("GET", c.path, "")
		if a.status == 200 && c.status == 200 {
			continue
		}
		p := a.problem(t)
		if a.status != c.status || p.fields() != c.fields || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %d %s", c.path, a.status, a.body)
		}
		if len(w.reader.sheets) > 0 {
			t.Errorf("%s: refused, and read", c.path)
		}
	}
}

// With automatic accounts every UUID has a statement, and an empty one.
func TestStatementOfAnAutomaticAccount(t *testing.T) {
	w := newV1World(t)
	c, err := w.catalog.Load().WithAutoAccounts("acme")
	if err != nil {
		t.Fatal(err)
	}
	w.catalog.Store(c)
	path := "/v1/accounts/" + strings.ToUpper(usageID) + "/statement"
	a := w.request("GET", path, "")
	var got struct {
		AccountID  string `json:"account_id"`
		Statements []struct{ Start, Total string }
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.AccountID != usageID || len(got.Statements) != 1 ||
		got.Statements[0].Start != "2026-06-01T00:00:00Z" || got.Statements[0].Total != "0.00" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.request("GET", path, "", as("narrow")); a.status != 403 {
		t.Errorf("of another organization: %d %s", a.status, a.body)
	}
}

// FuzzStatementQuery: a query is refused with the parameters that are wrong, or names periods that a row has.
func FuzzStatementQuery(f *testing.F) {
	for _, seed := range []string{"", "period=2026-06&subscription=a", "period=2026-06-01T00:00:00%2B02:00", "period=previous&period=x", "a;b", "subscription=%00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		when, subscription, err := parseStatementQuery(raw)
		if err != nil {
			if s := problemStatus(err); s != 400 && s != 422 {
				t.Fatalf("%q: %d %v", raw, s, err)
			}
			return
		}
		if values, err := url.ParseQuery(raw); err != nil || subscription != values.Get("subscription") || len(subscription) > reckoner.MaxIDBytes {
			t.Fatalf("%q: subscription %q (%v)", raw, subscription, err)
		}
		for _, p := range when.Periods(reckoner.Cycle{}, noon()) {
			if p.Start.After(noon()) || p.Start.Before(reckoner.MinTime.Add(-31*24*time.Hour)) {
				t.Fatalf("%q: %v", raw, p)
			}
		}
	})
}
