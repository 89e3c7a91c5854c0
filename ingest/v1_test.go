package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/ledger"
)

const (
	accountUsagePath = "/v1/accounts/" + account + "/usage"
	subUsagePath     = "/v1/subscriptions/sub_1/usage"
	eventPath        = "/v1/events/" + account + "/" + usageID
)

func newV1World(t testing.TB) *world {
	w := newWorld(t)
	w.catalog.Store(parseCatalog(t, usagesCatalog()))
	return w
}

func day(month time.Month, d, hour, minute int) time.Time {
	return time.Date(2026, month, d, hour, minute, 0, 0, time.UTC)
}

// v1Page is what a ledger might hold: two meters in a day that has 23 hours in Berlin.
func v1Page() ledger.UsagePage {
	window := reckoner.Period{Start: day(3, 28, 23, 0), End: day(3, 29, 22, 0)}
	return ledger.UsagePage{
		Rows: []ledger.UsageRow{
			{Window: window, Meter: "storage", MeterType: reckoner.Total, Quantity: reckoner.Thousandths(12345), Events: 2},
			{Window: window, Meter: "tokens", MeterType: reckoner.Interval, Quantity: must(reckoner.ParseQuantity("9223372036854775807000.001")), Events: 3, Reverts: 1},
			{Window: window, Meter: "was <removed>", MeterType: reckoner.Rate, Quantity: reckoner.Units(7), Events: 1},
		},
		AsOf: &reckoner.Position{Log: 1, Partition: 3, Offset: 41, Index: 2},
	}
}

func v1Story() []ledger.StoryEvent {
	requested, limit := reckoner.Units(5), reckoner.Thousandths(1000500)
	period := reckoner.Period{Start: day(6, 10, 0, 0), End: day(7, 10, 0, 0)}
	at := func(offset int64) reckoner.Position {
		return reckoner.Position{Log: 1, Partition: 3, Offset: offset}
	}
	usage := ledger.Entry{
		Position: at(40), AccountID: account, OrganizationID: acme, ProjectID: site, SubscriptionID: "sub_1", Meter: "credit", MeterType: reckoner.Interval,
		EventID: usageID, Kind: reckoner.Usage, Type: "credit", Quantity: reckoner.Thousandths(2500), Requested: &requested, Outcome: reckoner.Clipped,
		Period: period, Bucket: day(6, 15, 11, 45), UsageTime: noon().Add(-time.Minute), ReceivedAt: noon(), UpdatedAt: noon(), Source: "model <x>",
		Description: "a \"call\"", UserID: "u", CustomerID: "c", Metadata: []reckoner.Label{{Key: "n", Value: "1.50", JSON: true}, {Key: "s", Value: "5"}},
		Limit: &limit, Fingerprint: reckoner.Fingerprint{0xab, 1}, Rules: 1,
	}
	revert := usage
	revert.Position, revert.EventID, revert.Kind, revert.Outcome, revert.UsageID = at(42), "retry-1", reckoner.Revert, reckoner.Reverted, usageID
	revert.Quantity, revert.Limit, revert.Requested, revert.UpdatedAt = reckoner.Thousandths(-2500), nil, nil, time.Time{}
	same := revert
	same.EventID, same.UsageID = usageID, "x"
	again := ledger.Refusal{
		Position: at(41), AccountID: account, OrganizationID: acme, SubscriptionID: "sub_1", Meter: "credit", MeterType: reckoner.Interval, EventID: usageID,
		Kind: reckoner.Usage, Type: "credit", Requested: &requested, Outcome: reckoner.Duplicate, Reason: "the id was sent before: clipped", UsageTime: noon(),
		ReceivedAt: noon(), Source: "model", Rules: 1,
	}
	lost := ledger.Refusal{Position: at(43), AccountID: account, EventID: usageID, Outcome: reckoner.Undecodable, Reason: "quantity: missing", ReceivedAt: noon()}
	unknown := ledger.Refusal{Position: at(44), AccountID: account, EventID: usageID, Kind: reckoner.Revert, UsageID: "nothing", Outcome: reckoner.UnknownUsage,
		Reason: "the account has no usage of this id", ReceivedAt: noon()}
	return []ledger.StoryEvent{
		{Entry: &usage, Revert: &revert}, {Refusal: &again}, {Entry: &same, Usage: &usage}, {Refusal: &lost}, {Refusal: &unknown},
	}
}

