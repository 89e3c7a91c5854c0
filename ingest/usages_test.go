package ingest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/ledger"
)

const globexUsages = "/organizations/" + globex + "/usages"

// usagesCatalog has subscriptions of every kind beside those of catalogText.
func usagesCatalog() string {
	text := catalogText()
	cut := strings.Index(text, "subscriptions: [") + len("subscriptions: [")
	return text[:cut] + fmt.Sprintf(`{id: sub_bare, account: %[1]s}, {id: sub_level, account: %[1]s, meter: storage},
  {id: sub_open, account: %[1]s, meter: tokens}, {id: sub_globex, account: %[2]s, meter: tokens},
  {id: %[3]s, account: %[1]s, meter: tokens},
  `, account, other, strings.Repeat("é", 50)) + text[cut:]
}

func newUsagesWorld(t testing.TB, change ...func(*Options)) *world {
	w := newWorld(t, change...)
	w.catalog.Store(parseCatalog(t, usagesCatalog()))
	return w
}

// counted is the verdict that an event counts as asked.
func counted(e *reckoner.Event) reckoner.Verdict {
	return reckoner.Verdict{Outcome: reckoner.Applied, Quantity: *e.Written.Quantity}
}

// usageJSON is a usage as an answer has it.
type usageJSON struct {
	ID             string      `json:"id"`
	SubscriptionID string      `json:"subscriptionId"`
	Quantity       json.Number `json:"quantity"`
	UsageTime      time.Time   `json:"usageTime"`
	InvoiceID      *string     `json:"invoiceId"`
	InvoiceItemID  *string     `json:"invoiceItemId"`
	CreatedTime    time.Time   `json:"createdTime"`
	UpdatedTime    time.Time   `json:"updatedTime"`
	Links          []struct {
		Href string `json:"href"`
		Rel  string `json:"rel"`
	} `json:"_links"`
}

// usage reads an answer as a usage, strictly.
func (a answer) usage(t testing.TB) usageJSON {
	t.Helper()
	var u usageJSON
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&u); err != nil || len(u.Links) != 1 || u.Links[0].Rel != "self" {
		t.Fatalf("not a usage: %d %s (%v)", a.status, a.body, err)
	}
	return u
}

// TestUsagePayloads holds what goes out to the byte.
func TestUsagePayloads(t *testing.T) {
	w := newUsagesWorld(t)
	w.decide = counted
	at := noon().Add(-time.Hour)
	w.reader.usages.found = []ledger.UsageRecord{{EventID: "a/b ü", SubscriptionID: "sub_1", Quantity: reckoner.Thousandths(12500),
		Reverted: reckoner.Thousandths(1), UsageTime: at, ReceivedAt: at.Add(time.Second), RevertedAt: noon()}}
	w.reader.usages.page, w.reader.usages.count = append(w.reader.usages.found, ledger.UsageRecord{
		EventID: "b", SubscriptionID: "sub_2", Quantity: reckoner.MaxEvent(), UsageTime: at.Truncate(time.Second), ReceivedAt: at.Truncate(time.Second)}), 12
	var b strings.Builder
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/usages", `{"subscriptionId":"sub_1","quantity":12.500,"acceptPartialQuantity":true,"usageTime":"2026-06-15T13:30:00+02:00","planId":"old"}`},
		{"POST", "/organizations/acme/usages", `{"id":"my id/1","subscriptionId":"sub_1","quantity":1e-3}`},
		{"GET", "/usages/a%2Fb%20%C3%BC", ""},
		{"GET", "/organizations/" + acme + "/usages?filter=subscriptionId:sub_1;quantity:1..&limit=2&offset=10", ""},
		{"GET", "/usages/%20", ""},
		{"POST", "/usages", `{"id":"","quantity":"5","usageTime":"now","acceptPartialQuantity":1}`},
		{"POST", "/usages", `{"quantity":5,`},
		{"PUT", "/usages/x", "{}"},
		{"GET", "/usages/x/y", ""},
	} {
		if c.path == "/usages/%20" {
			w.reader.usages.found = nil
		}
		a := w.request(c.method, c.path, c.body)
		fmt.Fprintf(&b, "%s %s\n%s\n%d", c.method, c.path, c.body, a.status)
		for _, name := range []string{"Location", "Reckoner-Outcome", "Pagination-Total", "Pagination-Limit", "Pagination-Offset", "Allow"} {
			if v := a.header.Get(name); v != "" {
				fmt.Fprintf(&b, "\n%s: %s", name, v)
			}
		}
		fmt.Fprintf(&b, "\n%s\n\n", a.body)
	}
	golden(t, "usages.txt", b.String())
}

