package catalog

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestLinesOfADiff(t *testing.T) {
	before := grounded(t).machine.Snapshot()
	text := strings.NewReplacer("name: other", "name: new", "limit: 5}\n- {id: s2", "limit: 6.5}\n- {id: s2", zeros, strings.Repeat("1", 64),
		", {id: lite}", ", {id: free, discounts: [{name: launch, amount: 5}]}", "{name: free}", "{name: free, priority: 3}",
		", default_subscription: s1", "").Replace(ground)
	d, err := NewDiff(before, mustParse(t, "after.yaml", text), DiffOptions{Prune: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`~ organization o2: name: "other" -> "new"`,
		`~ meter free: priority: 3 (new)`,
		`+ plan free: name: "free", discounts: [{"name":"launch","amount":"5"}]`,
		`~ account ` + acc1 + `: default_subscription: "s1" (taken away)`,
		`~ subscription s1: limit: "5" -> "6.5"`,
		`~ credential c1: another secret`,
		`- plan lite`,
	}
	if got := slices.Collect(d.Lines()); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d.Created != 1 || d.Changed != 5 || d.Deleted != 1 || d.Len() != 7 || d.Empty() {
		t.Errorf("%+v", d)
	}
}

// What can only be reached by way of something else.
func TestDetours(t *testing.T) {
	replaced := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(ground) }
	for name, to := range map[string]string{
		"names are swapped":              replaced("name: acme", "name: other", "name: other", "name: acme"),
		"default subscriptions move":     replaced("default_subscription: s1", "default_subscription: s3", "s3, account: "+acc2, "s3, account: "+acc1, "resources: [{subscription: s2, resource_id: r}, {subscription: s1, resource_id: q}]", "day_ends_at: 00:00", "s1, account: "+acc1, "s1, account: "+acc2),
		"periods change together":        replaced("s1, account: "+acc1, "s1, period: {every: week}, account: "+acc1, "s2, account: "+acc1, "s2, period: {every: week}, account: "+acc1),
		"a meter becomes a level":        replaced("{name: calls}", "{name: calls, type: total}", ", limit: 5}\n- {id: s2", "}\n- {id: s2"),
		"a level takes limits":           replaced("type: total", "type: interval", "meter: calls, limit: 5", "meter: disk, limit: 5"),
		"a name becomes an id":           replaced("{id: o2, name: other}", "{id: acme}", org1+", name: acme", org1+", name: o2", "organizations: [o2]", "organizations: [acme]"),
		"everything goes":                "{}",
		"an installation's account goes": replaced("- {id: i2, account: "+acc2+"}\n", "", "- {id: s3, account: "+acc2+", meter: credit, limit: 5}\n", "", "- {id: "+acc2+", organization: "+org1+"}\n", ""),
	} {
		t.Run(name, func(t *testing.T) {
			f := grounded(t)
			want := mustParse(t, "to.yaml", to)
			for _, want := range []*Catalog{want, mustParse(t, "back.yaml", ground)} { // and back
				d, err := NewDiff(f.machine.Snapshot(), want, DiffOptions{Prune: true, moves: true})
				if err != nil {
					t.Fatal(err)
				}
				f.follow(t, d)
				if got := document(f.machine.Snapshot()); got != document(want) {
					t.Errorf("got\n%s\nwant\n%s", got, document(want))
				}
			}
		})
	}
}

