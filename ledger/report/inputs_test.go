package report

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// What is stored of the terms makes the same bytes again, and is itself the same when it is stored again.
func TestStoredTermsMakeTheSameStatement(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt)
		s.terms.Installation.Target = "vercel"
		for _, sub := range s.terms.Subscriptions {
			sub.AccountID = accountID
		}
		for _, p := range s.terms.Plans {
			p.Name = p.ID
		}
		for id := range s.terms.Plans {
			if !slices.ContainsFunc(s.terms.Subscriptions, func(sub *catalog.Subscription) bool { return sub.Plan == id }) {
				delete(s.terms.Plans, id)
			}
		}
		s.terms.Meters["dropped"] = reckoner.Meter{Name: "dropped", Unit: "units", Type: reckoner.Rate} // nobody names it
		readings := s.usage.readings(t, s.terms, s.part)
		stored, err := s.terms.Encode(readings)
		if err != nil {
			rt.Fatal(err)
		}
		if bytes.Contains(stored, []byte("dropped")) {
			rt.Fatalf("a meter is stored that nothing names: %s", stored)
		}
		back, err := DecodeTerms(stored)
		if err != nil {
			rt.Fatalf("%v: %s", err, stored)
		}
		bytesOf := func(terms *Terms) []byte {
			st, err := Make(Input{Terms: terms, Part: s.part, Readings: readings, Moment: s.moment})
			if err != nil {
				rt.Fatal(err)
			}
			b, err := st.Payload().Encode()
			if err != nil {
				rt.Fatal(err)
			}
			return b
		}
		if a, b := bytesOf(s.terms), bytesOf(back); !bytes.Equal(a, b) {
			rt.Fatalf("made of %s\n%s\nand before\n%s", stored, b, a)
		}
		if again, err := back.Encode(readings); err != nil || !bytes.Equal(again, stored) {
			rt.Fatalf("%v\n%s, and before\n%s", err, again, stored)
		}
	})
}

func TestWhatIsNoStoredTerms(t *testing.T) {
	for _, text := range []string{
		"", "[]", "{}", `{"installation":{}}`, `{"installation":{"id":"i"}}`,
		`{"installation":{"id":"i","target":"vercel","account":"` + accountID + `"},"meters":[{"name":"m","type":"none"}]}`,
		`{"installation":{"id":"i","target":"vercel","account":"` + accountID + `"},"plans":[7]}`,
	} {
		if terms, err := DecodeTerms([]byte(text)); err == nil {
			t.Errorf("%s is taken: %+v", text, terms)
		}
	}
}

// The scope holds an instant of the period for a subscription exactly where the roll-up counts its usage.
func TestScopeIsWhatTheRollUpCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt)
		scope := s.terms.Scope(s.part, s.moment)
		if !slices.IsSortedFunc(scope, func(a, b ledger.ReportScope) int {
			if a.SubscriptionID != b.SubscriptionID {
				return bytes.Compare([]byte(a.SubscriptionID), []byte(b.SubscriptionID))
			}
			return a.Start.Compare(b.Start)
		}) {
			rt.Fatalf("not in order: %v", scope)
		}
		ids := s.terms.SubscriptionIDs()
		for _, sc := range scope {
			if !slices.Contains(ids, sc.SubscriptionID) {
				rt.Fatalf("%q is in the scope, and the installation reports %q", sc.SubscriptionID, ids)
			}
		}
		var sum reckoner.Quantity
		for _, e := range s.usage {
			if e.meter != "calls" || !s.part.Period.Contains(e.at) {
				continue
			}
			at := reckoner.BucketOf(e.at)
			if at.Before(s.part.Period.Start) {
				at = s.part.Period.Start
			}
			for _, sc := range scope {
				if sc.SubscriptionID == e.subscription && sc.Contains(at) {
					sum = plus(t, sum, e.quantity)
				}
			}
		}
		for _, row := range s.make(t).Rows {
			if row.ResourceID == "" && row.Meter.Name == "calls" && row.Period != sum {
				rt.Fatalf("the scope %v holds %s, the roll-up %s", scope, sum, row.Period)
			}
		}
	})
}

// Two payloads have the same figures where they differ in nothing but their timestamp.
func TestFiguresLeaveOutTheTimestamp(t *testing.T) {
	p := Payload{Timestamp: Time(instant(t, "2026-03-01T10:00:00Z")), EOD: Time(instant(t, "2026-03-02T00:00:00Z"))}
	later, other := p, p
	later.Timestamp = Time(time.Time(p.Timestamp).Add(time.Millisecond))
	other.EOD = Time(time.Time(p.EOD).Add(time.Millisecond))
	if p.Figures() != later.Figures() || p.Figures() == other.Figures() {
		t.Error("the timestamp counts, or the day's end does not")
	}
}

// Whatever is stored, it is terms or an error; terms are stored again as they were read.
func FuzzDecodeTerms(f *testing.F) {
	terms := termsOf(f, `
plans: [{id: pro, prices: [{meter: api_calls, unit_price: "0.10", included: "3"}], discounts: [{name: launch, amount: "5.00"}]}]
subscriptions: [{id: s, account: ACCOUNT, plan: pro, meter: api_calls, limit: "9", period: {anchor: 2026-01-31T00:00:00Z, every: month}}]
installations: [{id: icfg, target: vercel, account: ACCOUNT, token_env: T, day_ends_at: "05:45", resources: [{subscription: s, resource_id: r}]}]`)
	stored, err := terms.Encode([]Reading{{Meter: "storage"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored)
	f.Add([]byte(`{"installation":{"id":"i","target":"vercel","account":"` + accountID + `"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		terms, err := DecodeTerms(b)
		if err != nil {
			return
		}
		var readings []Reading
		for name := range terms.Meters {
			readings = append(readings, Reading{Meter: name})
		}
		first, err := terms.Encode(readings)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeTerms(first)
		if err != nil {
			t.Fatalf("%v: %s", err, first)
		}
		if again, err := back.Encode(readings); err != nil || !bytes.Equal(again, first) {
			t.Fatalf("%v\n%s, and before\n%s", err, again, first)
		}
	})
}

// A subscription of another row of periods is not taken over from terms before, and what was used before the period is not of it.
func TestDuringTakesOverWhatIsOfThePeriod(t *testing.T) {
	now := termsOf(t, "installations: [{id: icfg_1, account: ACCOUNT}]\nsubscriptions: [{id: s1, account: ACCOUNT}]\n")
	before := termsOf(t, "installations: [{id: icfg_1, account: ACCOUNT}]\nsubscriptions: [{id: s1, account: ACCOUNT}, {id: s2, account: ACCOUNT}]\n")
	weekly := *before.Subscriptions[1]
	weekly.ID, weekly.Cycle.Every = "s3", reckoner.Week
	before.Subscriptions = append(before.Subscriptions, &weekly)
	part := now.Calendar().At(instant(t, "2026-03-15T00:00:00Z"))
	used := map[string]time.Time{
		"": part.Day.Start, "s1": part.Day.Start, "s2": part.Day.Start, "s3": part.Day.Start, "s4": part.Period.Start.Add(-reckoner.Bucket), "s5": part.Period.Start,
	}
	d := now.During(part, used, before)
	var kept []string
	for _, s := range d.Subscriptions {
		kept = append(kept, s.ID)
	}
	if !slices.Equal(kept, []string{"s1", "s2"}) || !slices.Equal(d.Gone, []string{"s3", "s5"}) || len(now.Subscriptions) != 1 {
		t.Errorf("subscriptions %q, gone %q", kept, d.Gone)
	}
}