// TestUsageFields has a row for each rule of each field.
func TestUsageFields(t *testing.T) {
	ok := `"subscriptionId":"sub_1","quantity":1`
	for _, c := range []struct {
		name, body, fields, says string
	}{
		{"nothing", ``, "subscriptionId quantity", "required"},
		{"empty object", `{}`, "subscriptionId quantity", "required"},
		{"null is absent", `{"subscriptionId":null,"quantity":null}`, "subscriptionId quantity", "required"},
		{"all at once", `{"id":5,"subscriptionId":true,"quantity":"1","usageTime":0,"acceptPartialQuantity":"yes"}`,
			"id subscriptionId quantity usageTime acceptPartialQuantity", "want a string"},

		{"subscription empty", `{"subscriptionId":"","quantity":1}`, "subscriptionId", "required"},
		{"subscription 50 characters", `{"subscriptionId":"` + strings.Repeat("é", 50) + `","quantity":1}`, "", ""},
		{"subscription 51 characters", `{"subscriptionId":"` + strings.Repeat("é", 51) + `","quantity":1}`, "subscriptionId", "at most 50"},
		{"subscription unknown", `{"subscriptionId":"sub_x","quantity":1}`, "subscriptionId", "there is no subscription"},
		{"subscription without a meter", `{"subscriptionId":"sub_bare","quantity":1}`, "subscriptionId", "no meter"},
		{"unknown, and more", `{"subscriptionId":"sub_x","quantity":0}`, "quantity subscriptionId", "0.001"},

		{"quantity least", `{"subscriptionId":"sub_1","quantity":0.001}`, "", ""},
		{"quantity with an exponent", `{"subscriptionId":"sub_1","quantity":1e-3}`, "", ""},
		{"quantity with zeros", `{"subscriptionId":"sub_1","quantity":1.5000}`, "", ""},
		{"quantity greatest", `{"subscriptionId":"sub_1","quantity":9223372036854775807}`, "", ""},
		{"quantity over it", `{"subscriptionId":"sub_1","quantity":9223372036854775807.001}`, "quantity", "at most 9223372036854775807"},
		{"quantity huge", `{"subscriptionId":"sub_1","quantity":1e400}`, "quantity", "at most"},
		{"quantity 4 decimals", `{"subscriptionId":"sub_1","quantity":1.0001}`, "quantity", "at most 3 decimals"},
		{"quantity tiny", `{"subscriptionId":"sub_1","quantity":0.0009}`, "quantity", "at most 3 decimals"},
		{"quantity zero", `{"subscriptionId":"sub_1","quantity":0}`, "quantity", "at least 0.001"},
		{"quantity minus zero", `{"subscriptionId":"sub_1","quantity":-0.0}`, "quantity", "at least 0.001"},
		{"quantity negative", `{"subscriptionId":"sub_1","quantity":-5}`, "quantity", "at least 0.001"},
		{"quantity a text", `{"subscriptionId":"sub_1","quantity":"5"}`, "quantity", "want a number"},
		{"quantity a list", `{"subscriptionId":"sub_1","quantity":[5]}`, "quantity", "want a number"},

		{"time", `{` + ok + `,"usageTime":"2026-06-15T12:00:00Z"}`, "", ""},
		{"time absent", `{` + ok + `}`, "", ""},
		{"time empty", `{` + ok + `,"usageTime":""}`, "", ""},
		{"time null", `{` + ok + `,"usageTime":null}`, "", ""},
		{"time a number", `{` + ok + `,"usageTime":1781524800}`, "usageTime", "want a string"},
		{"time a word", `{` + ok + `,"usageTime":"yesterday"}`, "usageTime", "want a time"},
		{"time too old", `{` + ok + `,"usageTime":"2026-05-01T12:00:00Z"}`, "usageTime", "older than 35 days"},
		{"time ahead", `{` + ok + `,"usageTime":"2026-06-15T12:06:00Z"}`, "usageTime", "ahead of the clock"},
		{"time out of range", `{` + ok + `,"usageTime":"2200-01-01T00:00:00Z"}`, "usageTime", "1970 to 2199"},

		{"partial", `{` + ok + `,"acceptPartialQuantity":true}`, "", ""},
		{"partial null", `{` + ok + `,"acceptPartialQuantity":null}`, "", ""},
		{"partial a number", `{` + ok + `,"acceptPartialQuantity":1}`, "acceptPartialQuantity", "true or false"},

		{"id", `{` + ok + `,"id":"x"}`, "", ""},
		{"id empty", `{` + ok + `,"id":""}`, "", ""},
		{"id long", `{` + ok + `,"id":"` + strings.Repeat("x", 256) + `"}`, "id", "1 to 255 bytes"},

		{"what is out only", `{` + ok + `,"invoiceId":5,"invoiceItemId":{},"createdTime":"x","updatedTime":[],"_links":0,"planId":"p"}`, "", ""},
		{"names are exact", `{"subscriptionid":"sub_1","Quantity":1}`, "subscriptionId quantity", "required"},
	} {
		w := newUsagesWorld(t)
		w.decide = counted
		a := w.post("/usages", c.body)
		if c.fields == "" {
			if a.status != 201 || len(w.produced()) != 1 {
				t.Errorf("%s: %d %s", c.name, a.status, a.body)
			}
			continue
		}
		if p := a.problem(t); a.status != 422 || p.fields() != c.fields || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		if len(w.produced()) != 0 {
			t.Errorf("%s: something was written", c.name)
		}
	}
}

