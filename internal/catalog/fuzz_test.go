package catalog_test

import (
	"errors"
	"strings"
	"testing"

	"reckoner/configs"
	"reckoner/internal/catalog"
)

// Whatever the bytes are, Parse ends with a catalog or with problems that name the file; and what it takes holds its
// promises.
func FuzzParse(f *testing.F) {
	f.Add(configs.Catalog, false)
	f.Add([]byte(base), false)
	f.Add(manyAccounts(2), true)
	f.Add([]byte(base+"installations: [{id: i, target: aws-marketplace, account: "+account1+", aws: {product_code: p, region: us-east-1, customer_account_id: '123456789012',"+
		" from: 2026-01-01T00:00:00Z, dimensions: [{meter: calls, dimension: d, unit: 1000}]}}]\n"), false)
	for _, s := range []string{"", "{}", "- a", "a: &a [*a]", "accounts: [{id: x}]", `{"accounts":[{"id":null}]}`, "? [a]: b", "!!set {a}"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		name := "catalog.yaml"
		if isJSON {
			name = "catalog.json"
		}
		c, err := catalog.Parse(name, data)
		if err != nil {
			if c != nil || !strings.HasPrefix(err.Error(), name) {
				t.Fatalf("%v, %v", c, err)
			}
			for _, one := range problems(err) {
				if p, ok := errors.AsType[*catalog.Problem](one); ok && (p.Line < 0 || p.Message == "") {
					t.Fatalf("%+v", p)
				}
			}
			return
		}
		for in := range c.Installations() {
			a, ok := c.Account(in.AccountID)
			if !ok {
				t.Fatalf("installation %q has no account", in.ID)
			}
			if _, ok := c.Organization(a.OrganizationID); !ok {
				t.Fatalf("account %q has no organization", a.ID)
			}
			if a.DefaultSubscription != "" {
				if s, ok := c.Subscription(a.DefaultSubscription); !ok || s.AccountID != a.ID {
					t.Fatalf("account %q has a default subscription that is not its own", a.ID)
				}
			}
		}
		c.MatchMeter("feature", "api", nil)
	})
}
