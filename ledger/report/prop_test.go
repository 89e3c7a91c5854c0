package report

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/catalog"
)

// scene is a random installation with its usage, none of it after the moment.
type scene struct {
	terms  *Terms
	usage  usage
	moment time.Time
	part   Part
}

func drawQuantity(t *rapid.T, label string) reckoner.Quantity {
	return reckoner.Thousandths(rapid.Int64Range(0, 20_000).Draw(t, label))
}

func drawScene(t *rapid.T) *scene {
	cycle := reckoner.Cycle{
		Anchor: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "anchor")) * time.Minute),
		Every:  rapid.SampledFrom([]reckoner.Every{reckoner.Month, reckoner.Day, reckoner.Week}).Draw(t, "every"),
	}
	from := cycle.Anchor.Add(-5 * day)
	when := func(label string) time.Time {
		return from.Add(time.Duration(rapid.IntRange(0, 20*24*60).Draw(t, label)) * time.Minute)
	}
	in := &catalog.Installation{ID: "icfg_1", AccountID: accountID, DayEndsAt: time.Duration(rapid.IntRange(0, 95).Draw(t, "day ends at")) * reckoner.Bucket}
	s := &scene{terms: &Terms{Installation: in, Plans: map[string]*catalog.Plan{}, Meters: map[string]reckoner.Meter{}}, moment: when("moment")}
	meters := []string{"calls", "level", "peak"}
	for i, name := range meters {
		s.terms.Meters[name] = reckoner.Meter{Name: name, Unit: "units", Type: reckoner.Interval + reckoner.MeterType(i)}
	}
	for i := range 2 {
		p := &catalog.Plan{ID: fmt.Sprintf("plan_%d", i)}
		for _, name := range meters[rapid.IntRange(0, 2).Draw(t, "prices"):] {
			p.Prices = append(p.Prices, catalog.Price{
				Meter: name, UnitPrice: decimal.New(rapid.Int64Range(0, 100_000).Draw(t, "price"), -4), Included: drawQuantity(t, "included"),
			})
		}
		s.terms.Plans[p.ID] = p
	}
	whole := rapid.Bool().Draw(t, "whole account")
	for i := range rapid.IntRange(1, 3).Draw(t, "subscriptions") {
		sub := &catalog.Subscription{ID: fmt.Sprintf("sub_%d", i), Cycle: cycle, Meter: "calls", Plan: rapid.SampledFrom([]string{"", "plan_0", "plan_1"}).Draw(t, "plan")}
		if rapid.Bool().Draw(t, "limited") {
			q := drawQuantity(t, "limit")
			sub.Limit = &q
		}
		s.terms.Subscriptions = append(s.terms.Subscriptions, sub)
		for !whole {
			r := catalog.Resource{SubscriptionID: sub.ID, ResourceID: rapid.SampledFrom([]string{"res_a", "res_b", "res_c"}).Draw(t, "resource")}
			if n := len(in.Resources); n > 0 && in.Resources[n-1].SubscriptionID == sub.ID {
				r.From = in.Resources[n-1].To.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "gap")) * time.Minute)
			}
			if r.To = when("to"); !r.To.After(r.From) || rapid.Bool().Draw(t, "open") {
				r.To = time.Time{}
			}
			if in.Resources = append(in.Resources, r); r.To.IsZero() {
				break
			}
		}
	}
	for range rapid.IntRange(0, 30).Draw(t, "events") {
		sub := rapid.SampledFrom(s.terms.Subscriptions).Draw(t, "subscription").ID
		if whole && rapid.IntRange(0, 5).Draw(t, "names none") == 0 {
			sub = ""
		}
		e := use{sub, rapid.SampledFrom(meters).Draw(t, "meter"), when("at"), drawQuantity(t, "quantity")}
		if !e.at.After(s.moment) {
			s.usage = append(s.usage, e)
		}
	}
	s.part = s.terms.Calendar().At(s.moment.Add(-time.Duration(rapid.IntRange(0, 40).Draw(t, "hours ago")) * time.Hour))
	return s
}

func (s *scene) make(t testing.TB) *Statement {
	return s.usage.statement(t, s.terms, s.part.Day.Start, s.moment)
}