func TestUsageBodiesThatAreNoJSON(t *testing.T) {
	for name, body := range map[string]string{
		"broken": `{"quantity":1`, "a list": `[]`, "null": `null`, "more": `{} {}`, "repeated": `{"quantity":1,"quantity":2}`,
		"repeated deep inside": `{"x":{"a":1,"a":1}}`, "not UTF-8": "{\"id\":\"\xff\"}", "NaN": `{"quantity":NaN}`, "leading zero": `{"quantity":01}`, "hex": `{"quantity":0x1}`,
	} {
		w := newUsagesWorld(t)
		if a := w.post("/usages", body); a.status != 400 || !strings.Contains(a.problem(t).Detail, "JSON") || len(w.produced()) != 0 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestISOTimes(t *testing.T) {
	want := time.Date(2026, 6, 15, 12, 30, 0, 0, time.UTC)
	for text, at := range map[string]time.Time{
		"2026-06-15T12:30:00Z": want, "2026-06-15t12:30:00z": want, "2026-06-15T12:30:00.000Z": want, // JavaScript
		"2026-06-15T14:30:00+02:00": want, // PHP's ATOM and RFC3339
		"2026-06-15T14:30:00+0200":  want, // PHP's ISO8601
		"2026-06-15T14:30:00+02":    want, "2026-06-15 14:30:00+02:00": want, "2026-06-15T12:30Z": want, "2026-06-15T07:00-05:30": want,
		"2026-06-15T12:30:00,5Z": want.Add(time.Second / 2), "2026-06-15T12:30:00.123456789Z": want.Add(123456789),
	} {
		if got, why := parseISO(text); why != "" || !got.Equal(at) {
			t.Errorf("%s: %s, %s", text, got, why)
		}
	}
	for _, text := range []string{
		"", "2026", "2026-06-15", "2026-06-15T", "2026-06-15T12:30:00", "2026-06-15 12:30", "2026-06-15T12Z", "2026-06-15T1:30:00Z", "20260615T123000Z",
		"2026-06-15T12:30:00.1234567890Z", "2026-06-15T25:00:00Z", "2026-06-31T12:00:00Z", "2026-06-15T12:30:60Z", "2026-W25-1T12:00:00Z",
		"2026-06-15T12:30:00+99:00", "2026-06-15T12:30:00+2", "2026-06-15T12:30:00 UTC", "1781524800", "2026-06-15T12:30:00Zx", "2026-06-15_12:30:00Z",
	} {
		if got, why := parseISO(text); why == "" {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

// TestUsageEvent is what stands in the log.
func TestUsageEvent(t *testing.T) {
	w := newUsagesWorld(t)
	w.decide = counted
	a := w.post("/usages", `{"id":"`+strings.ToUpper(usageID)+`","subscriptionId":"sub_1","quantity":12.5,"usageTime":"2026-06-09T23:00:00-01:00","acceptPartialQuantity":true}`)
	if a.status != 201 || len(w.produced()) != 1 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	at := time.Date(2026, 6, 10, 0, 0, 0, 0, time.UTC)
	limit, quantity := reckoner.Thousandths(1000500), reckoner.Thousandths(12500)
	e := w.produced()[0]
	want := &reckoner.Event{
		Rules: reckoner.Rules, Kind: reckoner.Usage, ID: usageID, AccountID: account, OrganizationID: acme, SubscriptionID: "sub_1",
		Written: reckoner.Written{Subscription: "sub_1", Quantity: &quantity, AcceptPartial: true, UsageTime: at},
		Meter:   reckoner.Meter{Name: "credit", Type: reckoner.Interval}, UsageTime: at, ReceivedAt: noon(), Limit: &limit,
		Period: reckoner.Period{Start: at, End: at.AddDate(0, 1, 0)}, ReplyTo: e.ReplyTo,
	}
	if diff := cmp.Diff(want, e, quantities()); diff != "" || e.ReplyTo == "" {
		t.Error(diff)
	}
}

func TestUsageIDs(t *testing.T) {
	body := func(id string) string { return `{"subscriptionId":"sub_1","quantity":1` + id + `}` }
	for _, c := range []struct{ name, id, key, want string }{
		{"none", "", "", "usg_0000000000007000800000000000000"},
		{"in the body", `,"id":"a b"`, "", "a b"},
		{"as a key", "", "retry 1", "retry 1"},
		{"a key, word for word", "", `"quoted"`, `"quoted"`},
		{"both the same", `,"id":"k"`, "k", "k"},
		{"both the same UUID", `,"id":"` + strings.ToUpper(usageID) + `"`, usageID, usageID},
		{"a UUID is kept in lower case", "", strings.ToUpper(usageID), usageID},
	} {
		w := newUsagesWorld(t)
		w.decide = counted
		a := w.post("/usages", body(c.id), "Idempotency-Key: "+c.key)
		if a.status != 201 || !strings.HasPrefix(a.usage(t).ID, c.want) || w.produced()[0].ID != a.usage(t).ID {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
	}
	w := newUsagesWorld(t)
	for _, c := range []struct {
		id, fields string
		keys       []string
	}{
		{`,"id":"a"`, "id", []string{"Idempotency-Key: b"}},
		{"", "Idempotency-Key", []string{"Idempotency-Key: a", "Idempotency-Key: a"}},
		{"", "Idempotency-Key", []string{"Idempotency-Key: " + strings.Repeat("k", 256)}},
		{`,"quantity":-1`, "", []string{"Idempotency-Key: b"}}, // a repeated key of JSON
	} {
		a := w.post("/usages", body(c.id), c.keys...)
		if p := a.problem(t); p.fields() != c.fields || a.status != 422 && c.fields != "" {
			t.Errorf("%s %s: %d %s", c.id, c.keys, a.status, a.body)
		}
	}
	// Ids that are made sort by time.
	real := newUsagesWorld(t, func(o *Options) { o.NewID = nil })
	real.decide = counted
	last := ""
	for range 100 {
		id := real.post("/usages", body("")).usage(t).ID
		if len(id) != 36 || id <= last {
			t.Errorf("%s after %s", id, last)
		}
		last = id
	}
}

// TestUsageOutcomes is what becomes of a create, and of one that repeats it.
func TestUsageOutcomes(t *testing.T) {
	const dup = reckoner.Duplicate
	first := ledger.UsageRecord{EventID: "u", AccountID: account, SubscriptionID: "sub_1", Quantity: reckoner.Units(3), Reverted: reckoner.Units(1),
		UsageTime: noon().Add(-2 * time.Hour), ReceivedAt: noon().Add(-time.Hour), RevertedAt: noon()}
	for _, c := range []struct {
		outcome, first reckoner.Outcome
		quantity       int64
		status         int
		says           string
	}{
		{reckoner.Applied, 0, 5, 201, `"quantity":5`},
		{reckoner.Clipped, 0, 2, 201, `"quantity":2`},
		{reckoner.LimitExceeded, 0, 0, 409, "limit"},
		{dup, reckoner.Applied, 3, 201, `"quantity":3`}, // what was taken back since does not change the answer
		{dup, reckoner.Clipped, 3, 201, `"quantity":3`},
		{dup, reckoner.LimitExceeded, 0, 409, "limit"},
		{reckoner.Conflict, 0, 0, 409, "other content"},
		{reckoner.Misrouted, 0, 0, 500, internalMessage},
		{dup, reckoner.Reverted, 0, 500, internalMessage},
	} {
		w := newUsagesWorld(t)
		w.decide = decided(c.outcome, c.first, c.quantity)
		w.reader.usages.found = []ledger.UsageRecord{first}
		a := w.post("/usages", `{"id":"u","subscriptionId":"sub_1","quantity":5}`)
		named := c.outcome
		if named == dup {
			named = c.first
		}
		if a.status != c.status || !strings.Contains(a.body, c.says) || a.header.Get("Reckoner-Outcome") != named.String() {
			t.Errorf("%s/%s: %d %s (%s)", c.outcome, c.first, a.status, a.body, a.header.Get("Reckoner-Outcome"))
		}
		if c.status != 201 {
			a.problem(t)
			continue
		}
		u := a.usage(t)
		created, used := noon(), noon()
		if c.outcome == dup {
			created, used = first.ReceivedAt, first.UsageTime
			if diff := cmp.Diff([]ledger.UsageLookup{{ID: "u", AccountID: account}}, w.reader.usages.lookups); diff != "" {
				t.Error(diff)
			}
		}
		if !u.CreatedTime.Equal(created) || !u.UpdatedTime.Equal(created) || !u.UsageTime.Equal(used) || a.header.Get("Location") != "/usages/u" {
			t.Errorf("%s/%s: %s %s", c.outcome, c.first, a.body, a.header.Get("Location"))
		}
	}
	w := newUsagesWorld(t)
	w.decide = decided(dup, reckoner.Applied, 3)
	if a := w.post("/usages", `{"id":"u","subscriptionId":"sub_1","quantity":5}`); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("a first that the ledger does not show: %d %s", a.status, a.body)
	}
}

// TestUsageWaits: no outcome in time is 202, and so is an answer that nobody wants to wait for.
func TestUsageWaits(t *testing.T) {
	const body = `{"id":"u","subscriptionId":"sub_1","quantity":5}`
	for _, c := range []struct {
		prefer, applied string
		want            time.Duration
	}{
		{"", "", 2 * time.Second},
		{"wait=7", "wait=7", 7 * time.Second},
		{"respond-async", "respond-async", 0},
		{"Respond-Async, wait=3", "wait=3", 3 * time.Second},
		{"handling=lenient", "", 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newUsagesWorld(t)
			started := time.Now()
			a := w.post("/usages", body, "Prefer: "+c.prefer)
			if took := time.Since(started); a.status != 202 || took != c.want || a.usage(t).Quantity != "5" || a.header.Get("Location") != "/usages/u" {
				t.Errorf("%q: %d %s after %s", c.prefer, a.status, a.body, took)
			}
			if got := a.header.Get("Preference-Applied"); got != c.applied {
				t.Errorf("%q: applied %q", c.prefer, got)
			}
			if len(w.produced()) != 1 || (w.produced()[0].ReplyTo == "") != (c.applied == "respond-async") || len(w.outcomes.slots) > 0 {
				t.Errorf("%q: %+v, %d waiting", c.prefer, w.produced(), len(w.outcomes.slots))
			}
			w.reader.usages.found = []ledger.UsageRecord{{EventID: "u", AccountID: account, Quantity: reckoner.Units(1)}}
			started = time.Now()
			if a := w.request(http.MethodDelete, "/usages/u", "", "Prefer: "+c.prefer); a.status != 202 || a.body != "" || time.Since(started) != c.want {
				t.Errorf("%q: delete: %d %s after %s", c.prefer, a.status, a.body, time.Since(started))
			}
		})
	}
}
