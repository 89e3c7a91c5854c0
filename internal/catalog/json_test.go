package catalog_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"reckoner/configs"
	"reckoner/internal/catalog"
)

// One catalog in both languages is one catalog: whoever reads it is told the same.
func TestJSONIsReadAsYAMLIs(t *testing.T) {
	for name, text := range map[string]string{"demo": string(configs.Catalog), "base": base} {
		var tree map[string]any
		if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		asJSON, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		fromJSON, err := catalog.Parse("catalog.json", asJSON)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		flow, err := catalog.Parse("catalog.yaml", asJSON) // JSON is YAML too
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := describe(parse(t, text))
		for _, got := range []*catalog.Catalog{fromJSON, flow} {
			if diff := cmp.Diff(want, describe(got)); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
	}
}

// describe is what a catalog says of everything that the two documents name.
func describe(c *catalog.Catalog) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", c.Counts())
	for _, id := range []string{"demo", "demo-site", "acme", "site", "sub_1", "sub_2", "sub_demo", "pro", account1, account2,
		"calls", "disk", "storage", "connections", "d3300000-0000-4000-8000-000000000003"} {
		org, _ := c.Organization(id)
		project, _ := c.Project(id)
		account, _ := c.Account(id)
		sub, _ := c.Subscription(id)
		if sub != nil && sub.Limit != nil {
			fmt.Fprintln(&b, sub.Limit)
			s := *sub
			s.Limit = nil
			sub = &s
		}
		plan, _ := c.Plan(id)
		meter, _ := c.Meter(id)
		credential, _ := c.Credential(id)
		fmt.Fprintf(&b, "%s: %+v %+v %+v %+v %+v %+v %+v\n", id, org, project, account, sub, plan, meter, credential)
	}
	for in := range c.Installations() {
		fmt.Fprintf(&b, "%+v\n", *in)
	}
	return b.String()
}

func TestFaultsOfJSON(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[]", "catalog.json:1: want an object of lists"},
		{"{", "catalog.json:1: not JSON: "},
		{"{}\n{}", "something follows the document"},
		{"{\n\"accounts\": 5}", "catalog.json:2: accounts: want a list"},
		{"{\n\"acounts\": [1, {\"a\": 2}]}", `catalog.json:2: unknown key "acounts"`},
		{"{\"organizations\": [\n{\"id\": \"a\"},\n{\"id\":\n \"a\"}]}", `catalog.json:3: organizations[1].id: "a" is taken: the organization at line 2 has it`},
		{"{\"organizations\": [\n{\"id\": \"a\", \"id\": \"b\"}]}", "duplicate"},
		{"{\"organizations\": [], \"organizations\": []}", "duplicate"},
		{"{\"subscriptions\": [\n{\"id\": \"s\", \"account\": \"x\",\n \"limit\": 1e-9}]}", "catalog.json:3: subscriptions[0].limit: \"1e-9\": more than 3 decimals"},
		{"{\"organizations\": [" + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "]}", "nested deeper"},
		{"{\"organizations\": [[" + strings.Repeat("1,", 500_000) + "1]]}", "more than 500000 values"},
		{"{\"organizations\": [\n{\"id\": \"\xff\"}]}", "catalog.json:2: not JSON: "},
	} {
		_, err := catalog.Parse("catalog.json", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v\ndoes not say %q", c.text, err, c.want)
		}
	}
}

// manyAccounts is a JSON catalog of n accounts with a subscription each.
func manyAccounts(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"organizations":[{"id":"` + orgA + `"}],"accounts":[` + "\n")
	for i := range n {
		fmt.Fprintf(&b, `%s{"id":"9c1e0000-0000-4000-8000-%012d","organization":"`+orgA+`","created_at":"2026-01-01T00:00:00Z","default_subscription":"sub_%d"}`+"\n", comma(i), i, i)
	}
	b.WriteString(`],"subscriptions":[`)
	for i := range n {
		fmt.Fprintf(&b, `%s{"id":"sub_%d","account":"9c1e0000-0000-4000-8000-%012d","meter":"credit","limit":"1000.5"}`+"\n", comma(i), i, i)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

func BenchmarkParse(b *testing.B) {
	const accounts = 100_000
	data := manyAccounts(accounts)
	b.ReportAllocs()
	var c *catalog.Catalog
	for b.Loop() {
		var err error
		if c, err = catalog.Parse("catalog.json", data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/accounts, "ns/account")
	var with, without runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	runtime.KeepAlive(c)
	c = nil
	runtime.GC()
	runtime.ReadMemStats(&without)
	runtime.KeepAlive(c)
	b.ReportMetric(float64(with.HeapAlloc-without.HeapAlloc)/accounts, "heldB/account")
}
