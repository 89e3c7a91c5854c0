package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/config"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// catalogSite is a Kafka, and the commands that change the catalog in it.
type catalogSite struct {
	t      *testing.T
	broker *broker.Broker
	logs   *messages
}

func newCatalogSite(t *testing.T) *catalogSite {
	s := &catalogSite{t: t, broker: brokertest.Start(t), logs: &messages{}}
	client, err := bus.Open(bus.Options{Brokers: s.broker.Addrs()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.EnsureTopics(t.Context(), bus.Topics(1, 0)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *catalogSite) process(env ...string) *Process {
	settings, err := config.Load(config.Source{Environ: append([]string{
		"RECKONER_KAFKA_BROKERS=" + s.broker.Addr(), "RECKONER_CONFIG=" + filepath.Join("..", "..", "configs", "reckoner.yaml"),
	}, env...)})
	if err != nil {
		s.t.Fatal(err)
	}
	return NewProcess(settings, slog.New(slog.NewTextHandler(s.logs, nil)))
}

func (s *catalogSite) file(name, text string) string {
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *catalogSite) try(text string, o CatalogApplyOptions) (string, error) {
	var out bytes.Buffer
	p := s.process()
	err := p.End(CatalogApply(s.t.Context(), p, &out, s.file("catalog.yaml", text), o))
	return out.String(), err
}

// apply applies a document and returns what was written, without the time that it took.
func (s *catalogSite) apply(text string, o CatalogApplyOptions) string {
	s.t.Helper()
	out, err := s.try(text, o)
	if err != nil {
		s.t.Fatal(err)
	}
	if before, _, ok := strings.Cut(out, " changes made in "); ok {
		return before + " made\n"
	}
	return out
}

func (s *catalogSite) get(o CatalogGetOptions) string {
	s.t.Helper()
	var out bytes.Buffer
	p := s.process()
	if err := p.End(CatalogGet(s.t.Context(), p, &out, o)); err != nil {
		s.t.Fatal(err)
	}
	return out.String()
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

const sampleAccount = "9c1e0000-0000-4000-8000-000000000001"

func sampleCatalog(limit, more string) string {
	return fmt.Sprintf(`organizations: [{id: o1, name: acme}]
accounts: [{id: %[1]s, organization: o1, default_subscription: sub_1}]
meters: [{name: calls}]
subscriptions: [{id: sub_1, account: %[1]s, meter: calls, limit: %[2]q}]
credentials: [{id: c1, secret_sha256: %[3]s, scopes: [usage.read], organizations: [o1]}]
%[4]s`, sampleAccount, limit, hashOf("planted"), more)
}

func TestCatalogApplyShowsAndMakesTheDifference(t *testing.T) {
	s := newCatalogSite(t)
	first := sampleCatalog("5", "plans: [{id: pro}, {id: free}]\n")
	const created = `+ organization o1: name: "acme"
+ meter calls: unit: "units", type: "interval"
+ plan free: name: "free"
+ plan pro: name: "pro"
+ account 9c1e0000-0000-4000-8000-000000000001: organization: "o1", state: "active", default_subscription: "sub_1"
+ subscription sub_1: account: "9c1e0000-0000-4000-8000-000000000001", meter: "calls", limit: "5", period: {"every":"month"}
+ credential c1: scopes: ["usage.read"], organizations: ["o1"]
to create: 7, to change: 0, to delete: 0
`
	if got := s.apply(first, CatalogApplyOptions{DryRun: true}); got != created {
		t.Errorf("dry run:\n%s", got)
	}
	if got := s.get(CatalogGetOptions{}); got != "{}\n" {
		t.Errorf("a dry run left\n%s", got)
	}
	if got := s.apply(first, CatalogApplyOptions{}); got != created+"8 made\n" { // the account twice: its subscription comes after it
		t.Errorf("apply:\n%s", got)
	}
	const nothing = "nothing to do: the catalog is what the file says\n"
	if got := s.apply(first, CatalogApplyOptions{}); got != nothing {
		t.Errorf("again:\n%s", got)
	}
	// What a file does not list stays, unless it is pruned.
	second := sampleCatalog("7.5", "plans: [{id: pro, name: Pro}]\n")
	const changed = "~ plan pro: name: \"pro\" -> \"Pro\"\n~ subscription sub_1: limit: \"5\" -> \"7.5\"\n"
	if got := s.apply(second, CatalogApplyOptions{}); got != changed+"to create: 0, to change: 2, to delete: 0\n2 made\n" {
		t.Errorf("change:\n%s", got)
	}
	if got := s.apply(second, CatalogApplyOptions{Prune: true}); got != "- plan free\nto create: 0, to change: 0, to delete: 1\n1 made\n" {
		t.Errorf("prune:\n%s", got)
	}
	if got := s.apply(second, CatalogApplyOptions{Prune: true}); got != nothing {
		t.Errorf("prune again:\n%s", got)
	}
	if got := s.apply("{}", CatalogApplyOptions{Prune: true, Lines: 2}); !strings.Contains(got, "… and more; --lines 0 shows all\nto create: 0, to change: 0, to delete: 6\n") {
		t.Errorf("prune all:\n%s", got)
	}
	if got := s.get(CatalogGetOptions{}); got != "{}\n" {
		t.Errorf("left after everything was pruned:\n%s", got)
	}
}

func TestBadCatalogFilesChangeNothing(t *testing.T) {
	s := newCatalogSite(t)
	good := sampleCatalog("5", "")
	s.apply(good, CatalogApplyOptions{})
	before := s.get(CatalogGetOptions{Hashes: true})
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"many faults": {
			sampleCatalog("1.0001", "plans: [{id: pro, price: 1}]\nprojects:\n- {id: p1, organization: gone}\n- {name: x}\n"),
			[]string{"catalog.yaml:4: subscriptions[0].limit: ", "catalog.yaml:6: plans[0]: unknown key \"price\"", "catalog.yaml:8: projects[0].organization: no organization has id \"gone\"", "catalog.yaml:9: projects[1]: id is missing"},
		},
		"no YAML":           {"organizations: [", []string{"catalog.yaml:", "nothing was changed"}},
		"empty":             {"", []string{"nothing was changed"}},
		"clashes elsewhere": {"organizations: [{id: o2, name: acme}]", []string{"catalog.yaml:1: ", "acme", "nothing was changed"}},
		"new and unhashed":  {"credentials: [{id: c2}]", []string{"catalog.yaml:1: ", "secret_sha256", "nothing was changed"}},
	} {
		for _, o := range []CatalogApplyOptions{{}, {DryRun: true}} {
			out, err := s.try(c.text, o)
			if err == nil || out != "" {
				t.Errorf("%s, %+v: %v, wrote %q", name, o, err, out)
				continue
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %+v: the error does not say %q:\n%v", name, o, want, err)
				}
			}
		}
	}
	if got := s.get(CatalogGetOptions{Hashes: true}); got != before {
		t.Errorf("the catalog changed:\n%s\nwas\n%s", got, before)
	}
}

// What `get` writes can be applied: it is the catalog. Secrets are in it only when they are asked for.
func TestWhatIsGotCanBeApplied(t *testing.T) {
	s := newCatalogSite(t)
	s.apply(sampleCatalog("5", ""), CatalogApplyOptions{})
	for _, o := range []CatalogGetOptions{{}, {JSON: true}, {Hashes: true}, {JSON: true, Hashes: true}} {
		text := s.get(o)
		if strings.Contains(text, hashOf("planted")) != o.Hashes {
			t.Errorf("%+v: hashes are in it: %t\n%s", o, !o.Hashes, text)
		}
		var out bytes.Buffer
		name := "catalog.yaml"
		if o.JSON {
			name = "catalog.json"
		}
		p := s.process()
		if err := p.End(CatalogApply(t.Context(), p, &out, s.file(name, text), CatalogApplyOptions{Prune: true})); err != nil || !strings.HasPrefix(out.String(), "nothing to do") {
			t.Errorf("%+v: %v\n%s", o, err, out.String())
		}
		other := newCatalogSite(t) // an installation that knows no secret
		_, err := other.try(s.get(CatalogGetOptions{Hashes: o.Hashes}), CatalogApplyOptions{})
		if (err == nil) != o.Hashes {
			t.Errorf("%+v: applied elsewhere: %v", o, err)
		}
	}
	if got := s.get(CatalogGetOptions{Kind: "meters"}); got != "meters:\n  - {name: calls, unit: units, type: interval}\n" {
		t.Errorf("meters:\n%s", got)
	}
	if got := s.get(CatalogGetOptions{Kind: "account", ID: strings.ToUpper(sampleAccount)}); !strings.HasPrefix(got, "accounts:\n  - {id: "+sampleAccount) {
		t.Errorf("one account:\n%s", got)
	}
	for _, o := range []CatalogGetOptions{{Kind: "things"}, {Kind: "plans", ID: "gone"}} {
		p := s.process()
		if err := p.End(CatalogGet(t.Context(), p, io.Discard, o)); err == nil || !strings.Contains(err.Error(), o.Kind[:4]) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if strings.Contains(s.logs.String(), hashOf("planted")) {
		t.Error("a hash was logged")
	}
}

func TestCatalogCommandsWithoutTheirTopic(t *testing.T) {
	s := &catalogSite{t: t, broker: brokertest.Start(t), logs: &messages{}}
	if _, err := s.try("{}", CatalogApplyOptions{}); err == nil || !strings.Contains(err.Error(), "reckoner migrate") {
		t.Errorf("without the topic: %v", err)
	}
	if err := s.broker.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.try("{}", CatalogApplyOptions{}); err == nil || !strings.Contains(err.Error(), "--brokers") {
		t.Errorf("without Kafka: %v", err)
	}
	p := s.process()
	if err := p.End(CatalogApply(t.Context(), p, io.Discard, "gone.yaml", CatalogApplyOptions{})); err == nil || !strings.Contains(err.Error(), "gone.yaml") {
		t.Errorf("without the file: %v", err)
	}
}

// Many accounts go in batches, each decided before the next.
func TestManyAccountsAreApplied(t *testing.T) {
	const n = 6000
	s := newCatalogSite(t)
	var b bytes.Buffer
	b.WriteString(`{"organizations": [{"id": "o1"}], "accounts": [`)
	for i := range n {
		fmt.Fprintf(&b, "%s{\"id\": %q, \"organization\": \"o1\", \"default_subscription\": \"sub_%d\"}", comma(i), account(i), i)
	}
	b.WriteString(`], "subscriptions": [`)
	for i := range n {
		fmt.Fprintf(&b, "%s{\"id\": \"sub_%d\", \"account\": %q}", comma(i), i, account(i))
	}
	b.WriteString("]}")
	var out bytes.Buffer
	var last, of, calls int
	o := CatalogApplyOptions{Lines: 1, Progress: func(done, all int) {
		if done <= last {
			t.Errorf("progress %d after %d", done, last)
		}
		last, of = done, all
		calls++
	}}
	p := s.process()
	if err := p.End(CatalogApply(t.Context(), p, &out, s.file("many.json", b.String()), o)); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("to create: %d, to change: 0, to delete: 0\n%d changes made", 2*n+1, 3*n+1); !strings.Contains(out.String(), want) {
		t.Errorf("want %q:\n%s", want, out.String())
	}
	if last != 3*n+1 || of != last || calls < 4 {
		t.Errorf("progress ended at %d of %d after %d steps", last, of, calls)
	}
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ",\n"
}

// serve starts what of `ingest` is the catalog, and ends it with the test.
func (s *catalogSite) serve(d *document, env ...string) (*liveCatalog, error) {
	s.t.Helper()
	p := s.process(append(env, "RECKONER_CATALOG_MIRROR_INTERVAL=0")...)
	s.t.Cleanup(func() {
		if err := p.End(nil); err != nil {
			s.t.Error(err)
		}
	})
	client, err := p.kafka()
	if err != nil {
		s.t.Fatal(err)
	}
	return p.catalog(s.t.Context(), client, nil, d)
}

// The file of the start is applied each time, and prunes nothing; the demo only begins.
func TestTheCatalogAtTheStart(t *testing.T) {
	s := newCatalogSite(t)
	demo := &document{name: "demo.yaml", data: []byte("organizations: [{id: demo}]"), onlyEmpty: true}
	limit := func(c *liveCatalog) string {
		sub, ok := c.Current().Subscription("sub_1")
		if !ok {
			return "none"
		}
		return sub.Limit.String()
	}
	start := func(d *document) *liveCatalog {
		t.Helper()
		c, err := s.serve(d)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := start(nil)
	if c.Current().LastChanged() != 0 || !strings.Contains(s.logs.String(), "the catalog has no credential") {
		t.Error("an empty catalog is not told")
	}
	if c := start(demo); c.Current().Counts().Organizations != 1 {
		t.Error("the demo does not begin an empty catalog")
	}
	s.apply(sampleCatalog("5", ""), CatalogApplyOptions{Prune: true})
	if c := start(demo); c.Current().Count(catalog.OrganizationKind) != 1 || limit(c) != "5" {
		t.Error("the demo came back")
	}
	if c := start(&document{name: "a.yaml", data: []byte(sampleCatalog("6", ""))}); limit(c) != "6" {
		t.Errorf("the file of the start was not applied: limit %s", limit(c))
	}
	if c := start(&document{name: "b.yaml", data: []byte("organizations: [{id: o2}]")}); limit(c) != "6" || c.Current().Count(catalog.OrganizationKind) != 2 {
		t.Errorf("the file of the start pruned, or was not applied: limit %s", limit(c))
	}
	for name, says := range map[string]string{
		"accounts: [{id: x}]":                   "bad.yaml:1: ",
		"organizations: [{id: o3, name: acme}]": "acme",
	} {
		if _, err := s.serve(&document{name: "bad.yaml", data: []byte(name)}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, says)
		}
	}
}

// Two processes that start with different files at the same time both get their way where they do not contradict.
func TestTwoStartsAtOnce(t *testing.T) {
	s := newCatalogSite(t)
	type started struct {
		c   *liveCatalog
		err error
	}
	results := make(chan started, 2)
	for i := range 2 {
		text := sampleCatalog("5", fmt.Sprintf("plans: [{id: plan_%d}]\n", i))
		p := s.process("RECKONER_CATALOG_MIRROR_INTERVAL=0")
		t.Cleanup(func() { _ = p.End(nil) })
		go func() {
			client, err := p.kafka()
			if err != nil {
				results <- started{nil, err}
				return
			}
			c, err := p.catalog(context.Background(), client, nil, &document{name: "a.yaml", data: []byte(text)})
			results <- started{c, err}
		}()
	}
	for range 2 {
		if r := <-results; r.err != nil {
			t.Fatal(r.err)
		}
	}
	if got := s.get(CatalogGetOptions{Kind: "plans"}); strings.Count(got, "id: plan_") != 2 {
		t.Errorf("plans:\n%s", got)
	}
}