// v1Carriers are the reports that told two partners of an event.
func v1Carriers() []ledger.ReportCarrier {
	return []ledger.ReportCarrier{
		{InstallationID: "icfg_1", Target: "vercel", Timestamp: day(6, 15, 13, 0).Add(time.Millisecond), Day: reckoner.Period{Start: day(6, 15, 0, 0), End: day(6, 16, 0, 0)},
			Period: reckoner.Period{Start: day(6, 10, 0, 0), End: day(7, 10, 0, 0)}, PayloadSHA256: [32]byte{0xab, 31: 0xcd}},
		{InstallationID: "icfg_2", Target: "vercel", Timestamp: day(6, 15, 14, 0), Day: reckoner.Period{Start: day(6, 15, 5, 45), End: day(6, 16, 5, 45)},
			Period: reckoner.Period{Start: day(6, 10, 0, 0), End: day(7, 10, 0, 0)}},
	}
}

// TestV1Payloads holds what goes out to the byte.
func TestV1Payloads(t *testing.T) {
	w := newV1World(t)
	w.reader.page, w.reader.story, w.reader.carried = v1Page(), v1Story(), v1Carriers()
	w.reader.used = ledger.PeriodsUsed{
		Rows: []ledger.PeriodUsed{
			{SubscriptionID: "sub_1", Meter: "credit", Period: reckoner.Period{Start: day(6, 10, 0, 0), End: day(7, 10, 0, 0)}, Quantity: reckoner.Thousandths(250)},
			{SubscriptionID: "sub_1", Meter: "tokens", Period: reckoner.Period{Start: day(6, 10, 0, 0), End: day(7, 10, 0, 0)}, Quantity: reckoner.Units(9)},
		},
		AsOf: &reckoner.Position{Log: 1, Partition: 3, Offset: 40},
	}
	w.reader.decided = reckoner.Position{Log: 1, Partition: 3, Offset: 45}
	var b strings.Builder
	for _, path := range []string{
		accountUsagePath + "?from=2026-03-28&to=2026-03-30T00:00:00%2B02:00&window=day&tz=Europe/Berlin",
		accountUsagePath + "?window=period&limit=1",
		subUsagePath + "?window=bucket&tz=Asia/Kathmandu&meter=tokens",
		"/v1/subscriptions/sub_open/usage",
		eventPath, eventPath + "?limit=1",
		eventPath + "?limit=0&page_token=x", accountUsagePath + "?windows=day&from=yesterday&to=2026-06-01T00:01:00Z&window=week&tz=Mars&limit=10001&page_token=x",
		"/v1/accounts/nobody/usage", "/v1/reports",
	} {
		a := w.request("GET", path, "")
		fmt.Fprintf(&b, "GET %s\n%d\n%s\n\n", path, a.status, a.body)
		if !json.Valid([]byte(a.body)) {
			t.Errorf("%s: no JSON: %s", path, a.body)
		}
	}
	w.reader.story = nil
	fmt.Fprintf(&b, "GET %s\n%s\n", eventPath, w.request("GET", eventPath, "").body)
	golden(t, "v1.txt", b.String())
}

