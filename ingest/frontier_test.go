package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
)

func quantities() cmp.Option {
	return cmp.Comparer(func(a, b reckoner.Quantity) bool { return a == b })
}

// TestCreateStampsWhatItResolved holds every field of an event against the request and the catalog.
func TestCreateStampsWhatItResolved(t *testing.T) {
	w := newWorld(t)
	a := w.post(createPath, `{"usages":[{
		"id":"ABCDEF01-2345-4678-9ABC-DEF012345678","customer_id":"c-1","source":"model","description":"a call",
		"type":"credit","amount":"5","user_id":"u-1","metadata":{"z":"text","a":{"n": 1.50, "l":[1, null]},"e":5e2},
		"created_at":"2026-06-01T10:00:00.000000001+02:00","updated_at":"2026-06-02T00:00:00Z"},
		{"amount":7,"id":"`+usageID+`"}]}`)
	if a.status != http.StatusOK || a.body != "{}" || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %q %v", a.status, a.body, a.header)
	}
	five, seven, limit := reckoner.Units(5), reckoner.Units(7), reckoner.Thousandths(1000500)
	used := time.Date(2026, 6, 1, 8, 0, 0, 1, time.UTC)
	period := func(month time.Month) reckoner.Period {
		return reckoner.Period{
			Start: time.Date(2026, month, 10, 0, 0, 0, 0, time.UTC), End: time.Date(2026, month+1, 10, 0, 0, 0, 0, time.UTC),
		}
	}
	want := []*reckoner.Event{
		{
			Rules: 1, Kind: reckoner.Usage, ID: "abcdef01-2345-4678-9abc-def012345678", AccountID: account,
			Written:     reckoner.Written{Type: "credit", Source: "model", Quantity: &five, UsageTime: used},
			Description: "a call", UserID: "u-1", CustomerID: "c-1",
			Metadata: []reckoner.Label{
				{Key: "a", Value: `{"n":1.50,"l":[1,null]}`, JSON: true}, {Key: "e", Value: "5e2", JSON: true}, {Key: "z", Value: "text"},
			},
			OrganizationID: acme, Type: "credit", SubscriptionID: "sub_1",
			Meter: reckoner.Meter{Name: "tokens", Type: reckoner.Interval}, Period: period(time.May),
			UsageTime: used, ReceivedAt: noon(), UpdatedAt: time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC),
		},
		{
			Rules: 1, Kind: reckoner.Usage, ID: usageID, AccountID: account, Written: reckoner.Written{Quantity: &seven},
			OrganizationID: acme, Type: "credit", SubscriptionID: "sub_1",
			Meter: reckoner.Meter{Name: "credit", Type: reckoner.Interval}, Period: period(time.June),
			Limit: &limit, UsageTime: noon(), ReceivedAt: noon(),
		},
	}
	if diff := cmp.Diff(want, w.produced(), quantities()); diff != "" {
		t.Error(diff)
	}
}

func TestCreateFindsTheAccount(t *testing.T) {
	for _, c := range []struct{ name, path, body, organization, project, account string }{
		{"path", createPath, "", acme, "", account},
		{"names, and the account in upper case", "/v1beta1/organizations/acme/billing/" + strings.ToUpper(account) + "/usages", "", acme, "", account},
		{"path wins over the body", createPath, `"org_id":"globex","billing_id":"` + other + `",`, acme, "", account},
		{"organization by name", createShort, `"org_id":"acme",`, acme, "", account},
		{"organization by id, camel case", createShort, `"orgId":"` + acme + `",`, acme, "", account},
		{"project by name", createShort, `"project_id":"site",`, acme, site, account},
		{"project by id, camel case", createShort, `"projectId":"` + site + `","billingId":"` + account + `",`, acme, site, account},
		{"account alone", createShort, `"billing_id":"` + other + `",`, globex, "", other},
		{"null is absent", createShort, `"org_id":null,"project_id":null,"billing_id":"` + other + `",`, globex, "", other},
		{"an account that is not active, when named", createShort, `"org_id":"acme","billing_id":"` + closed + `",`, acme, "", closed},
	} {
		w := newWorld(t)
		a := w.post(c.path, `{`+c.body+`"usages":[{"amount":1}]}`)
		if a.status != http.StatusOK || len(w.produced()) != 1 {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
			continue
		}
		e := w.produced()[0]
		if e.OrganizationID != c.organization || e.ProjectID != c.project || e.AccountID != c.account {
			t.Errorf("%s: organization %s, project %q, account %s", c.name, e.OrganizationID, e.ProjectID, e.AccountID)
		}
		if e.ID == "" || !reckoner.IsUUID(e.ID) {
			t.Errorf("%s: the id made is %q", c.name, e.ID)
		}
	}
}

