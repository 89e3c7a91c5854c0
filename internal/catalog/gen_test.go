package catalog

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"reckoner"
)

// The entities that tests draw have few ids, so that they meet.

func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return all
}

var keysOf = [kinds][]string{
	OrganizationKind: {"o1", "o2", "6f0d0000-0000-4000-8000-00000000000a"},
	ProjectKind:      ids("p", 3),
	AccountKind:      {"9c1e0000-0000-4000-8000-000000000001", "9c1e0000-0000-4000-8000-000000000002", "9c1e0000-0000-4000-8000-000000000003"},
	MeterKind:        {"calls", "disk", "credit", "feature", "Größe #1"},
	PlanKind:         ids("pl", 2),
	SubscriptionKind: ids("s", 5),
	InstallationKind: ids("i", 2),
	CredentialKind:   {"c1", "c2/x"},
}

func one[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

// some draws a part of the keys of a kind.
func some(t *rapid.T, label string, of []string) []string {
	var all []string
	for _, k := range of {
		if rapid.Bool().Draw(t, label) {
			all = append(all, k)
		}
	}
	return all
}

func maybe(t *rapid.T, label string, of []string) string {
	return one(t, label, append([]string{"", ""}, of...)...)
}

func anyTime(t *rapid.T, label string) time.Time {
	return one(t, label, time.Time{}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC), time.Date(2026, 5, 1, 12, 30, 0, 123456789, time.UTC))
}

