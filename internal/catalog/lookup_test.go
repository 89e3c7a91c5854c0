package catalog_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/catalog"
)

func TestLookups(t *testing.T) {
	c := parse(t, base)
	for _, key := range []string{orgA, strings.ToUpper(orgA), "acme"} {
		if o, ok := c.Organization(key); !ok || o.ID != orgA {
			t.Errorf("organization %q: %+v", key, o)
		}
	}
	for _, key := range []string{"", "ACME", "p1"} {
		if o, ok := c.Organization(key); ok {
			t.Errorf("organization %q: %+v", key, o)
		}
	}
	for _, key := range []string{"p1", "site"} {
		if p, ok := c.Project(key); !ok || p.OrganizationID != orgA {
			t.Errorf("project %q: %+v", key, p)
		}
	}
	if a, ok := c.Account(strings.ToUpper(account1)); !ok || a.ID != account1 || a.Auto || a.State != catalog.Active {
		t.Errorf("account: %+v", a)
	}
	s, ok := c.Subscription("sub_1")
	if !ok || s.Limit.String() != "1000.5" || s.Plan != "pro" || s.Meter != "calls" {
		t.Errorf("subscription: %+v", s)
	}
	p, ok := c.Plan("pro")
	if !ok || p.Name != "pro" || p.Prices[0].UnitPrice.String() != "0.002" || p.Prices[0].Included != reckoner.Units(1000) ||
		p.Discounts[0].Amount.StringFixed(2) != "5.00" {
		t.Errorf("plan: %+v", p)
	}
	if m, ok := c.Meter("disk"); !ok || m != (reckoner.Meter{Name: "disk", Unit: "units", Type: reckoner.Total}) {
		t.Errorf("meter: %+v", m)
	}
	if _, ok := c.Meter("none"); ok {
		t.Error("a meter that is not there")
	}
}

