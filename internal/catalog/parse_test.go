package catalog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"reckoner/internal/catalog"
)

const (
	orgA     = "6f0d0000-0000-4000-8000-000000000001"
	orgB     = "6f0d0000-0000-4000-8000-000000000002"
	account1 = "9c1e0000-0000-4000-8000-000000000001"
	account2 = "9c1e0000-0000-4000-8000-000000000002"
	account3 = "9c1e0000-0000-4000-8000-000000000003"
)

// base is a sound catalog that the cases add to.
const base = `organizations: [{id: ` + orgA + `, name: acme}, {id: ` + orgB + `}]
projects: [{id: p1, name: site, organization: ` + orgA + `}]
accounts:
- {id: ` + account1 + `, organization: ` + orgA + `, created_at: 2026-01-01T00:00:00Z, default_subscription: sub_1}
- {id: ` + account2 + `, organization: ` + orgA + `, created_at: 2026-01-01T00:00:00Z}
meters: [{name: calls, unit: calls}, {name: disk, type: total}]
plans: [{id: pro, prices: [{meter: calls, unit_price: 0.002, included: 1000}], discounts: [{name: launch, amount: "5.00"}]}]
subscriptions:
- {id: sub_1, account: ` + account1 + `, plan: pro, meter: calls, limit: 1000.5, period: {anchor: 2026-01-31T00:00:00Z}}
- {id: sub_2, account: ` + account2 + `, meter: disk}
`

// baseLines is where what is added begins.
var baseLines = strings.Count(base, "\n")

