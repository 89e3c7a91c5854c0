package catalog_test

import (
	"testing"

	"reckoner/configs"
	"reckoner/internal/catalog"
)

func TestTheDemoCatalogIsGood(t *testing.T) {
	c, err := catalog.Parse("catalog.yaml", configs.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	cr, ok := c.Authenticate("demo", "demo-secret")
	if !ok {
		t.Fatal("demo:demo-secret is not let in")
	}
	org, ok := c.Organization("demo")
	if !ok {
		t.Fatal("no organization demo")
	}
	for _, s := range catalog.Scopes() {
		if !cr.Allows(s) {
			t.Errorf("the demo credential lacks %s", s)
		}
	}
	account, ok := c.NewestActiveAccount(org.ID)
	if !ok || !cr.MayUse(org.ID) {
		t.Fatalf("account %v, may use %v", account, cr.MayUse(org.ID))
	}
	if s, ok := c.Subscription(account.DefaultSubscription); !ok || s.Limit == nil {
		t.Errorf("default subscription: %+v", s)
	}
	if want := (catalog.Counts{1, 1, 1, 5, 1, 1, 1, 1}); c.Counts() != want {
		t.Errorf("counts %+v", c.Counts())
	}
}