// TestWhatIsRead: a request becomes the right question to the ledger. It is noon of 2026-06-15; sub_1's period is from the
// 10th to the 10th.
func TestWhatIsRead(t *testing.T) {
	june := reckoner.Period{Start: day(6, 1, 0, 0), End: day(7, 1, 0, 0)}
	period := reckoner.Period{Start: day(6, 10, 0, 0), End: day(7, 10, 0, 0)}
	for _, c := range []struct {
		path, query string
		from, to    time.Time
		windows     int
		period      *reckoner.Period
	}{
		{accountUsagePath, "", june.Start, june.End, 30, nil},
		{accountUsagePath, "window=bucket", june.Start, june.End, 30 * 96, nil},
		{accountUsagePath, "window=hour", june.Start, june.End, 30 * 24, nil},
		{accountUsagePath, "window=day&tz=Asia/Kathmandu", june.Start, june.End, 31, nil}, // the first and the last are cut short
		{accountUsagePath, "from=2026-03-29&to=2026-03-30&tz=Europe/Berlin&window=hour", day(3, 28, 23, 0), day(3, 29, 22, 0), 23, nil},
		{accountUsagePath, "from=2026-10-25&to=2026-10-26&tz=Europe/Berlin&window=hour", day(10, 24, 22, 0), day(10, 25, 23, 0), 25, nil},
		{accountUsagePath, "from=2026-06-14T22:00:00-02:00&window=day", day(6, 15, 0, 0), june.End, 16, nil},
		{accountUsagePath, "to=2026-06-03&from=&meter=&limit=", june.Start, day(6, 3, 0, 0), 2, nil},
		{subUsagePath, "", period.Start, period.End, 30, &period},
		{subUsagePath, "from=2026-06-10", period.Start, period.End, 30, nil},
		{"/v1/subscriptions/sub_odd/usage", "", day(6, 14, 23, 50), day(6, 15, 23, 50), 2, &reckoner.Period{Start: day(6, 14, 23, 50), End: day(6, 15, 23, 50)}},
		{"/v1/subscriptions/sub_odd/usage", "window=bucket", day(6, 14, 23, 50), day(6, 15, 23, 50), 97, &reckoner.Period{Start: day(6, 14, 23, 50), End: day(6, 15, 23, 50)}},
		{"/v1/subscriptions/sub_odd/usage", "from=2026-06-15", day(6, 15, 0, 0), day(6, 16, 0, 0), 1, nil},
		{"/v1/subscriptions/sub_odd/usage", "to=2026-06-15", day(6, 14, 23, 45), day(6, 15, 0, 0), 1, nil},
	} {
		t.Run(c.path+"?"+c.query, func(t *testing.T) {
			w := newWorld(t)
			text := usagesCatalog()
			cut := strings.Index(text, "subscriptions: [") + len("subscriptions: [")
			w.catalog.Store(parseCatalog(t, text[:cut]+`{id: sub_odd, account: `+account+`, meter: tokens, period: {anchor: 2026-01-01T23:50:00Z, every: day}}, `+text[cut:]))
			if a := w.request("GET", c.path+"?"+c.query, ""); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if len(w.reader.windows) != 1 {
				t.Fatalf("%d reads of windows", len(w.reader.windows))
			}
			q := w.reader.windows[0]
			edges := q.Edges
			if !edges[0].Equal(c.from) || !edges[len(edges)-1].Equal(c.to) || len(edges) != c.windows+1 {
				t.Errorf("%d windows of %s to %s, want %d of %s to %s", len(edges)-1, edges[0], edges[len(edges)-1], c.windows, c.from, c.to)
			}
			if diff := cmp.Diff(c.period, q.Period); diff != "" || q.Limit != usageRowsMax+1 || q.AccountID != account {
				t.Errorf("%+v %s", q, diff)
			}
		})
	}
}