// holds says by the catalog's words whether a resource has a subscription's bucket.
func holds(r *catalog.Resource, p reckoner.Period, at time.Time) bool {
	if at = reckoner.BucketOf(at); at.Before(p.Start) {
		at = p.Start
	}
	return (r.From.IsZero() || !at.Before(r.From)) && (r.To.IsZero() || at.Before(r.To))
}

// comes is the oracle: what a resource's meter comes to in a window, event by event, without slices. Resource "" is the
// installation without resources.
func (s *scene) comes(t testing.TB, subscription, resource, meter string, window reckoner.Period) reckoner.Quantity {
	kind := s.terms.Meters[meter].Type
	now := within(s.moment, window)
	var q reckoner.Quantity
	var newest time.Time
	has := func(at time.Time) bool {
		if len(s.terms.Installation.Resources) == 0 {
			return resource == ""
		}
		for i := range s.terms.Installation.Resources {
			r := &s.terms.Installation.Resources[i]
			if r.SubscriptionID == subscription && r.ResourceID == resource && holds(r, s.part.Period, at) {
				return true
			}
		}
		return false
	}
	for _, e := range s.usage {
		switch {
		case e.subscription != subscription || e.meter != meter:
		case kind == reckoner.Total:
			if has(now) && !e.at.After(now) && !e.at.Before(newest) {
				q, newest = e.quantity, e.at
			}
		case !window.Contains(e.at) || !has(e.at):
		case kind == reckoner.Interval:
			q = plus(t, q, e.quantity)
		case e.quantity.Cmp(q) > 0:
			q = e.quantity
		}
	}
	return q
}

func (s *scene) ids() []string {
	ids := []string{""}
	for _, sub := range s.terms.Subscriptions {
		ids = append(ids, sub.ID)
	}
	return ids
}

func TestRowsAreTheFoldOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt)
		for _, row := range s.make(t).Rows {
			if row.ResourceID == "" && len(s.terms.Installation.Resources) > 0 {
				continue
			}
			var inDay, inPeriod reckoner.Quantity
			for _, id := range s.ids() {
				inDay, _ = join(row.Meter.Type, inDay, s.comes(t, id, row.ResourceID, row.Meter.Name, s.part.Day))
				inPeriod, _ = join(row.Meter.Type, inPeriod, s.comes(t, id, row.ResourceID, row.Meter.Name, s.part.Period))
			}
			if row.Day != inDay || row.Period != inPeriod {
				rt.Fatalf("%s of %q: %s in %s, %s in %v; the events say %s and %s", row.Meter.Name, row.ResourceID, row.Day, s.part, row.Period, s.part.Period, inDay, inPeriod)
			}
		}
	})
}

func TestRollUpIsTheFoldOfItsRows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt)
		if len(s.terms.Installation.Resources) == 0 {
			for _, row := range s.make(t).Rows {
				if row.ResourceID != "" {
					rt.Fatalf("a row of resource %q, and the installation has none", row.ResourceID)
				}
			}
			return
		}
		sums, tops := map[string]Row{}, map[string]Row{}
		for _, row := range s.make(t).Rows {
			to := sums
			if row.ResourceID == "" {
				if _, twice := tops[row.Meter.Name]; twice {
					rt.Fatalf("two roll-ups of %s", row.Meter.Name)
				}
				to = tops
			}
			sum := to[row.Meter.Name]
			for _, f := range []struct{ to, of *reckoner.Quantity }{{&sum.Day, &row.Day}, {&sum.Period, &row.Period}} {
				if row.Meter.Type != reckoner.Rate {
					*f.to = plus(t, *f.to, *f.of)
				} else if f.of.Cmp(*f.to) > 0 {
					*f.to = *f.of
				}
			}
			to[row.Meter.Name] = sum
		}
		if fmt.Sprint(sums) != fmt.Sprint(tops) {
			rt.Fatalf("the rows come to %v, the roll-ups are %v", sums, tops)
		}
	})
}

