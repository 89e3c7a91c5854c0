package vercel

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/vercel/receiver"
)

const document = `
organizations: [{id: 6f0d0000-0000-4000-8000-000000000001}]
accounts: [{id: 9c1e0000-0000-4000-8000-000000000003, organization: 6f0d0000-0000-4000-8000-000000000001}]
meters: [{name: calls, unit: calls, type: interval}, {name: level, unit: GB, type: total}]
plans: [{id: pro, prices: [{meter: calls, unit_price: "0.015", included: "10"}, {meter: level, unit_price: "2"}]}]
subscriptions: [{id: sub_1, account: 9c1e0000-0000-4000-8000-000000000003, plan: pro, meter: calls, limit: "100"}]
installations: [{id: icfg/1, account: 9c1e0000-0000-4000-8000-000000000003, resources: [
  {subscription: sub_1, resource_id: res_1, to: 2026-03-10T00:00:00Z}, {subscription: sub_1, resource_id: res_2, from: 2026-03-10T00:00:00Z}]}]
`

var moment = time.Date(2026, 3, 15, 8, 0, 0, 123_456_789, time.UTC)

func termsOf(t *testing.T) *report.Terms {
	t.Helper()
	c, err := catalog.Parse("test.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	for in := range c.Installations() {
		terms, err := report.TermsOf(c, report.MetersOf(c), in)
		if err != nil {
			t.Fatal(err)
		}
		return terms
	}
	t.Fatal("no installation")
	return nil
}

// input is the report of one of the parts due at the moment, with usage in its day.
func input(t *testing.T, part report.Part, used int64) *report.Input {
	t.Helper()
	terms := termsOf(t)
	return &report.Input{
		Terms: terms, Part: part, Moment: moment, Timestamp: moment.Truncate(time.Millisecond),
		Readings: []report.Reading{{SubscriptionID: "sub_1", Meter: "calls", MeterType: reckoner.Interval, Slice: part.Day, Quantity: reckoner.Thousandths(used)}},
	}
}

