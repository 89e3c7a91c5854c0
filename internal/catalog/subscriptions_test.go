package catalog

import (
	"strings"
	"testing"
)

func TestSubscriptionsOfAnAccount(t *testing.T) {
	const org, one, two, three = "6f0d0000-0000-4000-8000-000000000001", "9c1e0000-0000-4000-8000-000000000001",
		"9c1e0000-0000-4000-8000-000000000002", "9c1e0000-0000-4000-8000-000000000003"
	c, err := Parse("c.yaml", []byte(`
organizations: [{id: `+org+`}]
accounts: [{id: `+one+`, organization: `+org+`}, {id: `+two+`, organization: `+org+`}, {id: `+three+`, organization: `+org+`}]
subscriptions: [{id: s3, account: `+one+`}, {id: s1, account: `+one+`}, {id: s2, account: `+two+`}, {id: s0, account: `+three+`}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]string{one: "s1 s3", two: "s2", three: "s0", strings.ToUpper(one): "s1 s3", org: "", "": ""} {
		var ids []string
		for s := range c.SubscriptionsOf(account) {
			ids = append(ids, s.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%q has %q, want %q", account, got, want)
		}
	}
	for s := range c.SubscriptionsOf(one) {
		if s.ID != "s1" {
			t.Errorf("the first is %s", s.ID)
		}
		break
	}
}