func TestCreateOfNothingDoesNothing(t *testing.T) {
	for _, body := range []string{"", " \n", "{}", `{"usages":[]}`, `{"usages":null}`, `{"other":{"deep":[1,{}]}}`} {
		w := newWorld(t)
		for _, headers := range [][]string{nil, {"Prefer: wait=1"}} {
			if a := w.post(createPath, body, headers...); a.status != http.StatusOK || a.body != "{}" {
				t.Errorf("%q: %d %s", body, a.status, a.body)
			}
		}
		if len(w.produced()) > 0 {
			t.Errorf("%q: produced %v", body, w.produced())
		}
	}
}

// TestMeters: the meter by match, the subscription by default, the limit only of the subscription's own interval meter.
func TestMeters(t *testing.T) {
	for _, c := range []struct {
		usage, meter string
		typ          reckoner.MeterType
		limited      bool
	}{
		{`"amount":1`, "credit", reckoner.Interval, true},
		{`"amount":1,"type":""`, "credit", reckoner.Interval, true},
		{`"amount":1,"source":"model"`, "tokens", reckoner.Interval, false},
		{`"amount":1,"type":"feature"`, "feature", reckoner.Interval, false},
		{`"amount":1,"type":"feature","source":"store","metadata":{"region":"eu"}`, "storage", reckoner.Total, false},
		{`"amount":1,"type":"feature","source":"store","metadata":{"region":"us"}`, "feature", reckoner.Interval, false},
	} {
		w := newWorld(t)
		if a := w.post(createPath, `{"usages":[{`+c.usage+`}]}`); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", c.usage, a.status, a.body)
		}
		e := w.produced()[0]
		if e.Meter.Name != c.meter || e.Meter.Type != c.typ || (e.Limit != nil) != c.limited || e.SubscriptionID != "sub_1" {
			t.Errorf("%s: meter %v, limit %v, subscription %q", c.usage, e.Meter, e.Limit, e.SubscriptionID)
		}
	}
}

// TestAccountWithoutSubscription counts in calendar months.
func TestAccountWithoutSubscription(t *testing.T) {
	w := newWorld(t)
	if a := w.post(createShort, `{"billing_id":"`+other+`","usages":[{"amount":1}]}`); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	e := w.produced()[0]
	if e.SubscriptionID != "" || e.Limit != nil || !e.Period.Start.Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("subscription %q, limit %v, period %v", e.SubscriptionID, e.Limit, e.Period)
	}
}

// TestRetryAfterTheCatalogChanged holds that a retry is the same event, whatever it resolves to now; and that a request
// sees one catalog.
func TestRetryAfterTheCatalogChanged(t *testing.T) {
	w := newWorld(t)
	body := `{"usages":[{"id":"` + usageID + `","source":"model","amount":3}]}`
	w.post(createPath, body)
	w.catalog.Store(parseCatalog(t, strings.Replace(catalogText(), "source: model", "source: elsewhere", 1)))
	w.post(createPath, body)
	events := w.produced()
	if len(events) != 2 || events[0].Meter.Name != "tokens" || events[1].Meter.Name != "credit" {
		t.Fatalf("produced %+v", events)
	}
	if events[0].Fingerprint() != events[1].Fingerprint() {
		t.Error("the retry is another event")
	}
}

