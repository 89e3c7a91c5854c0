package accounts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
)

// Whatever subscriptions there are, of the catalog or not, with whatever periods: in a row of months every total is in one
// statement, once. By the account, and by the subscription.
func TestEveryTotalIsInOneStatement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		fmt.Fprintf(&b, "organizations: [{id: o}]\naccounts: [{id: %s, organization: o}]\nmeters: [{name: calls}]\n", owner)
		ids := []string{"", "gone"}
		for i := range rapid.IntRange(0, 4).Draw(t, "subscriptions") {
			if i == 0 {
				b.WriteString("subscriptions:\n")
			}
			id := fmt.Sprint("sub_", i)
			ids = append(ids, id)
			anchor := time.Unix(rapid.Int64Range(1_700_000_000, 1_800_000_000).Draw(t, "anchor"), 0).UTC().Format(time.RFC3339)
			if rapid.Bool().Draw(t, "midnight") {
				anchor = anchor[:len("2026-01-01")] + "T00:00:00Z"
			}
			fmt.Fprintf(&b, "- {id: %s, account: %s, meter: calls, period: {anchor: %s, every: %s}}\n", id, owner, anchor,
				rapid.SampledFrom([]string{"month", "week", "day"}).Draw(t, "every"))
		}
		c := parse(t, b.String())
		first, now := time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC), noon()
		w := new(world)
		want := make(map[string]reckoner.Quantity)
		for offset := range rapid.Int64Range(0, 40).Draw(t, "totals") {
			// From two months on, so that it is in no period that began before the first one.
			at := first.AddDate(0, 2, 0).Add(time.Duration(rapid.Int64Range(0, int64(now.Sub(first.AddDate(0, 2, 0)))).Draw(t, "at")))
			tot := total{rapid.SampledFrom(ids).Draw(t, "subscription"), "calls", reckoner.Interval, at, reckoner.Thousandths(rapid.Int64Range(0, 5000).Draw(t, "quantity")), offset}
			w.totals = append(w.totals, tot)
			want[tot.subscription] = must(want[tot.subscription].Add(tot.quantity))
		}
		got, whole, sum := make(map[string]reckoner.Quantity), reckoner.Quantity{}, reckoner.Quantity{}
		for m := first; !m.After(now); m = m.AddDate(0, 1, 0) {
			d, err := Read(t.Context(), w, &Query{Catalog: c, AccountID: owner, When: must(ParseWhen(m.Format("2006-01"))), Now: now})
			if err != nil {
				if m.AddDate(0, 1, 0).After(now) && strings.Contains(err.Error(), "has begun") {
					continue
				}
				t.Fatal(err)
			}
			for _, s := range d.Statements {
				for _, u := range s.BySubscription {
					got[*u.SubscriptionID] = must(got[*u.SubscriptionID].Add(u.Quantity))
				}
				for _, u := range s.Usage {
					whole = must(whole.Add(u.Quantity))
				}
			}
		}
		for _, id := range ids {
			if got[id] != want[id] {
				t.Errorf("subscription %q used %s, and its statements say %s", id, want[id], got[id])
			}
			sum = must(sum.Add(want[id]))
		}
		if whole != sum {
			t.Errorf("the account used %s, and its statements say %s", sum, whole)
		}
	})
}

// TestWhatIsAsked: subscriptions with one period are one query, and "" and what is gone are by the calendar month.
func TestWhatIsAsked(t *testing.T) {
	w := used()
	document(t, w, "current", "")
	var asked []string
	for _, q := range w.asked {
		if q.AsOf != nil || q.AccountID != owner {
			t.Errorf("%+v", q)
		}
		var edges []string
		for _, e := range q.Edges {
			edges = append(edges, e.Format("01-02T15:04"))
		}
		asked = append(asked, strings.Join(q.SubscriptionIDs, ",")+": "+strings.Join(edges, " "))
	}
	if diff := cmp.Diff([]string{
		",sub_gone,sub_team: 06-01T00:00 06-15T00:00 06-16T00:00 07-01T00:00",
		"sub_a,sub_b: 06-10T00:00 06-15T00:00 06-16T00:00 07-10T00:00",
	}, asked); diff != "" {
		t.Error(diff)
	}
}

// A level is the one now, or at the end of a period that is over; a peak is the greatest of the subscriptions.
func TestLevelsAndPeaks(t *testing.T) {
	at := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC) }
	w := &world{totals: []total{
		{"sub_a", "storage", reckoner.Total, at(4, 1), reckoner.Units(7), 1},
		{"sub_a", "storage", reckoner.Total, at(6, 9), reckoner.Units(9), 2},
		{"sub_a", "storage", reckoner.Total, at(6, 12), reckoner.Units(5), 3},
		{"sub_b", "storage", reckoner.Total, at(5, 12), reckoner.Units(1), 4},
		{"sub_a", "seats", reckoner.Rate, at(6, 11), reckoner.Units(4), 5},
		{"sub_b", "seats", reckoner.Rate, at(6, 11), reckoner.Units(6), 6},
	}}
	for period, want := range map[string]string{
		"2026-04":    "storage 7",
		"2026-05-11": "storage 10",
		"current":    "seats 6 storage 6",
	} {
		var got []string
		for _, s := range document(t, w, period, "").Statements {
			for _, u := range s.Usage {
				if !u.Quantity.IsZero() {
					got = append(got, u.Meter+" "+u.Quantity.String())
				}
			}
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", period, diff)
		}
	}
}