func parse(t *testing.T, text string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse("catalog.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryFaultIsNamedWithItsLine(t *testing.T) {
	install := func(rest string) string {
		return "installations:\n- {id: i1, account: " + account1 + ", " + rest + "}\n"
	}
	aws := func(product, dimensions string) string {
		if product != "" {
			product += ", "
		}
		return "aws: {" + product + "region: us-east-1, customer_account_id: '123456789012', from: 2026-01-01T00:00:00Z, " + dimensions + "}"
	}
	toAWS := func(product, dimensions string) string {
		return install("target: aws-marketplace, " + aws(product, dimensions))
	}
	credential := func(rest string) string {
		return "credentials:\n- {id: c, secret_sha256: " + strings.Repeat("0", 64) + ", " + rest + "}\n"
	}
	replaced := func(old, new string) string { return strings.Replace(base, old, new, 1) }
	for _, c := range []struct {
		name, text, want string // want begins after "catalog.yaml:"
	}{
		{"top: unknown key", base + "acounts: []\n", `: unknown key "acounts": did you mean "accounts"?`},
		{"top: repeated key", base + "meters: []\n", "meters: the key is repeated: it is at line 6 too"},
		{"top: no object", "[a]", "1: want an object of lists"},
		{"top: no list", "accounts: 5", "1: accounts: want a list"},
		{"top: not YAML", "a: [", "catalog.yaml: not YAML: "},
		{"top: two documents", "accounts: []\n---\naccounts: []", "a second document begins at line 2"},
		{"entity: no object", "organizations:\n- x", "2: organizations[0]: want an object with the keys id, name, not text"},
		{"entity: unknown key", "organizations:\n- {id: a,\n   nmae: b}", `3: organizations[0]: unknown key "nmae": did you mean "name"?`},
		{"entity: far key", "organizations:\n- {id: a, owner: b}", `2: organizations[0]: unknown key "owner": known are id, name`},
		{"entity: repeated key", "organizations:\n- {id: a, id: b}", `2: organizations[0]: the key "id" is repeated`},
		{"entity: alias", "organizations:\n- &o {id: a}\n- *o", "2: organizations[0]: anchors and aliases"},
		{"entity: inner alias", "organizations:\n- {id: &i a, name: *i}", "2: organizations[0]: id: anchors and aliases"},
		{"entity: odd tag", "organizations:\n- {id: !!binary YQ==}", "the tag !!binary is not for catalogs"},
		{"id missing", "organizations:\n- {name: a}", "2: organizations[0]: id is missing"},
		{"id null", "organizations:\n- {id: ~}", "2: organizations[0]: id is missing"},
		{"id empty", "organizations:\n- {id: ''}", "2: organizations[0].id: is empty"},
		{"id long", "organizations:\n- {id: " + strings.Repeat("x", 256) + "}", "2: organizations[0].id: longer than 255 bytes"},
		{"id controls", "organizations:\n- {id: \"a\\nb\"}", "2: organizations[0].id: holds control characters"},
		{"id of a wrong kind", "organizations:\n- {id: [a]}", "2: organizations[0].id: want text, not a list"},
		{"id taken", base + "credentials: []\n" + "x: 1", `unknown key "x"`},
		{"organization twice", "organizations:\n- {id: a}\n- {id: a}", `3: organizations[1].id: "a" is taken: the organization at line 2 has it`},
		{"organization's name twice", "organizations:\n- {id: a, name: n}\n- {id: b, name: n}", `3: organizations[1].name: "n" is the name or the id of another organization`},
		{"a name that is another's id", "organizations:\n- {id: a}\n- {id: b, name: a}", `3: organizations[1].name: "a" is the name or the id`},
		{"projects of two organizations", base[:0] + "organizations: [{id: a}, {id: b}]\nprojects:\n- {id: p, name: n, organization: a}\n- {id: q, name: n, organization: b}", `4: projects[1].name: "n" is the name or the id of another project`},
		{"project without organization", "projects:\n- {id: a}", "2: projects[0]: organization is missing"},
		{"account id", "organizations: [{id: a}]\naccounts:\n- {id: x, organization: a}", `3: accounts[0].id: "x" is not a UUID`},
		{"account twice in two cases", "organizations: [{id: a}]\naccounts:\n- {id: " + account1 + ", organization: a}\n- {id: " + strings.ToUpper(account1) + ", organization: a}", "4: accounts[1].id: "},
		{"account of nobody", "accounts:\n- id: " + account1 + "\n  organization: x", `3: accounts[0].organization: no organization has id "x"`},
		{"account of a name", "organizations: [{id: a, name: n}]\naccounts:\n- {id: " + account1 + ", organization: n}", `no organization has id "n": it is the name of "a"`},
		{"account state", replaced("default_subscription: sub_1", "state: open"), `4: accounts[0].state: unknown "open": want active, pending, disabled`},
		{"account time", replaced("2026-01-01T00:00:00Z", "2026-01-01"), `4: accounts[0].created_at: "2026-01-01" is not a time: want RFC 3339`},
		{"account time bounds", replaced("2026-01-01T00:00:00Z", "1969-01-01T00:00:00Z"), "is outside 1970 to 2199"},
		{"default subscription unknown", replaced("default_subscription: sub_1", "default_subscription: sub_9"), `accounts[0].default_subscription: no subscription has id "sub_9"`},
		{"default subscription of another", replaced("default_subscription: sub_1", "default_subscription: sub_2"), `accounts[0].default_subscription: subscription "sub_2" is of account ` + account2},
		{"meter type", "meters:\n- {name: m, type: gauge}", `2: meters[0].type: unknown "gauge": want interval, total, rate`},
		{"meter twice", "meters:\n- {name: m}\n- {name: m}", `3: meters[1].name: "m" is taken`},
		{"meter without name", "meters:\n- {unit: m}", `2: meters[0]: name is missing`},
		{"meter priority", "meters:\n- {name: m, priority: 1.5}", "2: meters[0].priority: want a whole number"},
		{"match type", "meters:\n- {name: m, match: {type: x}}", `2: meters[0].match.type: unknown "x": want credit, feature`},
		{"match key", "meters:\n- {name: m, match: {sourc: x}}", `2: meters[0].match: unknown key "sourc": did you mean "source"?`},
		{"match metadata list", "meters:\n- {name: m, match: {metadata: {a: [b]}}}", `meters[0].match.metadata: "a": want text, a number, true or false`},
		{"match metadata number", "meters:\n- {name: m, match: {metadata: {a: 0x10}}}", `0x10 is no JSON`},
		{"match metadata twice", "meters:\n- {name: m, match: {metadata: {a: 1, a: 2}}}", `the key "a" is repeated`},
		{"price sign", replaced("0.002", "-1"), `plans[0].prices[0].unit_price: "-1" is not an amount`},
		{"price exponent", replaced("0.002", "1e-3"), `"1e-3" is not an amount`},
		{"price point", replaced("0.002", `"1."`), `"1." is not an amount`},
		{"price length", replaced("0.002", strings.Repeat("9", 41)), "is not an amount"},
		{"price's meter", replaced("{meter: calls, unit", "{meter: cals, unit"), `plans[0].prices[0].meter: no meter has name "cals"`},
		{"price's meter missing", "plans:\n- {id: a, prices: [{unit_price: 1}]}", "2: plans[0].prices[0]: meter is missing"},
		{"two prices of a meter", "meters: [{name: m}]\nplans:\n- {id: a, prices: [{meter: m}, {meter: m}]}", `3: plans[0].prices[1]: the plan has a price for meter "m" already`},
		{"prices no list", "plans:\n- {id: a, prices: {meter: m}}", "2: plans[0].prices: want a list, not an object"},
		{"included decimals", replaced("included: 1000", "included: 0.0001"), "plans[0].prices[0].included: \"0.0001\": more than 3 decimals"},
		{"discount sign", replaced(`"5.00"`, `"-5.00"`), `plans[0].discounts[0].amount: "-5.00" is not an amount`},
		{"limit negative", replaced("1000.5", "-1"), "9: subscriptions[0].limit: -1 is negative"},
		{"limit decimals", replaced("1000.5", "1000.5005"), "9: subscriptions[0].limit: \"1000.5005\": more than 3 decimals"},
		{"limit no number", replaced("1000.5", "[]"), "subscriptions[0].limit: want a number"},
		{"limit underscores", replaced("1000.5", "1_000"), `"1_000": not a decimal number`},
		{"limit of a level", replaced("meter: disk", "meter: disk, limit: 1"), `10: subscriptions[1].limit: meter "disk" is of type total`},
		{"limit of nothing", replaced("meter: disk", "limit: 1"), "10: subscriptions[1].limit: a limit bounds the subscription's meter, and it has none"},
		{"subscription's account", replaced("account: "+account2, "account: "+account3), `10: subscriptions[1].account: no account has id "` + account3},
		{"subscription's plan", replaced("plan: pro", "plan: prof"), `9: subscriptions[0].plan: no plan has id "prof"`},
		{"subscription without account", "subscriptions:\n- {id: a}", "2: subscriptions[0]: account is missing"},
		{"period", replaced("{anchor: 2026-01-31T00:00:00Z}", "{every: hour}"), `subscriptions[0].period.every: unknown "hour": want month, day, week, year`},
		{"target", base + install("target: acme"), `installations[0].target: unknown "acme": want vercel, aws-marketplace`},
		{"token twice", base + install("token_env: A, token_file: b"), "installations[0]: token_env and token_file are both given"},
		{"token missing", base + install("base_url: 'https://a'"), "installations[0]: base_url without token_env or token_file"},
		{"url scheme", base + install("base_url: 'ftp://a', token_env: A"), "installations[0].base_url: \"ftp://a\": want https://HOST"},
		{"url user", base + install("base_url: 'https://u:p@a', token_env: A"), "want no user"},
		{"url plain", base + install("base_url: 'http://example.com', token_env: A"), "plain http is for loopback"},
		{"aws without aws", base + install("target: aws-marketplace"), "installations[0]: target aws-marketplace without aws: say which product"},
		{"aws for vercel", base + install(aws("product_code: p", "dimensions: [{meter: calls, dimension: d}]")), "installations[0]: aws is for target aws-marketplace, and this one is of vercel"},
		{"aws token", base + install("target: aws-marketplace, token_env: A, "+aws("product_code: p", "dimensions: [{meter: calls, dimension: d}]")), "installations[0]: token_env and token_file are not for target aws-marketplace"},
		{"aws day end", base + install("target: aws-marketplace, day_ends_at: '01:00', "+aws("product_code: p", "dimensions: [{meter: calls, dimension: d}]")), "day_ends_at is not for target aws-marketplace"},
		{"aws key", base + toAWS("product_code: p, prodct: x", "dimensions: [{meter: calls, dimension: d}]"), `installations[0].aws: unknown key "prodct"`},
		{"aws product and license", base + toAWS("product_code: p, license_arn: 'arn:aws:license-manager::1:license:l'", "dimensions: [{meter: calls, dimension: d}]"), "aws: product_code and license_arn are both given, and AWS bills twice"},
		{"aws no product", base + toAWS("", "dimensions: [{meter: calls, dimension: d}]"), "aws: license_arn is missing"},
		{"aws license", base + toAWS("license_arn: l-1", "dimensions: [{meter: calls, dimension: d}]"), `aws.license_arn: "l-1": want the ARN of a license`},
		{"aws two customers", base + toAWS("product_code: p, customer_identifier: c", "dimensions: [{meter: calls, dimension: d}]"), "customer_account_id and customer_identifier are both given"},
		{"aws identifier with license", base + strings.Replace(toAWS("license_arn: 'arn:aws:l:::l'", "dimensions: [{meter: calls, dimension: d}]"), "customer_account_id: '123456789012'", "customer_identifier: c", 1), "customer_identifier does not go with license_arn"},
		{"aws no customer", base + strings.Replace(toAWS("product_code: p", "dimensions: [{meter: calls, dimension: d}]"), "customer_account_id: '123456789012', ", "", 1), "aws: customer_account_id is missing"},
		{"aws customer", base + strings.Replace(toAWS("product_code: p", "dimensions: [{meter: calls, dimension: d}]"), "'123456789012'", "'1234'", 1), `aws.customer_account_id: "1234": want the 12 digits`},
		{"aws region", base + strings.Replace(toAWS("product_code: p", "dimensions: [{meter: calls, dimension: d}]"), "us-east-1", "Virginia", 1), `aws.region: "Virginia": want a region of AWS`},
		{"aws no region", base + strings.Replace(toAWS("product_code: p", "dimensions: [{meter: calls, dimension: d}]"), "region: us-east-1, ", "", 1), "aws: region is missing"},
		{"aws no from", base + strings.Replace(toAWS("product_code: p", "dimensions: [{meter: calls, dimension: d}]"), "from: 2026-01-01T00:00:00Z, ", "", 1), "aws: from is missing"},
		{"aws from", base + strings.Replace(toAWS("product_code: p", "dimensions: [{meter: calls, dimension: d}]"), "T00:00", "T00:30", 1), "aws.from: 2026-01-01T00:30:00Z is not the start of an hour in UTC"},
		{"aws no dimensions", base + toAWS("product_code: p", ""), "aws: dimensions is missing"},
		{"aws dimension's meter", base + toAWS("product_code: p", "dimensions: [{dimension: d}]"), "aws.dimensions[0]: meter is missing"},
		{"aws dimension's meter unknown", base + toAWS("product_code: p", "dimensions: [{meter: cals, dimension: d}]"), `aws.dimensions[0].meter: no meter has name "cals"`},
		{"aws dimension of a level", base + toAWS("product_code: p", "dimensions: [{meter: disk, dimension: d}]"), `aws.dimensions: meter "disk" is of type total, and AWS adds up`},
		{"aws dimension twice", base + toAWS("product_code: p", "dimensions: [{meter: calls, dimension: d}, {meter: calls, dimension: d}]"), `aws.dimensions[1]: the dimension "d" is there already`},
		{"aws unit", base + toAWS("product_code: p", "dimensions: [{meter: calls, dimension: d, unit: 0}]"), "aws.dimensions[0].unit: is 0: say how much"},
		{"day end", base + install("day_ends_at: '24:00'"), "installations[0].day_ends_at: \"24:00\": want a time of the day"},
		{"day end quarter", base + install("day_ends_at: '00:10'"), "in quarter hours"},
		{"day end offset", base + install("day_ends_at: '+15:00'"), "want a time of the day"},
		{"day end signs", base + install("day_ends_at: '+-1:00'"), "want a time of the day"},
		{"resource's subscription", base + install("resources: [{subscription: x, resource_id: r}]"), `installations[0].resources[0].subscription: no subscription has id "x"`},
		{"resource of another account", base + install("resources: [{subscription: sub_2, resource_id: r}]"), `installations[0].resources: subscription "sub_2" is of account ` + account2},
		{"resource without id", base + install("resources: [{subscription: sub_1}]"), "resources[0]: resource_id is missing"},
		{"resource times", base + install("resources: [{subscription: sub_1, resource_id: r, from: 2026-02-01T00:00:00Z, to: 2026-02-01T00:00:00Z}]"), "resources[0]: from (2026-02-01T00:00:00Z) is not before to"},
		{"resource twice", base + install("resources: [{subscription: sub_1, resource_id: r}, {subscription: sub_1, resource_id: q}]"), `resources[1]: subscription "sub_1" counts for resources[0] at the same time`},
		{"credential's colon", base + strings.Replace(credential(""), "id: c,", "id: 'a:b',", 1), `credentials[0].id: "a:b": a credential's id has no colon`},
		{"credential's hash missing", "credentials:\n- {id: c}", "2: credentials[0]: secret_sha256 is missing"},
		{"credential's scope", base + credential("scopes: [usage.rite]"), `credentials[0].scopes[0]: unknown "usage.rite": want usage.write, usage.revert`},
		{"credential's organization", base + credential("organizations: [x]"), `credentials[0].organizations[0]: no organization has id "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := catalog.Parse("catalog.yaml", []byte(c.text))
			if err == nil {
				t.Fatal("taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\ndoes not say %q", err, c.want)
			}
			if n := len(problems(err)); n != 1 && c.name != "entity: alias" {
				t.Errorf("%d problems, want one:\n%v", n, err)
			}
		})
	}
}

func problems(err error) []error {
	return err.(interface{ Unwrap() []error }).Unwrap()
}

func TestAllFaultsAreToldInOrder(t *testing.T) {
	text := base + "installations:\n- {id: i, account: x}\n- {id: j, account: y, color: red}\nprojectz: 1\n"
	_, err := catalog.Parse("catalog.yaml", []byte(text))
	if err == nil {
		t.Fatal("taken")
	}
	last := 0
	for _, one := range problems(err) {
		p, ok := errors.AsType[*catalog.Problem](one)
		if !ok || p.Line < last || p.Line <= baseLines {
			t.Errorf("%v (line %d after %d)", one, p.Line, last)
		}
		last = p.Line
	}
	if n := len(problems(err)); n != 4 {
		t.Errorf("%d problems, want 4:\n%v", n, err)
	}
}

func TestASecretGivenForAHashIsNotRepeated(t *testing.T) {
	_, err := catalog.Parse("catalog.yaml", []byte("credentials:\n- {id: c, secret_sha256: hunter2}"))
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "credentials[0].secret_sha256: want 64 hex digits") {
		t.Error(err)
	}
}

func TestManyFaultsAreCounted(t *testing.T) {
	var b strings.Builder
	b.WriteString("organizations:\n")
	for range 5000 {
		b.WriteString("- {}\n")
	}
	_, err := catalog.Parse("catalog.yaml", []byte(b.String()))
	if err == nil || !strings.HasSuffix(err.Error(), "and 4000 more problems") || len(problems(err)) != 1001 {
		t.Errorf("%d problems", len(problems(err)))
	}
}

// Documents that are made to exhaust a reader.
func TestHostileDocumentsEnd(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 8), i-1)
	}
	bomb.WriteString("organizations: *a19\n")
	for name, text := range map[string]string{
		"aliases":       bomb.String(),
		"alias cycle":   "organizations: &a\n- {id: x, name: *a}\n",
		"deep":          "organizations: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"deep objects":  "organizations: [" + strings.Repeat("{id: ", 5000) + strings.Repeat("}", 5000) + "]",
		"deeper":        strings.Repeat("[", 1_000_000),
		"large":         "organizations: # " + strings.Repeat("x", 100<<20),
		"commas":        "organizations: [" + strings.Repeat("a,", 8<<20-20) + "]",
		"dashes":        "organizations:\n" + strings.Repeat("-\n", 8<<20-20),
		"a long key":    strings.Repeat("x", 1000) + ": []\n",
		"merge":         "organizations:\n- {<<: {id: a}}\n",
		"a key's alias": "organizations:\n- {&k id: a, *k : b}\n",
	} {
		if _, err := catalog.Parse("catalog.yaml", []byte(text)); err == nil {
			t.Errorf("%s: taken", name)
		} else if len(err.Error()) > 4000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestEmptyDocuments(t *testing.T) {
	for _, name := range []string{"catalog.yaml", "catalog.json"} {
		for _, text := range []string{"{}", `{"accounts": null}`, `{"accounts": []}`} {
			if c, err := catalog.Parse(name, []byte(text)); err != nil || c.Counts() != (catalog.Counts{}) {
				t.Errorf("%s %q: %v", name, text, err)
			}
		}
		for _, text := range []string{"", " \n"} { // a file that is about to be written
			if _, err := catalog.Parse(name, []byte(text)); err == nil || err.Error() != name+": is empty: write {} if nothing is what you mean" {
				t.Errorf("%s %q: %v", name, text, err)
			}
		}
	}
	for _, text := range []string{"# only words\n", "---\n", "~"} {
		if c, err := catalog.Parse("catalog.yaml", []byte(text)); err == nil {
			t.Errorf("%q: %+v", text, c.Counts())
		}
	}
}