func TestTimesOfUse(t *testing.T) {
	const ok = ""
	for _, c := range []struct{ time, credential, refusal string }{
		{"2026-06-15T12:05:00.123456789Z", "demo", ok},
		{"2026-06-15T12:05:00.12345679Z", "demo", "is more than 5m0s (ingest.max_ahead) ahead of the clock"},
		{"2026-05-11T12:00:00.123456789Z", "demo", ok},
		{"2026-05-11T12:00:00.123456788Z", "demo", "is older than 35 days: a credential with the scope usage.backfill may report it, or ingest.max_age: 0 lifts the bound"},
		{"2026-05-11T12:00:00.123456788Z", "old", ok},
		{"1970-02-01T00:00:00Z", "old", ok},
		{"1969-12-31T23:59:59Z", "old", "is outside the years 1970 to 2199"},
		{"2200-01-01T00:00:00Z", "old", "is outside the years 1970 to 2199"},
		{"9999-12-31T23:59:59Z", "old", "is outside the years 1970 to 2199"},
		{"0001-01-01T00:00:00Z", "demo", ok}, // zero is absent
	} {
		w := newWorld(t)
		a := w.post(createPath, `{"usages":[{"amount":1},{"amount":1,"created_at":"`+c.time+`"}]}`, as(c.credential))
		if c.refusal == ok {
			if a.status != http.StatusOK || len(w.produced()) != 2 {
				t.Errorf("%s as %s: %d %s", c.time, c.credential, a.status, a.body)
			}
			continue
		}
		code, message := a.errorBody(t)
		if a.status != 400 || code != 3 || !strings.HasPrefix(message, "invalid CreateBillingUsageRequest.Usages[1]: ") ||
			!strings.Contains(message, "Usage.CreatedAt: value ") || !strings.HasSuffix(message, c.refusal) || len(w.produced()) > 0 {
			t.Errorf("%s as %s: %d %s", c.time, c.credential, a.status, a.body)
		}
	}
	w := newWorld(t, func(o *Options) { o.MaxAge = 0 })
	if a := w.post(createPath, `{"usages":[{"amount":1,"created_at":"1999-01-01T00:00:00Z"}]}`); a.status != 200 {
		t.Errorf("without a bound: %d %s", a.status, a.body)
	}
	if e := w.produced()[0]; !e.Written.UsageTime.Equal(e.UsageTime) || e.UsageTime.Year() != 1999 {
		t.Errorf("time of use %s, as written %s", e.UsageTime, e.Written.UsageTime)
	}
}

// TestPeriodsAtTheEdgesOfTime are refused, not left for the log to choke on.
func TestPeriodsAtTheEdgesOfTime(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxAhead = 200 * 365 * 24 * time.Hour })
	for _, at := range []string{"1970-01-01T00:00:00Z", "2199-12-31T00:00:00Z"} {
		a := w.post(createPath, `{"usages":[{"amount":1,"created_at":"`+at+`"}]}`, as("old"))
		if code, message := a.errorBody(t); a.status != 400 || code != 3 || !strings.Contains(message, "Usages[0]") {
			t.Errorf("%s: %d %s", at, a.status, a.body)
		}
	}
	if len(w.produced()) > 0 {
		t.Error("something was written")
	}
}

// TestOneBadUsageWritesNothing puts the bad one at the end, in every way in which one can be bad.
func TestOneBadUsageWritesNothing(t *testing.T) {
	good := strings.TrimSuffix(usagesBody(999), "]}")
	for _, bad := range []string{
		`{"amount":0}`, `{"amount":-1}`, `{}`, `{"amount":1,"id":"x"}`, `{"amount":1,"type":"gift"}`, `{"amount":1.5}`, `null`,
		`{"amount":1,"created_at":"2020-01-01T00:00:00Z"}`, `{"amount":1,"created_at":"yesterday"}`, `{"amount":1,"metadata":[]}`,
		`{"amount":1,"updated_at":"1900-01-01T00:00:00Z"}`, `{"amount":9223372036854775808}`, `{"amount":1,"amount":1}`,
		`{"amount":1,"source":"` + strings.Repeat("s", reckoner.MaxTextBytes+1) + `"}`, `{"amount":1,"description":"` + "\xff" + `"}`,
	} {
		w := newWorld(t)
		a := w.post(createPath, good+","+bad+"]}")
		if code, _ := a.errorBody(t); a.status != 400 || code != 3 || len(w.produced()) > 0 {
			t.Errorf("%.80s: %d %s, %d written", bad, a.status, a.body, len(w.produced()))
		}
	}
}

func TestLargestAmountsAreExact(t *testing.T) {
	w := newWorld(t)
	a := w.post(createPath, `{"usages":[{"amount":9223372036854775807},{"amount":"9223372036854775807"},{"amount":"5e2"},{"amount":9007199254740993}]}`)
	if a.status != 200 {
		t.Fatal(a.body)
	}
	var got []string
	for _, e := range w.produced() {
		got = append(got, e.Written.Quantity.String())
	}
	want := []string{"9223372036854775807", "9223372036854775807", "500", "9007199254740993"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRepeatedIDsOfOneRequest are the aggregator's to decide.
func TestRepeatedIDsOfOneRequest(t *testing.T) {
	w := newWorld(t)
	usage := fmt.Sprintf(`{"id":%q,"amount":1}`, usageID)
	if a := w.post(createPath, `{"usages":[`+usage+","+usage+`]}`); a.status != 200 || len(w.produced()) != 2 {
		t.Errorf("%d %s, %d written", a.status, a.body, len(w.produced()))
	}
}