// The parts of a period, once it is over, add up to it: of intervals the sum, of peaks the greatest, and the last level.
func TestDayPartsComeToThePeriod(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt)
		s.moment = s.part.Period.End.Add(time.Hour)
		type key struct{ resource, meter string }
		days := map[key]reckoner.Quantity{}
		var last *Statement
		for at := s.part.Period.Start; at.Before(s.part.Period.End); at = s.part.Day.End {
			s.part = s.terms.Calendar().At(at)
			last = s.make(t)
			for _, row := range last.Rows {
				k := key{row.ResourceID, row.Meter.Name}
				if row.Meter.Type == reckoner.Total {
					days[k] = row.Day
				} else {
					days[k], _ = join(row.Meter.Type, days[k], row.Day)
				}
			}
		}
		for _, row := range last.Rows {
			sum := days[key{row.ResourceID, row.Meter.Name}]
			// Of resources that had the peak one after the other the greatest counts in both, so equality holds for all types.
			if sum != row.Period {
				rt.Fatalf("%s of %q: the days come to %s, the period is %s", row.Meter.Name, row.ResourceID, sum, row.Period)
			}
		}
	})
}

// Whatever resources a subscription went through, its items add up to what it used beyond the included quantity, once; and
// each total is price × quantity, rounded half-even once.
func TestItemsChargeWhatIsBeyond(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt)
		type key struct{ plan, meter string }
		want, got := map[key]reckoner.Quantity{}, map[key]reckoner.Quantity{}
		for _, sub := range s.terms.Subscriptions {
			if sub.Plan == "" {
				continue
			}
			for _, price := range s.terms.Plans[sub.Plan].Prices {
				var used reckoner.Quantity
				for _, resource := range []string{"", "res_a", "res_b", "res_c"} {
					used, _ = join(s.terms.Meters[price.Meter].Type, used, s.comes(t, sub.ID, resource, price.Meter, s.part.Period))
				}
				if beyond, _ := used.Sub(price.Included); beyond.Sign() > 0 {
					want[key{sub.Plan, price.Meter}] = plus(t, want[key{sub.Plan, price.Meter}], beyond)
				}
			}
		}
		for _, item := range s.make(t).Items {
			k := key{item.PlanID, item.Meter.Name}
			if item.Quantity.Sign() < 0 {
				rt.Fatalf("%+v: a negative quantity", item)
			}
			if sum := plus(t, got[k], item.Quantity); !sum.IsZero() {
				got[k] = sum
			}
			exact := new(big.Rat).Mul(item.Price.Rat(), new(big.Rat).SetFrac(item.Quantity.Big(), big.NewInt(1000)))
			if item.Cost().Rat().Cmp(exact) != 0 || item.Total() != halfEven(exact) {
				rt.Fatalf("%s × %s is %s, charged as %s, want %s", item.Price, item.Quantity, item.Cost(), item.Total(), halfEven(exact))
			}
		}
		if fmt.Sprint(want) != fmt.Sprint(got) {
			rt.Fatalf("charged %v, used beyond %v", got, want)
		}
	})
}

// halfEven writes an amount with two decimals, by whole numbers only.
func halfEven(r *big.Rat) string {
	n := new(big.Int).Mul(r.Num(), big.NewInt(100))
	whole, rest := new(big.Int).QuoRem(n, r.Denom(), new(big.Int))
	if c := rest.Lsh(rest, 1).Cmp(r.Denom()); c > 0 || c == 0 && whole.Bit(0) == 1 {
		whole.Add(whole, big.NewInt(1))
	}
	text := fmt.Sprintf("%03s", whole)
	return text[:len(text)-2] + "." + text[len(text)-2:]
}

// The order in which the catalog and the ledger hand things over changes no byte.
func TestSameInputSameBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScene(rt)
		readings := s.usage.readings(t, s.terms, s.part)
		encode := func() string {
			st, err := Make(Input{Terms: s.terms, Part: s.part, Readings: readings, Moment: s.moment})
			if err != nil {
				rt.Fatal(err)
			}
			b, err := st.Payload().Encode()
			if err != nil {
				rt.Fatal(err)
			}
			return string(b)
		}
		first := encode()
		strict(t, []byte(first))
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		in := *s.terms.Installation
		in.Resources = append([]catalog.Resource(nil), in.Resources...)
		s.terms.Installation = &in
		for range 3 {
			random.Shuffle(len(readings), func(i, j int) { readings[i], readings[j] = readings[j], readings[i] })
			random.Shuffle(len(in.Resources), func(i, j int) { in.Resources[i], in.Resources[j] = in.Resources[j], in.Resources[i] })
			subs := s.terms.Subscriptions
			random.Shuffle(len(subs), func(i, j int) { subs[i], subs[j] = subs[j], subs[i] })
			if again := encode(); again != first {
				rt.Fatalf("first\n%s\nthen\n%s", first, again)
			}
		}
	})
}
