package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"reckoner"
	"reckoner/internal/catalog"
)

// What does not fit together is refused, with what is wrong; it was read for another report.
func TestMakeRefuses(t *testing.T) {
	day15 := reckoner.Period{Start: instant(t, "2026-03-15T00:00:00Z"), End: instant(t, "2026-03-16T00:00:00Z")}
	reading := Reading{SubscriptionID: "sub_1", Meter: "api_calls", MeterType: reckoner.Interval, Slice: day15, Quantity: reckoner.Units(1)}
	for _, tt := range []struct {
		name   string
		change func(*Input)
		want   string
	}{
		{"another subscription", func(in *Input) { in.Readings[0].SubscriptionID = "sub_2" }, `installation "icfg_1" does not report that subscription`},
		{"no subscription, with resources", func(in *Input) { in.Readings[0].SubscriptionID = "" }, "does not report that subscription"},
		{"no type", func(in *Input) { in.Readings[0].MeterType = 0 }, "unknown meter type"},
		{"no meter", func(in *Input) { in.Readings[0].Meter = "" }, "names no meter"},
		{"negative", func(in *Input) { in.Readings[0].Quantity = reckoner.Units(-1) }, "-1 is negative"},
		{"not an edge", func(in *Input) { in.Readings[0].Slice.Start = day15.Start.Add(time.Hour) }, "no slice between two of the report's edges"},
		{"over an edge", func(in *Input) { in.Readings[0].Slice.End = instant(t, "2026-04-01T00:00:00Z") }, "no slice between two of the report's edges"},
		{"behind the period", func(in *Input) {
			in.Readings[0].Slice = reckoner.Period{Start: instant(t, "2026-04-01T00:00:00Z"), End: instant(t, "2026-04-02T00:00:00Z")}
		}, "no slice between two of the report's edges"},
		{"carried over, and no level", func(in *Input) {
			in.Readings[0].Slice = reckoner.Period{End: instant(t, "2026-03-01T00:00:00Z")}
		}, "only a level carries over"},
		{"twice", func(in *Input) { in.Readings = append(in.Readings, reading) }, "has two readings of the slice"},
		{"another calendar's part", func(in *Input) { in.Part.Day.End = in.Part.Day.End.Add(time.Hour) }, "the installation's calendar has the day part"},
		{"not begun", func(in *Input) { in.Moment = instant(t, "2026-03-14T23:59:59Z") }, "it has not begun"},
		{"too much", func(in *Input) {
			before := reading
			before.Slice = reckoner.Period{Start: instant(t, "2026-03-01T00:00:00Z"), End: day15.Start}
			most, err := reckoner.ParseQuantity("99999999999999999999999999999999999.999")
			if err != nil {
				t.Fatal(err)
			}
			in.Readings[0].Quantity, before.Quantity = most, most
			in.Readings = append(in.Readings, before)
		}, "quantity out of range"},
		{"a negative price", func(in *Input) { in.Terms.Plans["calls"].Prices[0].UnitPrice = decimal.New(-1, 0) }, "the price of meter \"api_calls\" is negative"},
		{"a negative discount", func(in *Input) {
			in.Terms.Plans["calls"].Discounts = []catalog.Discount{{Name: "gift", Amount: decimal.New(-1, 0)}}
		}, `the discount "gift" is negative`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			terms := termsOf(t, one)
			in := Input{Terms: terms, Part: terms.Calendar().At(day15.Start), Readings: []Reading{reading}, Moment: day15.End}
			if _, err := Make(in); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			tt.change(&in)
			s, err := Make(in)
			if err == nil || s != nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `installation "icfg_1"`) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A statement says what it was made of.
func TestStatementCarriesItsPosition(t *testing.T) {
	terms := termsOf(t, one)
	at := reckoner.Position{Log: 1, Partition: 3, Offset: 120}
	moment := instant(t, "2026-03-15T12:00:00+02:00")
	s, err := Make(Input{Terms: terms, Part: terms.Calendar().At(moment), AsOf: &at, Moment: moment})
	if err != nil {
		t.Fatal(err)
	}
	if s.AsOf == nil || *s.AsOf != at || s.Rules != Rules || s.InstallationID != "icfg_1" || s.Moment != moment.UTC() {
		t.Errorf("%+v", s)
	}
}

func TestEdges(t *testing.T) {
	for _, tt := range []struct {
		name, document, at string
		want               []string
	}{
		{"of a day inside", one, "2026-03-15T08:00:00Z", []string{"2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z", "2026-03-16T00:00:00Z", "2026-04-01T00:00:00Z"}},
		{"of the first day", one, "2026-03-01T08:00:00Z", []string{"2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-04-01T00:00:00Z"}},
		{"with a resource's bound", plain + moved, "2026-03-15T08:00:00Z",
			[]string{"2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z", "2026-03-15T12:00:00Z", "2026-03-16T00:00:00Z", "2026-04-01T00:00:00Z"}},
		{"with one inside a bucket, and one of another period", `
subscriptions: [{id: sub_1, account: ACCOUNT, period: {anchor: 2026-03-01T12:07:30Z, every: day}}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [
  {subscription: sub_1, resource_id: a, from: 2026-03-01T12:07:30Z, to: 2026-03-02T12:07:29.5Z}, {subscription: sub_1, resource_id: b, from: 2026-03-02T12:07:29.5Z, to: 2026-03-02T20:00:01Z}]}]`,
			"2026-03-02T12:07:30Z", []string{"2026-03-02T12:07:30Z", "2026-03-02T20:15:00Z", "2026-03-03T00:00:00Z", "2026-03-03T12:07:30Z"}},
		{"of one that ends with its period's last bucket", `
subscriptions: [{id: sub_1, account: ACCOUNT, period: {anchor: 2026-03-01T12:07:30Z, every: day}}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [{subscription: sub_1, resource_id: a, to: 2026-03-02T12:01:00Z}]}]`,
			"2026-03-01T12:07:30Z", []string{"2026-03-01T12:07:30Z", "2026-03-02T00:00:00Z", "2026-03-02T12:07:30Z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			terms := termsOf(t, tt.document)
			var got []string
			for _, e := range terms.Edges(terms.Calendar().At(instant(t, tt.at))) {
				got = append(got, e.Format(time.RFC3339Nano))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A meter that the catalog dropped is still reported; one whose type was changed is two rows, and the price is of what it is
// now.
func TestMetersThatChanged(t *testing.T) {
	terms := termsOf(t, one)
	terms.Meters["api_calls"] = reckoner.Meter{Name: "api_calls", Unit: "calls", Type: reckoner.Rate}
	part := terms.Calendar().At(instant(t, "2026-03-15T08:00:00Z"))
	read := func(meter string, kind reckoner.MeterType, units int64) Reading {
		return Reading{SubscriptionID: "sub_1", Meter: meter, MeterType: kind, Slice: part.Day, Quantity: reckoner.Units(units)}
	}
	s, err := Make(Input{Terms: terms, Part: part, Moment: part.Day.End, Readings: []Reading{
		read("dropped", reckoner.Total, 3), read("api_calls", reckoner.Interval, 400), read("api_calls", reckoner.Rate, 160),
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range s.Rows {
		if r.ResourceID == "" {
			got = append(got, strings.Join([]string{r.Meter.Name, r.Meter.Unit, r.Meter.Type.String(), r.Period.String()}, " "))
		}
	}
	want := []string{"api_calls calls interval 400", "api_calls calls rate 160", "dropped units total 3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(s.Items) != 1 || s.Items[0].Quantity != reckoner.Units(60) || s.Items[0].Meter.Type != reckoner.Rate {
		t.Errorf("%+v", s.Items)
	}
}

// A subscription without a limit leaves the installation without one: the sum of the others would be too little.
func TestLimitsAddUpWhereAllHaveOne(t *testing.T) {
	const two = plain + `
subscriptions:
  - {id: sub_1, account: ACCOUNT, meter: api_calls, limit: "10"}
  - {id: sub_2, account: ACCOUNT, meter: api_calls%s}
installations: [{id: icfg_1, account: ACCOUNT, resources: [
  {subscription: sub_1, resource_id: res_1, to: 2026-03-10T00:00:00Z}, {subscription: sub_1, resource_id: res_2, from: 2026-03-10T00:00:00Z},
  {subscription: sub_2, resource_id: res_2}]}]`
	for _, tt := range []struct {
		second string
		want   map[string]string
	}{
		{`, limit: "5"`, map[string]string{"": "15", "res_1": "10", "res_2": "15"}},
		{`, limit: "0"`, map[string]string{"": "10", "res_1": "10", "res_2": "10"}},
		{``, map[string]string{"res_1": "10"}},
	} {
		terms := termsOf(t, strings.Replace(two, "%s", tt.second, 1))
		at := instant(t, "2026-03-15T08:00:00Z")
		got := map[string]string{}
		for _, r := range (usage{}).statement(t, terms, at, at).Rows {
			if r.Limit != nil {
				got[r.ResourceID] = r.Limit.String()
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.second, diff)
		}
	}
}

// Totals round half to even, once, whatever the price's decimals.
func TestTotalRoundsOnce(t *testing.T) {
	for _, tt := range []struct{ price, quantity, want string }{
		{"0.005", "1", "0.00"}, {"0.015", "1", "0.02"}, {"0.025", "1", "0.02"}, {"0.0250000001", "1", "0.03"}, {"0.0349", "1", "0.03"},
		{"0.0049999", "1", "0.00"}, {"1.005", "3", "3.02"}, {"0.1", "0.05", "0.00"}, {"0.1", "0.15", "0.02"}, {"7", "0", "0.00"},
		{"0", "99999999999999999999999999999999999.999", "0.00"}, {"1", "99999999999999999999999999999999999.995", "100000000000000000000000000000000000.00"}, // 9.99 is odd
	} {
		q, err := reckoner.ParseQuantity(tt.quantity)
		if err != nil {
			t.Fatal(err)
		}
		item := Item{Price: decimal.RequireFromString(tt.price), Quantity: q}
		if got := item.Total(); got != tt.want {
			t.Errorf("%s × %s = %s, want %s", tt.price, tt.quantity, got, tt.want)
		}
	}
}

// What is included is used up by the earlier resource, and a discount goes to the last one, in whichever order the catalog
// lists them.
func TestResourcesCountInTheOrderOfTime(t *testing.T) {
	const before, after = "{subscription: sub_1, resource_id: z, to: 2026-03-10T00:00:00Z}", "{subscription: sub_1, resource_id: a, from: 2026-03-10T00:00:00Z}"
	for _, resources := range []string{before + ", " + after, after + ", " + before} {
		terms := termsOf(t, `
plans: [{id: p, prices: [{meter: api_calls, unit_price: "1", included: "10"}], discounts: [{name: d, amount: "5"}]}]
subscriptions: [{id: sub_1, account: ACCOUNT, plan: p}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [`+resources+`]}]`)
		u := used(t, `
			sub_1 api_calls 2026-03-02T00:00:00Z 9
			sub_1 api_calls 2026-03-12T00:00:00Z 4`)
		for _, tt := range []struct{ moment, charged, discounted string }{
			{"2026-03-15T08:00:00Z", "a 3, z 0", "a"},
			{"2026-03-09T08:00:00Z", "z 0", "z"},
		} {
			at := instant(t, tt.moment)
			s := u.statement(t, terms, at, at)
			var charged []string
			for _, i := range s.Items {
				charged = append(charged, i.ResourceID+" "+i.Quantity.String())
			}
			if got := strings.Join(charged, ", "); got != tt.charged || len(s.Discounts) != 1 || s.Discounts[0].ResourceID != tt.discounted {
				t.Errorf("%s: charged %s, discounts %v; want %s and one of %s", tt.moment, got, s.Discounts, tt.charged, tt.discounted)
			}
		}
	}
}

// An installation of one snapshot and a catalog of another may not fit: TermsOf says what is missing.
func TestTermsOfSaysWhatIsMissing(t *testing.T) {
	c, err := catalog.Parse("test.yaml", []byte(party+"subscriptions: [{id: sub_1, account: "+accountID+"}]"))
	if err != nil {
		t.Fatal(err)
	}
	meters := MetersOf(c)
	if meters["credit"].Unit != "credits" || meters["storage"].Type != reckoner.Total || len(meters) != 7 {
		t.Errorf("meters %v", meters)
	}
	in := &catalog.Installation{ID: "icfg_1", Resources: []catalog.Resource{{SubscriptionID: "sub_2"}}}
	if _, err := TermsOf(c, meters, in); err == nil || !strings.Contains(err.Error(), `the catalog has no subscription "sub_2"`) {
		t.Error(err)
	}
	in.Resources = append(in.Resources[:0], catalog.Resource{SubscriptionID: "sub_1", ResourceID: "a"}, catalog.Resource{SubscriptionID: "sub_1", ResourceID: "b"})
	terms, err := TermsOf(c, meters, in)
	if err != nil || len(terms.Subscriptions) != 1 {
		t.Errorf("%+v, %v: want one subscription, for two resources", terms, err)
	}
}