// anyText is a text that an entity can hold and that a language may trip over.
func anyText(t *rapid.T, label string) string {
	return one(t, label, "plain", "1000.5", "true", "null", "~", "yes", "<<", "=", "*", "a: b", "# no", "0x10", "2026-01-01T00:00:00Z",
		"line\u2028break", "\ufeffmark", "😀 é", `quo"te\`, "'", " lead", "trail ", "-", "? x", "&a", "!t", "[x]", "{y}", "00:00", "\u00a0", "%d")
}

// anyEntity draws an entity that is one in itself; whatever it refers to need not be there.
func anyEntity(t *rapid.T, kind Kind) Entity {
	key := one(t, "key", keysOf[kind]...)
	var e Entity
	switch kind {
	case OrganizationKind:
		e = &Organization{ID: key, Name: maybe(t, "name", append([]string{"n1", "n2"}, keysOf[kind]...))}
	case ProjectKind:
		e = &Project{ID: key, Name: maybe(t, "name", append([]string{"n1", "n2"}, keysOf[kind]...)), OrganizationID: one(t, "org", keysOf[OrganizationKind]...)}
	case AccountKind:
		e = &Account{ID: key, OrganizationID: one(t, "org", keysOf[OrganizationKind]...), State: one(t, "state", Active, Active, Pending, Disabled),
			CreatedAt: anyTime(t, "created"), DefaultSubscription: maybe(t, "default", keysOf[SubscriptionKind])}
	case MeterKind:
		e = anyMeter(t, key)
	case PlanKind:
		e = anyPlan(t, key)
	case SubscriptionKind:
		s := &Subscription{ID: key, AccountID: one(t, "account", keysOf[AccountKind]...), Plan: maybe(t, "plan", keysOf[PlanKind]),
			Meter: maybe(t, "meter", keysOf[MeterKind]), Cycle: reckoner.Cycle{Anchor: anyTime(t, "anchor"), Every: one(t, "every", reckoner.Month, reckoner.Month, reckoner.Week)}}
		if s.Meter != "" && rapid.Bool().Draw(t, "limited") {
			q := reckoner.Thousandths(rapid.Int64Range(0, 1<<62).Draw(t, "limit"))
			s.Limit = &q
		}
		e = s
	case InstallationKind:
		in := &Installation{ID: key, Target: "vercel", AccountID: one(t, "account", keysOf[AccountKind]...),
			DayEndsAt: time.Duration(rapid.IntRange(0, 95).Draw(t, "day")) * 15 * time.Minute}
		if rapid.Bool().Draw(t, "url") {
			in.BaseURL, in.TokenEnv = "https://example.com/p", "TOKEN"
		}
		if rapid.Bool().Draw(t, "aws") {
			in.Target, in.TokenEnv, in.DayEndsAt, in.AWS = TargetAWSMarketplace, "", 0, anyMarketplace(t)
		}
		for _, id := range some(t, "resource", keysOf[SubscriptionKind]) {
			in.Resources = append(in.Resources, Resource{SubscriptionID: id, ResourceID: anyText(t, "resource id"), To: anyTime(t, "to")})
		}
		e = in
	default:
		cr := &Credential{ID: key, Organizations: some(t, "org", append([]string{"*"}, keysOf[OrganizationKind]...))}
		for _, s := range Scopes() {
			if rapid.Bool().Draw(t, "scope") {
				cr.Scopes = append(cr.Scopes, s)
			}
		}
		copy(cr.SecretHash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		e = cr
	}
	return e
}

func anyMarketplace(t *rapid.T) *Marketplace {
	m := &Marketplace{Region: one(t, "region", "us-east-1", "cn-northwest-1"), From: time.Date(2026, 1, 1, 5, 0, 0, 0, time.UTC)}
	if rapid.Bool().Draw(t, "license") {
		m.LicenseARN = "arn:aws:license-manager::294406891311:license:l-1"
	} else {
		m.ProductCode = anyText(t, "product")
	}
	if m.LicenseARN != "" || rapid.Bool().Draw(t, "number") {
		m.CustomerAccountID = "012345678901"
	} else {
		m.CustomerIdentifier = anyText(t, "customer")
	}
	for _, name := range append([]string{"d0"}, some(t, "dimension", []string{"d1", "0x1", "true"})...) {
		m.Dimensions = append(m.Dimensions, Dimension{Meter: one(t, "dimension's meter", keysOf[MeterKind]...), Dimension: name,
			Unit: reckoner.Thousandths(rapid.Int64Range(1, 1<<62).Draw(t, "unit")), From: one(t, "from", time.Time{}, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))})
	}
	return m
}

func anyMeter(t *rapid.T, key string) *Meter {
	m := &Meter{Meter: reckoner.Meter{Name: key, Unit: anyText(t, "unit"), Type: one(t, "type", reckoner.Interval, reckoner.Interval, reckoner.Total, reckoner.Rate)}}
	if rapid.Bool().Draw(t, "matched") {
		m.Priority = rapid.IntRange(-2, 2).Draw(t, "priority")
		m.Match = &Match{Type: one(t, "match type", "", "credit", "feature"), Source: maybe(t, "source", []string{"api", "store"})}
		for _, k := range some(t, "label", []string{"", "<<", "a.b", "k", "key with: colon"}) {
			l := reckoner.Label{Key: k, Value: anyText(t, "value")}
			if rapid.Bool().Draw(t, "json") {
				l.Value, l.JSON = one(t, "raw", "5", "5.0", "-1e5", "true", "false", "1E+2"), true
			}
			m.Match.Metadata = append(m.Match.Metadata, l)
		}
	}
	return m
}

func anyPlan(t *rapid.T, key string) *Plan {
	p := &Plan{ID: key, Name: anyText(t, "plan name")}
	amount := func() decimal.Decimal {
		s := one(t, "amount", "", "0.00", "5", "5.00", "0.002", "12345678901234567890.123456789012345678")
		if s == "" {
			return decimal.Decimal{}
		}
		return decimal.RequireFromString(s)
	}
	for _, meter := range some(t, "price", keysOf[MeterKind]) {
		p.Prices = append(p.Prices, Price{Meter: meter, UnitPrice: amount(), Included: reckoner.Thousandths(rapid.Int64Range(0, 5000).Draw(t, "included"))})
	}
	for _, name := range some(t, "discount", []string{"launch", "1"}) {
		p.Discounts = append(p.Discounts, Discount{Name: name, Amount: amount()})
	}
	return p
}

func anyKind(t *rapid.T) Kind {
	return one(t, "kind", OrganizationKind, ProjectKind, AccountKind, AccountKind, MeterKind, PlanKind, SubscriptionKind, SubscriptionKind,
		SubscriptionKind, InstallationKind, CredentialKind)
}

// feeder writes changes as records of a log.
type feeder struct {
	records []Record
	machine *Machine
}

func newFeeder() *feeder { return &feeder{machine: NewMachine()} }

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// feed appends a change to the log and applies it.
func (f *feeder) feed(t failer, ch Change) Decision {
	t.Helper()
	if ch.ID == "" {
		ch.ID = uuid.NewString()
	}
	key, value, err := ch.Encode()
	if err != nil {
		t.Fatalf("encode %v: %v", ch.Ref(), err)
	}
	return f.raw(t, key, value)
}

func (f *feeder) raw(t failer, key, value []byte) Decision {
	t.Helper()
	r := Record{Offset: int64(len(f.records)), Key: key, Value: value, Time: time.UnixMilli(1_800_000_000_000 + int64(len(f.records)))}
	f.records = append(f.records, r)
	d, err := f.machine.Apply(r)
	if err != nil {
		t.Fatalf("record %d: %v", r.Offset, err)
	}
	return d
}

// now returns the version of an entity.
func (f *feeder) now(ref Ref) Version {
	if r := f.machine.row(ref.Kind, ref.Key); r != nil {
		return Version(r.made)
	}
	return 0
}

// anyState draws a log that leads to a catalog with much in it: in each kind's turn entities that go together with what
// is there.
func anyState(t *rapid.T) *feeder {
	f := newFeeder()
	for range rapid.IntRange(1, 3).Draw(t, "rounds") {
		for _, kind := range editOrder() {
			for range rapid.IntRange(0, 5).Draw(t, "entities") {
				e := anyEntity(t, kind)
				f.feed(t, Change{Kind: kind, Key: e.Key(), Expect: f.now(Ref{kind, e.Key()}), Entity: e})
			}
		}
	}
	return f
}

// document writes a catalog as text, hashes included.
func document(c *Catalog) string {
	var b bytes.Buffer
	if err := ExportJSON(&b, c, ExportOptions{Secrets: true}); err != nil {
		panic(err)
	}
	return b.String()
}

func mustParse(t failer, name, text string) *Catalog {
	t.Helper()
	c, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, strings.TrimSpace(text))
	}
	return c
}