// The limit of the account is that of its subscriptions, added, where every one that the meter is used by has one.
func TestLimitsAddUp(t *testing.T) {
	const line = "- {id: %s, account: " + owner + ", meter: calls%s}\n"
	for _, c := range []struct{ a, b, want string }{
		{`, limit: "5.5"`, `, limit: "10"`, "15.5"}, {`, limit: "5.5"`, "", ""}, {"", `, limit: "5.5"`, ""},
	} {
		of := parse(t, "organizations: [{id: o}]\naccounts: [{id: "+owner+", organization: o}]\nmeters: [{name: calls}]\nsubscriptions:\n"+
			fmt.Sprintf(line, "a", c.a)+fmt.Sprintf(line, "b", c.b))
		d, err := Read(t.Context(), new(world), &Query{Catalog: of, AccountID: owner, Now: noon()})
		if err != nil {
			t.Fatal(err)
		}
		if u := d.Statements[0].Usage; len(u) != 1 || u[0].limit() != c.want {
			t.Errorf("%s and %s: %+v", c.a, c.b, u)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		account, subscription, period string
		code                          reckoner.Code
		field, says                   string
	}{
		{"9c1e0000-0000-4000-8000-00000000000f", "", "", reckoner.NotFound, "", "there is no account"},
		{"x", "", "", reckoner.NotFound, "", "there is no account"},
		{owner, "sub_x", "", reckoner.NotFound, "", "has no subscription"},
		{"9c1e0000-0000-4000-8000-000000000002", "sub_a", "", reckoner.NotFound, "", "has no subscription"},
		{owner, "", "2026-08", reckoner.Invalid, "period", "has begun"},
		{owner, "sub_a", "2026-07-10", reckoner.Invalid, "period", "has begun"},
	} {
		when := must(ParseWhen(c.period))
		_, err := Read(t.Context(), used(), &Query{Catalog: parse(t, shop), AccountID: c.account, SubscriptionID: c.subscription, When: when, Now: noon()})
		if err == nil || reckoner.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), c.field) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Of what only the ledger has, one may ask by name.
func TestSubscriptionThatIsGone(t *testing.T) {
	d := document(t, used(), "current", "sub_gone")
	if len(d.Statements) != 1 || !d.Statements[0].Subscriptions[0].Gone || d.Statements[0].Usage[0].Quantity != reckoner.Units(11) {
		t.Errorf("%+v", d)
	}
	d = document(t, used(), "previous", "sub_gone")
	if len(d.Statements) != 1 || len(d.Statements[0].Usage) > 0 || d.Statements[0].Start != "2026-05-01T00:00:00Z" {
		t.Errorf("%+v", d)
	}
	// An account that the catalog does not have, but the ledger does.
	c := parse(t, "organizations: [{id: o}]")
	d, err := Read(t.Context(), used(), &Query{Catalog: c, AccountID: strings.ToUpper(owner), Now: noon()})
	if err != nil {
		t.Fatal(err)
	}
	if d.AccountID != owner || len(d.Statements) != 1 || !slices.ContainsFunc(d.Statements[0].Subscriptions, func(s Subscription) bool { return s.ID == "sub_a" && s.Gone }) {
		t.Errorf("%+v", d)
	}
}

// TestBounds: what is too much names what to ask for instead.
func TestBounds(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "organizations: [{id: o}]\naccounts: [{id: %s, organization: o}]\nsubscriptions:\n", owner)
	for i := range StatementsMax + 1 {
		fmt.Fprintf(&b, "- {id: sub_%d, account: %s, period: {anchor: %s}}\n", i, owner, noon().Add(time.Duration(i)*time.Second).Format(time.RFC3339))
	}
	c := parse(t, b.String())
	_, err := Read(t.Context(), new(world), &Query{Catalog: c, AccountID: owner, Now: noon()})
	if err == nil || !strings.Contains(err.Error(), "subscription: ") || !strings.Contains(err.Error(), "1000 periods") {
		t.Errorf("%v", err)
	}
	if _, err := Read(t.Context(), new(world), &Query{Catalog: c, AccountID: owner, SubscriptionID: "sub_7", Now: noon()}); err != nil {
		t.Errorf("%v", err)
	}
	w := new(world)
	for i := range SubscriptionsMax + 1 {
		w.totals = append(w.totals, total{subscription: fmt.Sprint(i), meter: "m", kind: reckoner.Interval, at: noon()})
	}
	if _, err := Read(t.Context(), w, &Query{Catalog: c, AccountID: owner, Now: noon()}); err == nil || !strings.Contains(err.Error(), "10000 subscriptions") {
		t.Errorf("%v", err)
	}
}