func drafted(t *testing.T, target *Target, in *report.Input, past ...ledger.Report) *partner.Draft {
	t.Helper()
	d, err := target.Draft(in, past)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDueCanStillBeDelivered(t *testing.T) {
	terms := termsOf(t)
	for _, tt := range []struct {
		timeout time.Duration
		now     string
		parts   int
	}{
		{5 * time.Minute, "2026-03-15T23:54:59.999Z", 2}, {5 * time.Minute, "2026-03-15T23:55:00Z", 1}, {0, "2026-03-15T23:55:00Z", 1},
		{time.Hour, "2026-03-15T22:59:59Z", 2}, {time.Hour, "2026-03-15T23:00:00Z", 1}, {100 * time.Hour, "2026-03-15T11:59:59Z", 2},
	} {
		at, err := time.Parse(time.RFC3339Nano, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := New(Options{DeliveryTimeout: tt.timeout}).Due(terms, nil, at)
		if err != nil || len(parts) != tt.parts || !parts[len(parts)-1].Day.Contains(at) {
			t.Errorf("%s with %s for delivery: %v, %v; want %d", tt.now, tt.timeout, parts, err, tt.parts)
		}
	}
}

// Closing figures go out until the partner is known to hold them; the current part goes out always.
func TestDraftSendsWhatThePartnerDoesNotHold(t *testing.T) {
	target := New(Options{})
	parts, _ := target.Due(termsOf(t), nil, moment)
	closing, current := parts[0], parts[1]
	said := drafted(t, target, input(t, closing, 5)).Figures
	row := func(seconds int, part report.Part, status ledger.ReportStatus, code int) ledger.Report {
		return ledger.Report{
			Target: Name, Timestamp: moment.Add(time.Duration(seconds-1000) * time.Second), Day: part.Day, Period: part.Period, Figures: said, Status: status, Code: code,
		}
	}
	other := func(r ledger.Report, change func(*ledger.Report)) ledger.Report { change(&r); return r }
	const accepted, refused = ledger.ReportAccepted, ledger.ReportRefused
	for _, tt := range []struct {
		name string
		past []ledger.Report
		sent bool
	}{
		{"nothing was", nil, true},
		{"accepted", []ledger.Report{row(1, closing, accepted, 201)}, false},
		{"accepted, read back in another zone", []ledger.Report{other(row(1, closing, accepted, 201), func(r *ledger.Report) { r.Day.End = r.Day.End.Local() })}, false},
		{"accepted with other figures", []ledger.Report{other(row(1, closing, accepted, 201), func(r *ledger.Report) { r.Figures[0]++ })}, true},
		{"accepted, then other figures accepted", []ledger.Report{other(row(2, closing, accepted, 201), func(r *ledger.Report) { r.Figures[0]++ }), row(1, closing, accepted, 201)}, true},
		{"accepted, then sending", []ledger.Report{row(1, closing, accepted, 201), row(2, closing, ledger.ReportSending, 0)}, true},
		{"accepted, then failed", []ledger.Report{row(1, closing, accepted, 201), row(2, closing, ledger.ReportFailed, 500)}, true},
		{"accepted, then superseded", []ledger.Report{row(1, closing, accepted, 201), row(2, closing, ledger.ReportSuperseded, 0)}, false},
		{"sending, a later revision accepted", []ledger.Report{other(row(1, closing, accepted, 201), func(r *ledger.Report) { r.Revision = 2 }), row(1, closing, ledger.ReportSending, 0)}, false},
		{"expired", []ledger.Report{row(1, closing, ledger.ReportExpired, 0)}, true},
		{"accepted of another part", []ledger.Report{row(1, current, accepted, 201)}, true},
		{"accepted of another period", []ledger.Report{other(row(1, closing, accepted, 201), func(r *ledger.Report) { r.Period.Start = r.Period.Start.Add(time.Hour) })}, true},
		{"accepted by another target", []ledger.Report{other(row(1, closing, accepted, 201), func(r *ledger.Report) { r.Target = "x" })}, true},
		{"refused", []ledger.Report{row(1, closing, refused, 401)}, false},
		{"refused after another was accepted", []ledger.Report{row(1, current, accepted, 201), row(2, closing, refused, 401)}, false},
		{"refused, and then the token was mended", []ledger.Report{row(1, closing, refused, 401), row(2, current, accepted, 201)}, true},
		{"refused for what it says, and others are accepted", []ledger.Report{row(1, closing, refused, 400), row(2, current, accepted, 201)}, false},
		{"refused with other figures", []ledger.Report{other(row(1, closing, refused, 400), func(r *ledger.Report) { r.Figures[0]++ })}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := drafted(t, target, input(t, closing, 5), tt.past...); (d != nil) != tt.sent {
				t.Errorf("closing figures are sent: %t, want %t", d != nil, tt.sent)
			}
			now := drafted(t, target, input(t, current, 5)).Figures
			for i := range tt.past {
				tt.past[i].Day, tt.past[i].Figures = current.Day, now
			}
			if drafted(t, target, input(t, current, 5), tt.past...) == nil {
				t.Error("the current part is not sent")
			}
		})
	}
}

// The hash is of what is said: it changes with a figure and never with the timestamp.
func TestFiguresLeaveOutTheTimestamp(t *testing.T) {
	target := New(Options{})
	part := termsOf(t).Calendar().At(moment)
	first := drafted(t, target, input(t, part, 5))
	later := input(t, part, 5)
	later.Timestamp = later.Timestamp.Add(time.Hour)
	if d := drafted(t, target, later); d.Figures != first.Figures || bytes.Equal(d.Payload, first.Payload) {
		t.Error("the hash is of the timestamp too")
	}
	if d := drafted(t, target, input(t, part, 6)); d.Figures == first.Figures {
		t.Error("other figures have the same hash")
	}
	if first.Figures == sha256.Sum256(first.Payload) {
		t.Error("the hash is that of the payload")
	}
	period := part.Period
	cut := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	want := []ledger.ReportScope{
		{SubscriptionID: "sub_1", Period: reckoner.Period{Start: period.Start, End: cut}}, {SubscriptionID: "sub_1", Period: reckoner.Period{Start: cut, End: period.End}},
	}
	if diff := cmp.Diff(want, first.Scope); diff != "" {
		t.Error(diff)
	}
}

func TestRedraftMakesTheSameBytes(t *testing.T) {
	target := New(Options{})
	in := input(t, termsOf(t).Calendar().At(moment), 15_001)
	d := drafted(t, target, in)
	inputs, err := in.Terms.Encode(in.Readings)
	if err != nil {
		t.Fatal(err)
	}
	kept := ledger.Report{
		InstallationID: "icfg/1", Target: Name, Timestamp: in.Timestamp, Moment: in.Moment, Day: in.Part.Day, Period: in.Part.Period, Rules: report.Rules, Inputs: inputs,
	}
	again, err := target.Redraft(&kept, in.Readings)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, again); diff != "" {
		t.Error(diff)
	}
	if again, err = target.Redraft(&kept, nil); err != nil || again.Figures == d.Figures {
		t.Errorf("other readings give %v, %v", again, err)
	}
	for want, change := range map[string]func(r *ledger.Report){
		"use a newer build": func(r *ledger.Report) { r.Rules++ }, "icfg/1": func(r *ledger.Report) { r.Inputs = []byte("{") },
		"stored terms": func(r *ledger.Report) { r.Inputs = []byte("{}") }, "calendar": func(r *ledger.Report) { r.Day.Start = r.Day.Start.Add(time.Hour) },
	} {
		r := kept
		change(&r)
		if _, err := target.Redraft(&r, in.Readings); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What is drafted is taken by the partner's rules, over a socket, below a path.
func TestReceiverTakesWhatIsDrafted(t *testing.T) {
	taking := receiver.New(receiver.Options{
		Now: func() time.Time { return moment.Add(time.Second) }, Token: func(id string) (string, bool) { return token, id == "icfg/1" },
	})
	srv := httptest.NewServer(http.StripPrefix("/partner", taking))
	defer srv.Close()
	target := New(Options{})
	defer target.Close()
	terms := termsOf(t)
	parts, _ := target.Due(terms, nil, moment)
	for i, part := range parts {
		in := input(t, part, 20_000)
		in.Timestamp = in.Timestamp.Add(time.Duration(i) * time.Millisecond)
		send := &partner.Delivery{Installation: terms.Installation, BaseURL: srv.URL + "/partner/", Token: token, Payload: drafted(t, target, in).Payload}
		if a := target.Deliver(t.Context(), send); a.Verdict != partner.Accepted {
			t.Fatalf("%+v", a)
		}
		send.Token = "another"
		if a := target.Deliver(t.Context(), send); a.Verdict != partner.Final || a.Code != 401 || a.Body == "" {
			t.Errorf("with a wrong token: %+v", a)
		}
		send.Token, send.Payload = token, bytes.Replace(send.Payload, []byte(`"0.15"`), []byte(`"0.16"`), 1)
		if a := target.Deliver(t.Context(), send); a.Verdict != partner.Final || a.Code != 400 || !strings.Contains(a.Body, "price × quantity is 0.15") {
			t.Errorf("with a wrong total: %+v", a)
		}
	}
	stands := taking.Latest("icfg/1")
	if len(stands) != 2 || stands[1].Usage[0].Day.String() != "20" || stands[1].Items[0].BillingPlanID != "pro" {
		t.Errorf("%+v", stands)
	}
}