func TestPeriodsAreThoseThatOverlap(t *testing.T) {
	w := newV1World(t)
	for _, query := range []string{"", "&from=2026-06-01T00:00:01Z&to=2026-06-01T00:00:02.5Z&limit=7&meter=a%26b"} {
		if a := w.request("GET", accountUsagePath+"?window=period"+query, ""); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	w.request("GET", subUsagePath+"?window=period", "")
	whole := ledger.Subject{AccountID: account}
	want := []ledger.PeriodQuery{
		{Subject: whole, From: day(6, 1, 0, 0), To: day(7, 1, 0, 0), Limit: usageRowsMax + 1},
		{Subject: whole, From: day(6, 1, 0, 0).Add(time.Second), To: day(6, 1, 0, 0).Add(2500 * time.Millisecond), Limit: 8, Meter: "a&b"},
		{Subject: ledger.Subject{AccountID: account, SubscriptionID: "sub_1"}, From: day(6, 10, 0, 0), To: day(7, 10, 0, 0), Limit: usageRowsMax + 1},
	}
	if diff := cmp.Diff(want, w.reader.periods); diff != "" {
		t.Error(diff)
	}
}

func TestUsagePages(t *testing.T) {
	w := newV1World(t)
	w.reader.page = v1Page()
	var got struct {
		Usage []struct{ Meter string } `json:"usage"`
		Next  string                   `json:"next_page_token"`
	}
	a := w.request("GET", accountUsagePath+"?limit=2", "")
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || len(got.Usage) != 2 || got.Next == "" {
		t.Fatalf("%v %s", err, a.body)
	}
	w.request("GET", accountUsagePath+"?limit=3&page_token="+got.Next, "")
	want := cursorOf(&w.reader.page.Rows[1])
	if diff := cmp.Diff(&want, w.reader.windows[1].After); diff != "" {
		t.Error(diff)
	}
	a = w.request("GET", accountUsagePath+"?limit=3", "")
	if strings.Contains(a.body, "next_page_token") {
		t.Errorf("all of it, and more? %s", a.body)
	}

	w.reader.story = v1Story()
	a = w.request("GET", eventPath+"?limit=2", "")
	if !strings.HasSuffix(a.body, `"next_page_token":"1/3/41.0"}`) {
		t.Error(a.body)
	}
	w.reader.story = nil
	a = w.request("GET", eventPath+"?limit=2&page_token=1/3/41.0", "")
	if diff := cmp.Diff(&reckoner.Position{Log: 1, Partition: 3, Offset: 41}, w.reader.stories[1].After); diff != "" || a.status != 200 || !strings.Contains(a.body, `"events":[]`) {
		t.Errorf("%d %s %s", a.status, a.body, diff)
	}
}

func TestUsageTokensRoundTrip(t *testing.T) {
	good := ledger.UsageCursor{Window: reckoner.Period{Start: reckoner.MinTime, End: reckoner.MaxTime}, Meter: "a\x00é", MeterType: reckoner.Rate}
	token := usageToken(good)
	back, ok := parseUsageToken(token)
	if diff := cmp.Diff(good, back); !ok || diff != "" {
		t.Error(ok, diff)
	}
	for _, bad := range []string{"", "x", token[1:], "B" + token[1:], token[:20], strings.Repeat("_", len(token)), token + "!"} {
		if c, ok := parseUsageToken(bad); ok {
			t.Errorf("%q is %v", bad, c)
		}
	}
}

func TestV1Errors(t *testing.T) {
	longest := strings.Repeat("m", reckoner.MaxTextBytes+1)
	for _, c := range []struct {
		path   string
		status int
		fields string
		says   string
	}{
		{"/v1/accounts/" + usageID + "/usage", 404, "", "no account"},
		{"/v1/accounts/acme/usage", 404, "", "no account"},
		{"/v1/subscriptions/nothing/usage", 404, "", "no subscription"},
		{"/v1/events/" + usageID + "/x", 404, "", "no account"},
		{"/v1/events/" + account + "/" + strings.Repeat("x", 256), 404, "", "the ledger has no event"},
		{eventPath, 404, "", "nothing of this account's partition is decided yet"},
		{"/v1/accounts/nobody/usage?window=x", 404, "", "no account"}, // who may ask comes before what
		{"/v1", 404, "", "no such path"},
		{"/v1/accounts/" + account, 404, "", "no such path"},
		{accountUsagePath + "?a=%zz", 400, "", "invalid query"},
		{accountUsagePath + "?from=2026-06-01;to=2026-06-02", 400, "", "invalid query"},
		{accountUsagePath + "?From=2026-06-01", 422, "From", "there are from, to"},
		{accountUsagePath + "?from=2026-06-01&from=2026-06-02", 422, "from", "more than once"},
		{accountUsagePath + "?from=2026-06-01T00:00:00+02:00", 422, "from", "%2B"},
		{accountUsagePath + "?from=2026-06-01T00:07:00Z", 422, "from", "15 minutes"},
		{accountUsagePath + "?to=2026-06-01T00:15:00.000000001Z", 422, "to", "15 minutes"},
		{accountUsagePath + "?from=1969-12-31T23:45:00Z", 422, "from", "1970 to 2199"},
		{accountUsagePath + "?to=2200-01-01T00:15:00Z", 422, "to", "1970 to 2199"},
		{accountUsagePath + "?from=1970-01-01&tz=Asia/Kathmandu", 422, "from", "1970 to 2199"},
		{accountUsagePath + "?from=2026-06-31", 422, "from", "RFC 3339"},
		{accountUsagePath + "?from=2026-06-02&to=2026-06-02", 422, "from", "before to"},
		{accountUsagePath + "?from=2026-07-01", 422, "from", "before to, which is 2026-07-01"},
		{accountUsagePath + "?to=2026-05-31", 422, "from", "before to"},
		{accountUsagePath + "?window=minute", 422, "window", "bucket, hour, day or period"},
		{accountUsagePath + "?window=bucket&from=2026-01-01&to=2026-06-01", 422, "window", "more than 10000 windows"},
		{accountUsagePath + "?window=hour&from=2024-01-01", 422, "window", "wider windows"},
		{accountUsagePath + "?window=day&from=1970-01-01", 422, "window", "wider windows"},
		{accountUsagePath + "?tz=Local", 422, "tz", "Europe/Berlin"},
		{accountUsagePath + "?tz=right/Europe/Berlin", 422, "tz", "Europe/Berlin"},
		{accountUsagePath + "?tz=../../etc/passwd", 422, "tz", "Europe/Berlin"},
		{accountUsagePath + "?tz=/etc/localtime", 422, "tz", "Europe/Berlin"},
		{accountUsagePath + "?tz=" + strings.Repeat("a", 65), 422, "tz", "Europe/Berlin"},
		{accountUsagePath + "?limit=0", 422, "limit", "1 to 10000"},
		{accountUsagePath + "?limit=-1", 422, "limit", "1 to 10000"},
		{accountUsagePath + "?meter=" + longest, 422, "meter", "at most"},
		{eventPath + "?limit=1001", 422, "limit", "1 to 1000"},
		{eventPath + "?page_token=1/2", 422, "page_token", "an answer gave"},
		{eventPath + "?tz=UTC", 422, "tz", "unknown parameter"},
	} {
		w := newV1World(t)
		a := w.request("GET", c.path, "")
		p := a.problem(t)
		if a.status != c.status || p.fields() != c.fields || !strings.Contains(a.body, c.says) {
			t.Errorf("%.200s: %d %s", c.path, a.status, a.body)
		}
		if n := len(w.reader.windows) + len(w.reader.periods); n > 0 {
			t.Errorf("%.200s: refused, and read", c.path)
		}
	}
	for _, path := range []string{accountUsagePath, subUsagePath, eventPath, statementPath} {
		w := newV1World(t)
		if a := w.request("POST", path, "{}"); a.status != 405 || a.header.Get("Allow") != "GET" {
			t.Errorf("POST %s: %d %s", path, a.status, a.body)
		}
	}
}

// TestV1Isolation: whoever may not see an organization sees nothing of its accounts, and the ledger is not asked.
func TestV1Isolation(t *testing.T) {
	own := []string{"/v1/accounts/" + other + "/usage", "/v1/accounts/" + other + "/statement", "/v1/subscriptions/sub_globex/usage", "/v1/events/" + other + "/" + usageID}
	foreign := []string{accountUsagePath, subUsagePath, eventPath, statementPath, "/v1/accounts/" + strings.ToUpper(account) + "/usage?window=x"}
	for _, c := range []struct {
		credential string
		paths      []string
		status     int
	}{
		{as("narrow"), own, 200}, {as("narrow"), foreign, 403}, {as("reader"), own, 200}, {as("reader"), foreign[:4], 200},
		{as("old"), own, 403}, {as("old"), foreign, 403}, // has no scope usage.read
		{as("nobody"), foreign, 401}, {"Authorization: ", foreign, 401}, {"Authorization: Bearer reader:guess", own, 401},
	} {
		w := newV1World(t)
		w.reader.story = v1Story()
		for _, path := range c.paths {
			if a := w.request("GET", path, "", c.credential); a.status != c.status {
				t.Errorf("%s of %s: %d %s", c.credential, path, a.status, a.body)
			} else if c.status != 200 {
				a.problem(t)
			}
		}
		if asked := len(w.reader.windows) + len(w.reader.stories) + len(w.reader.sheets); (asked > 0) != (c.status == 200) {
			t.Errorf("%s: the ledger was asked %d times", c.credential, asked)
		}
	}
	w := newV1World(t)
	if a := w.request("GET", accountUsagePath, "", "Authorization: ", "REB-APIKEY: reader:se:cret"); a.status != 200 {
		t.Errorf("a key: %d %s", a.status, a.body)
	}
}

func TestAutomaticAccountsAreEmpty(t *testing.T) {
	w := newV1World(t)
	c, err := w.catalog.Load().WithAutoAccounts("acme")
	if err != nil {
		t.Fatal(err)
	}
	w.catalog.Store(c)
	a := w.request("GET", "/v1/accounts/"+usageID+"/usage", "")
	if a.status != 200 || !strings.Contains(a.body, `"position":null},"usage":[],"limits":[],"limits_as_of":null}`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.request("GET", "/v1/accounts/"+usageID+"/usage", "", as("narrow")); a.status != 403 {
		t.Errorf("of another organization: %d %s", a.status, a.body)
	}
}

// TestLimitsOfAnAccount: of each limited subscription what its own current period has used, never less than nothing left.
func TestLimitsOfAnAccount(t *testing.T) {
	w := newWorld(t)
	text := catalogText()
	cut := strings.Index(text, "subscriptions: [") + len("subscriptions: [")
	var more strings.Builder
	for i := range limitsMax {
		fmt.Fprintf(&more, "{id: sub_x%04d, account: %s, meter: tokens, limit: \"1\"}, ", i, account)
	}
	w.catalog.Store(parseCatalog(t, text[:cut]+`{id: sub_0, account: `+account+`, meter: tokens, limit: "5"}, {id: sub_free, account: `+account+`, meter: tokens}, `+text[cut:]))
	june := reckoner.Period{Start: day(6, 1, 0, 0), End: day(7, 1, 0, 0)}
	w.reader.used.Rows = []ledger.PeriodUsed{
		{SubscriptionID: "sub_0", Meter: "tokens", Period: june, Quantity: reckoner.Thousandths(5001)},                                                   // the limit was lowered
		{SubscriptionID: "sub_1", Meter: "credit", Period: june, Quantity: reckoner.Units(1)},                                                            // a period of another cycle
		{SubscriptionID: "sub_1", Meter: "tokens", Period: reckoner.Period{Start: day(6, 10, 0, 0), End: day(7, 10, 0, 0)}, Quantity: reckoner.Units(1)}, // not what is limited
	}
	a := w.request("GET", accountUsagePath, "")
	var got struct {
		Limits []limitJSON `json:"limits"`
		More   bool        `json:"more_limits"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err, a.body)
	}
	want := []limitJSON{
		{"sub_0", "tokens", "tokens", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z", reckoner.Units(5), reckoner.Thousandths(5001), reckoner.Quantity{}},
		{"sub_1", "credit", "credits", "2026-06-10T00:00:00Z", "2026-07-10T00:00:00Z", reckoner.Thousandths(1000500), reckoner.Quantity{}, reckoner.Thousandths(1000500)},
	}
	if diff := cmp.Diff(want, got.Limits, quantities()); diff != "" || got.More {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sub_0", "sub_1"}, w.reader.asked); diff != "" {
		t.Error(diff)
	}
	w.catalog.Store(parseCatalog(t, text[:cut]+more.String()+text[cut:]))
	a = w.request("GET", accountUsagePath, "")
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || len(got.Limits) != limitsMax || !got.More {
		t.Errorf("%v, %d limits, more: %t", err, len(got.Limits), got.More)
	}
}

func TestV1LedgerFailures(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{errors.New("Code: 241. secret table"), 500},
		{&net.OpError{Op: "dial", Err: errors.New("secret refused")}, 503},
		{context.DeadlineExceeded, 503},
	} {
		for _, path := range []string{accountUsagePath, accountUsagePath + "?window=period", subUsagePath, eventPath, statementPath} {
			w := newV1World(t)
			w.reader.fakeAccounts.err = c.err
			a := w.request("GET", path, "")
			if a.problem(t); a.status != c.status || strings.Contains(a.body, "secret") {
				t.Errorf("%s, %v: %d %s", path, c.err, a.status, a.body)
			}
		}
	}
}

// A time is written with the offset of its zone, unless no offset of minutes tells it.
func TestTimesInZones(t *testing.T) {
	monrovia, err := time.LoadLocation("Africa/Monrovia")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		t    time.Time
		zone *time.Location
		want string
	}{
		{day(6, 1, 0, 0), time.UTC, "2026-06-01T00:00:00Z"},
		{day(6, 1, 0, 0), monrovia, "2026-06-01T00:00:00Z"},
		{time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC), monrovia, "1971-01-01T00:00:00Z"}, // -00:44:30
		{noon(), time.FixedZone("x", -(3*3600 + 1800)), "2026-06-15T08:30:00.123456789-03:30"},
	} {
		if got := inZone(c.t, c.zone); got != c.want {
			t.Errorf("%s in %s is %s, want %s", c.t, c.zone, got, c.want)
		}
	}
}

// FuzzV1Query: a query is refused with the parameters that are wrong, or asks for windows that the ledger can read.
func FuzzV1Query(f *testing.F) {
	for _, seed := range []string{
		"", "from=2026-03-29&to=2026-03-30T00:00:00%2B02:00&window=hour&tz=Europe/Berlin&meter=a&limit=5", "window=period&from=2026-06-01T00:00:00.000000001Z",
		"from=0000-01-01", "from=9999-12-31T23:59:59Z", "tz=", "tz=..", "page_token=AQ", "from=2011-12-30&tz=Pacific/Apia&window=hour", "x=%", "limit=1e3",
		"page_token=" + usageToken(ledger.UsageCursor{Window: reckoner.Period{Start: reckoner.MinTime, End: reckoner.MaxTime}, MeterType: reckoner.Total}),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseWindowQuery(raw)
		if err != nil {
			if s := problemStatus(err); s != 400 && s != 422 {
				t.Fatalf("%q: %d %v", raw, s, err)
			}
			return
		}
		if q.limit < 1 || q.limit > usageRowsMax || q.zone == nil || q.width > ledger.ByDay {
			t.Fatalf("%q: %+v", raw, q)
		}
		for _, bound := range []time.Time{q.from, q.to} {
			if bound.IsZero() {
				continue
			}
			if bound.Before(reckoner.MinTime) || bound.After(reckoner.MaxTime) || q.width != byPeriod && !bound.Equal(reckoner.BucketOf(bound)) {
				t.Fatalf("%q: a bound at %s", raw, bound)
			}
		}
		if q.width == byPeriod || q.from.IsZero() || q.to.IsZero() || !q.from.Before(q.to) {
			return
		}
		edges, ok := ledger.Windows(q.from, q.to, q.width, q.zone, 100)
		for i := 1; ok && i < len(edges); i++ {
			if !edges[i-1].Before(edges[i]) || !edges[i].Equal(reckoner.BucketOf(edges[i])) {
				t.Fatalf("%q: edges %s", raw, edges)
			}
		}
	})
}