func TestPeriodsClampTheDay(t *testing.T) {
	s, _ := parse(t, base).Subscription("sub_1") // from the 31st
	got := s.PeriodAt(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	want := reckoner.Period{Start: time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)}
	if got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTheNewestActiveAccount(t *testing.T) {
	account := func(id, rest string) string { return "- {id: " + id + ", organization: " + orgA + rest + "}\n" }
	old, newer := ", created_at: 2025-01-01T00:00:00Z", ", created_at: 2026-01-01T00:00:00+01:00"
	for _, c := range []struct{ name, accounts, want string }{
		{"newest", account(account1, old) + account(account2, newer) + account(account3, old), account2},
		{"a tie", account(account2, newer) + account(account1, newer), account2},
		{"disabled", account(account1, old) + account(account2, newer+", state: disabled"), account1},
		{"pending", account(account1, old) + account(account2, newer+", state: pending"), account1},
		{"without a time", account(account3, "") + account(account1, old), account1},
		{"none active", account(account1, ", state: disabled"), ""},
		{"none", "", ""},
	} {
		cat, err := parse(t, "organizations: [{id: "+orgA+"}]\naccounts:\n"+c.accounts).WithAutoAccounts(orgA)
		if err != nil {
			t.Fatal(err)
		}
		a, ok := cat.NewestActiveAccount(strings.ToUpper(orgA))
		if got := idOf(a); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func idOf(a *catalog.Account) string {
	if a == nil {
		return ""
	}
	return a.ID
}

func TestAutomaticAccounts(t *testing.T) {
	c := parse(t, base)
	if a, ok := c.Account(account3); ok {
		t.Errorf("without: %+v", a)
	}
	if _, err := c.WithAutoAccounts("nobody"); err == nil || !strings.Contains(err.Error(), `no organization "nobody"`) {
		t.Error(err)
	}
	if same, err := c.WithAutoAccounts(""); err != nil || same != c {
		t.Error("off is not off")
	}
	auto, err := c.WithAutoAccounts("acme")
	if err != nil {
		t.Fatal(err)
	}
	a, ok := auto.Account(strings.ToUpper(account3))
	if diff := cmp.Diff(&catalog.Account{ID: account3, OrganizationID: orgA, Auto: true}, a); !ok || diff != "" {
		t.Error(diff)
	}
	if a, ok := auto.Account(account1); !ok || a.Auto || a.DefaultSubscription != "sub_1" {
		t.Errorf("a listed one: %+v", a)
	}
	for _, id := range []string{"", "x", account3 + "0", strings.Replace(account3, "-", "0", 1)} {
		if a, ok := auto.Account(id); ok {
			t.Errorf("%q: %+v", id, a)
		}
	}
	if _, ok := c.Account(account3); ok {
		t.Error("the first catalog was changed")
	}
}

func TestMatching(t *testing.T) {
	c := parse(t, `meters:
- {name: zz, match: {source: api}, priority: 5}
- {name: b, match: {source: store, metadata: {region: eu}}}
- {name: a, match: {source: store}}
- {name: top, match: {source: store, metadata: {tier: 5, hot: true}}, priority: 1000}
- {name: text, match: {metadata: {tier: "5"}}, priority: -1}
- {name: credits, match: {type: credit, source: shop}}
`)
	label := func(key, value string, isJSON bool) reckoner.Label {
		return reckoner.Label{Key: key, Value: value, JSON: isJSON}
	}
	for _, m := range []struct {
		typ, source string
		metadata    []reckoner.Label
		want        string
	}{
		{"credit", "", nil, "credit"},
		{"", "", nil, "credit"},
		{"feature", "", nil, "feature"},
		{"credit", "api", nil, "zz"},
		{"feature", "api", []reckoner.Label{label("tier", "5", false)}, "zz"},
		{"feature", "store", []reckoner.Label{label("region", "eu", false)}, "a"}, // of equals the lesser name
		{"feature", "store", []reckoner.Label{label("hot", "true", true), label("tier", "5", true)}, "top"},
		{"feature", "store", []reckoner.Label{label("tier", "5", true)}, "a"},
		{"feature", "", []reckoner.Label{label("tier", "5", false)}, "text"},
		{"feature", "", []reckoner.Label{label("tier", "5", true)}, "feature"},
		{"credit", "shop", nil, "credits"},
		{"", "shop", nil, "credits"}, // no type is credit
		{"feature", "shop", nil, "feature"},
		{"feature", "API", nil, "feature"},
	} {
		if got := c.MatchMeter(m.typ, m.source, m.metadata); got.Name != m.want {
			t.Errorf("%q %q %v: %s, want %s", m.typ, m.source, m.metadata, got.Name, m.want)
		}
	}
}

func TestBuiltInMetersCanBeReplaced(t *testing.T) {
	c := parse(t, "meters: [{name: credit, unit: coins, type: rate}, {name: all, match: {}, priority: -10}]")
	if m := c.MatchMeter("feature", "", nil); m.Name != "all" {
		t.Errorf("an empty match fits everything, not %v", m)
	}
	if m, _ := c.Meter("credit"); m != (reckoner.Meter{Name: "credit", Unit: "coins", Type: reckoner.Rate}) {
		t.Errorf("%+v", m)
	}
	if m := parse(t, "{}").MatchMeter("credit", "", nil); m != (reckoner.Meter{Name: "credit", Unit: "credits", Type: reckoner.Interval}) {
		t.Errorf("%+v", m)
	}
}

func TestCredentials(t *testing.T) {
	const hash = "cd577fe2561ebff23505db0bb006300c7cdecbd46bc0e03c449afafaca2c25bf" // of demo-secret
	c := parse(t, base+"credentials:\n"+
		"- {id: one, secret_sha256: "+strings.ToUpper(hash)+", scopes: [usage.write], organizations: ["+orgB+"]}\n"+
		"- {id: all, secret_sha256: "+hash+", organizations: ['*']}\n"+
		"- {id: none, secret_sha256: "+strings.Repeat("0", 64)+"}\n")
	one, ok := c.Authenticate("one", "demo-secret")
	if !ok || !one.Allows(catalog.UsageWrite) || one.Allows(catalog.UsageRead) || !one.MayUse(orgB) ||
		!one.MayUse(strings.ToUpper(orgB)) || one.MayUse(orgA) || one.MayUse("*") || one.MayUse("") {
		t.Errorf("%+v", one)
	}
	all, ok := c.Authenticate("all", "demo-secret")
	if !ok || all.Allows(catalog.UsageWrite) || !all.MayUse(orgA) || !all.MayUse("one to come") {
		t.Errorf("%+v", all)
	}
	for _, bad := range [][2]string{{"one", ""}, {"one", "demo-secrets"}, {"", ""}, {"nobody", "demo-secret"}, {"ONE", "demo-secret"}, {"none", ""}} {
		if cr, ok := c.Authenticate(bad[0], bad[1]); ok || cr != nil {
			t.Errorf("%q is let in: %+v", bad, cr)
		}
	}
}

func TestInstallations(t *testing.T) {
	c := parse(t, base+`installations:
- {id: z, account: `+account2+`}
- {id: a, target: vercel, account: `+account1+`, base_url: "http://127.0.0.1:9/p", token_env: A_TOKEN, day_ends_at: "+05:45",
   resources: [{subscription: sub_1, resource_id: r, to: 2026-02-01T00:00:00Z}, {subscription: sub_1, resource_id: q, from: 2026-02-01T00:00:00Z}]}
`)
	all := slices.Collect(c.Installations())
	if len(all) != 2 || all[0].ID != "a" || all[1].Target != "vercel" || len(all[0].Resources) != 2 {
		t.Fatalf("%+v", all)
	}
	if want := 18*time.Hour + 15*time.Minute; all[0].DayEndsAt != want || all[1].DayEndsAt != 0 {
		t.Errorf("day ends at %v, want %v", all[0].DayEndsAt, want)
	}
}

func TestWhenDaysEnd(t *testing.T) {
	for text, want := range map[string]string{
		"00:00": "0s", "23:45": "23h45m0s", "+00:00": "0s", "-00:00": "0s", "+14:00": "10h0m0s", "-03:30": "3h30m0s", "-12:00": "12h0m0s",
	} {
		c := parse(t, base+"installations: [{id: i, account: "+account1+", day_ends_at: "+text+"}]")
		for in := range c.Installations() {
			if in.DayEndsAt.String() != want {
				t.Errorf("%s: %v, want %s", text, in.DayEndsAt, want)
			}
		}
	}
}

// Subscriptions of one installation share one period. Two cycles are judged the same exactly when no time tells them
// apart.
func TestPeriodsAreTheSameWhenNoTimeTellsThemApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := rapid.SampledFrom([]reckoner.Every{reckoner.Month, reckoner.Week, reckoner.Day, reckoner.Year})
		days := rapid.IntRange(0, 800) // few, so that some agree
		cycle := func(name string) reckoner.Cycle {
			return reckoner.Cycle{
				Anchor: time.Date(2023, 12, 29, 6*rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, name+" hour"), 0, 0, 0, time.UTC).AddDate(0, 0, days.Draw(t, name)),
				Every:  every.Draw(t, name+" every"),
			}
		}
		a, b := cycle("a"), cycle("b")
		text := "organizations: [{id: o}]\naccounts: [{id: " + account1 + ", organization: o}]\nsubscriptions:\n"
		for i, c := range []reckoner.Cycle{a, b} {
			text += "- {id: s" + string(rune('0'+i)) + ", account: " + account1 + ", period: {anchor: " +
				c.Anchor.Format(time.RFC3339) + ", every: " + c.Every.String() + "}}\n"
		}
		_, err := catalog.Parse("catalog.yaml", []byte(text+"installations: [{id: i, account: "+account1+"}]"))
		same := true
		for at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2030 && same; at = at.Add(6 * time.Hour) {
			same = a.At(at) == b.At(at)
		}
		if (err == nil) != same {
			t.Fatalf("%v and %v: same %v, but %v", a, b, same, err)
		}
	})
}