// An account that is there keeps a default subscription while it gets another one: usage comes in all the time.
func TestAnAccountNeverLosesItsDefault(t *testing.T) {
	f := grounded(t)
	to := strings.NewReplacer("default_subscription: s1", "default_subscription: s9", "- {id: s2,", "- {id: s9, account: "+acc1+"}\n- {id: s2,").Replace(ground)
	d, err := NewDiff(f.machine.Snapshot(), mustParse(t, "to.yaml", to), DiffOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Len() {
		if ch, _ := d.Step(i); ch.Kind == AccountKind && ch.Entity.(*Account).DefaultSubscription == "" {
			t.Errorf("step %d of %d: %+v", i, d.Len(), ch.Entity)
		}
	}
}

// Without pruning a document can clash with what it does not list. Then nothing is done, and the file's line is named.
func TestADiffThatCannotBe(t *testing.T) {
	f := grounded(t)
	for _, c := range []struct{ text, want string }{
		{"projects: []\norganizations:\n- {id: o5}\n- {id: o6, name: acme}", `to.yaml:4: organization/o6: name: "acme" is the name or the id of another organization`},
		{"organizations: [{id: " + org1 + ", name: acme}]\naccounts: [{id: " + acc2 + ", organization: " + org1 + "}]\nsubscriptions:\n- {id: s9, account: " + acc2 + ", period: {every: week}}", `to.yaml:4: subscription/s9: period: installation "i2" reports subscription "s3"`},
		{"organizations: [{id: " + org1 + ", name: acme}]\naccounts:\n- {id: " + acc1 + ", organization: " + org1 + "}\n- {id: " + acc2 + ", organization: " + org1 + "}\nsubscriptions:\n- {id: s1, account: " + acc2 + "}",
			`to.yaml:6: subscription/s1: account: subscription "s1" is of account ` + acc1 + ` and stays there`},
		{"organizations: [{id: o2}]\naccounts:\n- {id: " + acc1 + ", organization: o2}", `to.yaml:3: account/` + acc1 + `: organization: account ` + acc1 + ` is of organization "` + org1 + `" and stays there`},
		{"meters:\n- {name: calls, type: total}", `to.yaml:2: meter/calls: type: subscription "s1" has a limit on it`},
	} {
		d, err := NewDiff(f.machine.Snapshot(), mustParse(t, "to.yaml", c.text), DiffOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if d != nil {
			t.Error("a diff beside an error")
		}
	}
}

func TestDecodeEntity(t *testing.T) {
	cr := &Credential{ID: "c"}
	cr.SecretHash[0] = 7
	for _, c := range []struct {
		kind    Kind
		id      string
		text    string
		present Entity
		want    string // the entity, or faults
	}{
		{OrganizationKind, strings.ToUpper(org1), `{}`, nil, `{"id":"` + org1 + `"}`},
		{OrganizationKind, org1, `{"id":"` + strings.ToUpper(org1) + `","name":"x"}`, nil, `{"id":"` + org1 + `","name":"x"}`},
		{OrganizationKind, "o", `{"id":null}`, nil, `{"id":"o"}`},
		{OrganizationKind, "o", `{"id":5}`, nil, `id: "5" is not the id that is named outside of it, which is "o"`},
		{OrganizationKind, "o", ``, nil, `not JSON: `},
		{OrganizationKind, "o", `null`, nil, `want an object with the keys id, name, not nothing`},
		{OrganizationKind, "o", `{"id":"o","id":"o"}`, nil, `not JSON: `},
		{MeterKind, "m", `{"name":"m"}`, nil, `{"name":"m","unit":"units","type":"interval"}`},
		{MeterKind, "m", `{"id":"m"}`, nil, `unknown key "id"`},
		{MeterKind, "M", `{"match":{"metadata":{}}}`, nil, `{"name":"M","unit":"units","type":"interval","match":{}}`},
		{CredentialKind, "c", `{"scopes":["usage.read"]}`, cr, `{"id":"c","scopes":["usage.read"]}`},
		{CredentialKind, "c", `{}`, nil, `secret_sha256 is missing`},
		{CredentialKind, "c", `{"secret_sha256":"hunter2"}`, cr, `secret_sha256: want 64 hex digits`},
		{SubscriptionKind, "s", `{"limit":-1,"period":{"every":"hour"},"colour":1}`, nil,
			`limit: -1 is negative|period.every: unknown "hour"|unknown key "colour"|account is missing`},
	} {
		e, faults := DecodeEntity(c.kind, c.id, []byte(c.text), c.present)
		if len(faults) == 0 {
			if got := string(JSON(e)); got != c.want {
				t.Errorf("%s: %s, want %s", c.text, got, c.want)
			}
			if got, ok := e.(*Credential); ok && got.SecretHash != cr.SecretHash {
				t.Error("the secret is not kept")
			}
			continue
		}
		for i, want := range strings.Split(c.want, "|") {
			if e != nil || i >= len(faults) || !strings.HasPrefix(faults[i].Error(), want) || faults[i].Result != Unfit {
				t.Errorf("%s: %v, want %s", c.text, faults, c.want)
				break
			}
		}
	}
}

func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		for _, name := range []string{k.String(), k.Plural()} {
			if got, ok := ParseKind(name); !ok || got != k {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
	if _, ok := ParseKind("accountses"); ok {
		t.Error("accountses are a kind")
	}
	for _, r := range Results() {
		if r.String() == "unknown" {
			t.Errorf("result %d has no name", r)
		}
	}
}

func TestExportOfAPart(t *testing.T) {
	c := grounded(t).machine.Snapshot()
	for _, e := range []struct {
		o    ExportOptions
		want string
	}{
		{ExportOptions{Kinds: []Kind{PlanKind}, Key: "lite"}, "plans:\n  - {id: lite, name: lite}\n"},
		{ExportOptions{Kinds: []Kind{PlanKind}, Key: "none"}, "{}\n"},
		{ExportOptions{Key: "o2"}, "organizations:\n  - {id: o2, name: other}\n"},
		{ExportOptions{Kinds: []Kind{CredentialKind}}, "credentials:\n  - {id: c1, organizations: [o2]}\n"},
		{ExportOptions{Kinds: []Kind{CredentialKind}, Secrets: true}, "credentials:\n  - {id: c1, secret_sha256: \"" + zeros + "\", organizations: [o2]}\n"},
	} {
		var b bytes.Buffer
		if err := ExportYAML(&b, c, e.o); err != nil || b.String() != e.want {
			t.Errorf("%+v: %v\n%s", e.o, err, b.String())
		}
	}
}

func TestPaging(t *testing.T) {
	c := grounded(t).machine.Snapshot()
	var got []string
	after := ""
	for page := 0; page < 10; page++ {
		n := 0
		for e, v := range c.Entities(SubscriptionKind, after) {
			if _, is, _ := c.Entity(SubscriptionKind, e.Key()); is != v || v == 0 {
				t.Errorf("%s: version %d, %d", e.Key(), v, is)
			}
			got = append(got, e.Key())
			after = e.Key()
			if n++; n == 2 {
				break
			}
		}
	}
	if !slices.Equal(got, []string{"s1", "s2", "s3"}) {
		t.Errorf("%v", got)
	}
}
