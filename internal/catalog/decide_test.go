package catalog

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"reckoner"
)

const (
	org1 = "6f0d0000-0000-4000-8000-000000000001"
	acc1 = "9c1e0000-0000-4000-8000-000000000001"
	acc2 = "9c1e0000-0000-4000-8000-000000000002"
)

// ground is a catalog in which everything is in use by something.
const ground = `organizations: [{id: ` + org1 + `, name: acme}, {id: o2, name: other}]
projects: [{id: p1, name: site, organization: ` + org1 + `}]
accounts:
- {id: ` + acc1 + `, organization: ` + org1 + `, default_subscription: s1}
- {id: ` + acc2 + `, organization: ` + org1 + `}
meters: [{name: calls}, {name: disk, type: total}, {name: credit, unit: coins}, {name: free}]
plans: [{id: pro, prices: [{meter: calls}]}, {id: lite}]
subscriptions:
- {id: s1, account: ` + acc1 + `, plan: pro, meter: calls, limit: 5}
- {id: s2, account: ` + acc1 + `}
- {id: s3, account: ` + acc2 + `, meter: credit, limit: 5}
installations:
- {id: i1, account: ` + acc1 + `, resources: [{subscription: s2, resource_id: r}, {subscription: s1, resource_id: q}]}
- {id: i2, account: ` + acc2 + `}
credentials: [{id: c1, secret_sha256: ` + zeros + `, organizations: [o2]}]
`

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// grounded returns a log that leads to the ground.
func grounded(t *testing.T) *feeder {
	t.Helper()
	f := newFeeder()
	d, err := NewDiff(f.machine.Snapshot(), mustParse(t, "ground.yaml", ground), DiffOptions{By: "test"})
	if err != nil {
		t.Fatal(err)
	}
	f.follow(t, d)
	return f
}

// Every reason to ignore a change, from both ends of a reference.
func TestDecisions(t *testing.T) {
	for _, c := range []struct {
		name   string
		what   string // kind/key
		entity string // in JSON; empty: delete
		want   Result
		says   string // path: message
	}{
		{"new organization", "organization/o3", `{"name":"third"}`, Applied, ""},
		{"renamed to its own id", "organization/o2", `{"name":"o2"}`, Applied, ""},
		{"name taken", "organization/o2", `{"name":"acme"}`, NameTaken, `name: "acme" is the name or the id of another organization`},
		{"name that is an id", "organization/o2", `{"name":"` + strings.ToUpper(org1) + `"}`, NameTaken, `name: "` + org1 + `" is the name or the id`},
		{"id that is a name", "organization/acme", `{}`, NameTaken, `id: "acme" is the name or the id`},
		{"organization of accounts", "organization/" + org1, "", InUse, `in use by project "p1"`},
		{"organization of a credential", "organization/o2", "", InUse, `in use by credential "c1"`},
		{"project of nobody", "project/p2", `{"organization":"o9"}`, MissingReference, `organization: no organization has id "o9"`},
		{"project of a name", "project/p2", `{"organization":"acme"}`, MissingReference, `organization: no organization has id "acme": it is the name of "` + org1 + `"`},
		{"project's name taken", "project/p2", `{"organization":"o2","name":"site"}`, NameTaken, `name: "site"`},
		{"project", "project/p1", "", Applied, ""},
		{"account of nobody", "account/" + acc2, `{"organization":"o9"}`, MissingReference, `organization: no organization`},
		{"account's default unknown", "account/" + acc2, `{"organization":"o2","default_subscription":"s9"}`, MissingReference, `default_subscription: no subscription has id "s9"`},
		{"account's default of another", "account/" + acc2, `{"organization":"o2","default_subscription":"s2"}`, CheckFailed, `default_subscription: subscription "s2" is of account ` + acc1},
		{"account moves", "account/" + acc2, `{"organization":"o2","default_subscription":"s3"}`, Applied, ""},
		{"account of subscriptions", "account/" + acc1, "", InUse, `in use by subscription "s1"`},
		{"meter with a limit on it", "meter/calls", `{"type":"rate"}`, CheckFailed, `type: subscription "s1" has a limit on it`},
		{"built-in meter with a limit on it", "meter/credit", `{"type":"total"}`, CheckFailed, `type: subscription "s3" has a limit on it`},
		{"meter without", "meter/disk", `{"type":"rate"}`, Applied, ""},
		{"meter of a price", "meter/calls", "", InUse, `in use by plan "pro"`},
		{"built-in meter", "meter/credit", "", Applied, ""},
		{"meter of nobody", "meter/free", "", Applied, ""},
		{"plan with an unknown meter", "plan/lite", `{"prices":[{"meter":"calls"},{"meter":"none"}]}`, MissingReference, `prices[1].meter: no meter has name "none"`},
		{"plan in use", "plan/pro", "", InUse, `in use by subscription "s1"`},
		{"plan of nobody", "plan/lite", "", Applied, ""},
		{"subscription of nobody", "subscription/s4", `{"account":"` + uuid.Nil.String() + `"}`, MissingReference, `account: no account`},
		{"subscription's plan and meter", "subscription/s4", `{"account":"` + acc1 + `","plan":"x","meter":"y"}`, MissingReference, `plan: no plan has id "x"`},
		{"limit on a level", "subscription/s2", `{"account":"` + acc1 + `","meter":"disk","limit":1}`, CheckFailed, `limit: meter "disk" is of type total`},
		{"limit on nothing", "subscription/s2", `{"account":"` + acc1 + `","limit":1}`, CheckFailed, `limit: a limit bounds the subscription's meter`},
		{"default subscription moves", "subscription/s1", `{"account":"` + acc2 + `"}`, CheckFailed, `account: account "` + acc1 + `" has it as default_subscription`},
		{"resource's subscription moves", "subscription/s2", `{"account":"` + acc2 + `"}`, CheckFailed, `account: installation "i1" has it as a resource's`},
		{"another period beside a resource", "subscription/s1", `{"account":"` + acc1 + `","period":{"every":"week"}}`, CheckFailed, `period: installation "i1" reports subscription "s2" in another period`},
		{"another period beside all of an account", "subscription/s5", `{"account":"` + acc2 + `","period":{"every":"week"}}`, CheckFailed, `period: installation "i2" reports subscription "s3"`},
		{"another period beside resources of others", "subscription/s5", `{"account":"` + acc1 + `","period":{"every":"week"}}`, Applied, ""},
		{"default subscription", "subscription/s1", "", InUse, `in use by account "` + acc1 + `" as default_subscription`},
		{"resource's subscription", "subscription/s2", "", InUse, `in use by installation "i1" as a resource's`},
		{"subscription of nothing else", "subscription/s3", "", Applied, ""},
		{"installation of nobody", "installation/i3", `{"account":"` + uuid.Nil.String() + `"}`, MissingReference, `account: no account`},
		{"installation with an unknown resource", "installation/i1", `{"account":"` + acc1 + `","resources":[{"subscription":"s9","resource_id":"r"}]}`, MissingReference, `resources[0].subscription: no subscription`},
		{"installation with another's resource", "installation/i1", `{"account":"` + acc2 + `","resources":[{"subscription":"s1","resource_id":"r"}]}`, CheckFailed, `resources: subscription "s1" is of account ` + acc1},
		{"installation", "installation/i1", "", Applied, ""},
		{"credential for nobody", "credential/c2", `{"secret_sha256":"` + zeros + `","organizations":["*","o9"]}`, MissingReference, `organizations[1]: no organization`},
		{"credential", "credential/c1", "", Applied, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := grounded(t)
			ref, _ := parseRef(c.what)
			ch := Delete(ref.Kind, ref.Key, f.now(ref), "test")
			if c.entity != "" {
				e, faults := DecodeEntity(ref.Kind, ref.Key, []byte(c.entity), nil)
				if faults != nil {
					t.Fatal(faults)
				}
				ch = Put(e, f.now(ref), "test")
			}
			before := f.machine.Snapshot()
			judged := before.Judge(ch)
			d := f.feed(t, ch)
			if d.Result != c.want || d.Change != ch.ID || d.Ref != ref || len(judged) != len(d.Faults) {
				t.Fatalf("%v, want %v: %v", d.Result, c.want, d.Err())
			}
			after := f.machine.Snapshot()
			if c.want == Applied {
				if v := Version(len(f.records)); d.Version != v || after.LastChanged() != v || document(before) == document(after) {
					t.Fatalf("version %d, want %d", d.Version, v)
				}
				mustParse(t, "after.json", document(after))
				return
			}
			if len(d.Faults) == 0 || !strings.HasPrefix(d.Faults[0].Error(), c.says) {
				t.Errorf("%v\ndoes not say %q", d.Faults, c.says)
			}
			if document(before) != document(after) || after.LastChanged() != before.LastChanged() || after.Position() != before.Position()+1 {
				t.Error("a refused change changed something")
			}
		})
	}
}

func TestAllReasonsAreGivenAtOnce(t *testing.T) {
	f := grounded(t)
	s := &Subscription{ID: "s2", AccountID: acc2, Plan: "x", Meter: "y"}
	if faults := f.machine.Snapshot().Judge(Put(s, f.now(Ref{SubscriptionKind, "s2"}), "")); len(faults) != 2 {
		t.Errorf("%v", faults)
	}
	s = &Subscription{ID: "s1", AccountID: acc2, Meter: "disk", Limit: new(reckoner.Quantity), Cycle: reckoner.Cycle{Every: reckoner.Week}}
	if faults := f.machine.Snapshot().Judge(Put(s, f.now(Ref{SubscriptionKind, "s1"}), "")); len(faults) != 4 {
		t.Errorf("%v", faults)
	}
}

func TestExpectations(t *testing.T) {
	f := grounded(t)
	ref := Ref{PlanKind, "lite"}
	v := f.now(ref)
	plan := func(name string, expect Version) Change { return Put(&Plan{ID: "lite", Name: name}, expect, "test") }
	for _, c := range []struct {
		ch   Change
		want Result
		says string
	}{
		{plan("a", 0), Stale, fmt.Sprintf(`there is a plan "lite" already, of version %d`, v)},
		{plan("a", v+1), Stale, fmt.Sprintf(`plan "lite" is of version %d; version %d was expected`, v, v+1)},
		{plan("a", v), Applied, ""},
		{plan("b", v), Stale, "was expected"},
		{Delete(PlanKind, "lite", v, "test"), Stale, "was expected"},
		{Delete(PlanKind, "lite", Version(len(f.records))+3, "test"), Applied, ""},
		{plan("c", v), Stale, `there is no plan "lite"`},
		{Delete(PlanKind, "lite", v, "test"), Stale, `there is no plan "lite"`},
		{plan("d", 0), Applied, ""}, // made anew, it is of no version that it was before
		{plan("e", v), Stale, "was expected"},
	} {
		d := f.feed(t, c.ch)
		if d.Result != c.want || c.want != Applied && !strings.Contains(d.Err().Error(), c.says) {
			t.Fatalf("%+v: %v %v, want %v %q", c.ch, d.Result, d.Err(), c.want, c.says)
		}
	}
	if faults := f.machine.Snapshot().Judge(Delete(PlanKind, "none", 0, "")); len(faults) != 1 || faults[0].Result != Stale {
		t.Errorf("%v", faults)
	}
}

// What is no change is ignored, and its writer could be anybody: nothing in it counts.
func TestUndecodableRecords(t *testing.T) {
	const id = `"change":"6a0e0000-0000-4000-8000-000000000001"`
	good := `{"rules":1,` + id + `,"kind":"plan","id":"p","expect":0,"by":"x","entity":{"id":"p"}}`
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, c := range []struct {
		key, value string
		want       Result
		says       string
	}{
		{"plan/p", good, Applied, ""},
		{"plan/p", "", Undecodable, "not JSON"},
		{"plan/p", "{", Undecodable, "not JSON"},
		{"plan/p", good + "{}", Undecodable, "something follows"},
		{"plan/p", "[]", Undecodable, "is a list"},
		{"plan/p", "{}", Undecodable, "names no rules"},
		{"plan/p", with(`"rules":1`, `"rules":0`), Undecodable, "names no rules"},
		{"plan/p", with(`"rules":1`, `"rules":1.0`), Undecodable, "names no rules"},
		{"plan/p", with(`"rules":1`, `"rules":"1"`), Undecodable, "names no rules"},
		{"plan/p", with(`"by"`, `"bye"`), Undecodable, `unknown key "bye"`},
		{"plan/p", with(`"by":"x"`, `"expect":1`), Undecodable, "duplicate"},
		{"plan/p", with(id, `"change":"6A0E0000-0000-4000-8000-000000000001"`), Undecodable, `bad value for "change"`},
		{"plan/p", with(id+",", ""), Undecodable, `has no "change"`},
		{"plan/p", with(`"kind":"plan"`, `"kind":"plans"`), Undecodable, `bad value for "kind"`},
		{"plan/p", with(`"expect":0`, `"expect":-1`), Undecodable, `bad value for "expect"`},
		{"plan/p", with(`"expect":0`, `"expect":18446744073709551616`), Undecodable, `bad value for "expect"`},
		{"plan/p", with(`"expect":0,`, ""), Undecodable, `has no "expect"`},
		{"plan/p", with(`"by":"x"`, `"by":"`+strings.Repeat("x", 256)+`"`), Undecodable, `bad value for "by"`},
		{"plan/q", good, Undecodable, `has the key "plan/q"`},
		{"", good, Undecodable, `has the key ""`},
		{"plan/p", with(`,"entity":{"id":"p"}`, ""), Undecodable, "deletes what it expects not to be there"},
		{"plan/p", with(`{"id":"p"}`, "null"), Unfit, "want an object"},
		{"plan/p", with(`{"id":"p"}`, `{"id":"q"}`), Unfit, `"q" is not the id`},
		{"plan/p", with(`{"id":"p"}`, `{"id":"p","nam":"x"}`), Unfit, `unknown key "nam": did you mean "name"?`},
		{"plan/", strings.ReplaceAll(good, `"id":"p"`, `"id":""`), Unfit, "id: is empty"},
		{"account/" + strings.ToUpper(acc1), strings.ReplaceAll(with("plan", "account"), `"id":"p"`, `"id":"`+strings.ToUpper(acc1)+`"`), Undecodable, "lower case"},
		{"account/x", strings.ReplaceAll(with("plan", "account"), `"id":"p"`, `"id":"x"`), Unfit, `"x" is not a UUID`},
	} {
		f := newFeeder()
		d := f.raw(t, []byte(c.key), []byte(c.value))
		if d.Result != c.want || c.want != Applied && !strings.Contains(d.Err().Error(), c.says) {
			t.Errorf("%s\n%s: %v %v, want %v %q", c.key, c.value, d.Result, d.Err(), c.want, c.says)
		}
		if (d.Change == "") != (d.Result == Undecodable) {
			t.Errorf("%s: change %q", c.value, d.Change)
		}
		if d.Result != Applied && f.machine.history.Len() > 0 {
			t.Errorf("%s: took effect", c.value)
		}
	}
}

// A program that does not know the rules of a change cannot know what the others make of it.
func TestNewerRulesStopTheReader(t *testing.T) {
	f := grounded(t)
	digest, next := f.machine.Digest(), f.machine.Next()
	_, err := f.machine.Apply(Record{Offset: next, Value: fmt.Appendf(nil, `{"rules":%d,"whatever":{}}`, Rules+1)})
	newer, ok := errors.AsType[*RulesError](err)
	if !ok || newer.Offset != next || newer.Rules != Rules+1 || !strings.Contains(err.Error(), "upgrade") {
		t.Errorf("%v", err)
	}
	if f.machine.Digest() != digest || f.machine.Next() != next {
		t.Error("it went on")
	}
}

func TestGapsStopTheReader(t *testing.T) {
	f := grounded(t)
	for _, offset := range []int64{f.machine.Next() + 1, f.machine.Next() - 1} {
		if _, err := f.machine.Apply(Record{Offset: offset, Value: []byte(`{"rules":1}`)}); err == nil || !strings.Contains(err.Error(), "compacted") {
			t.Errorf("offset %d: %v", offset, err)
		}
	}
	if _, err := NewMachine().Apply(Record{Offset: 7}); err == nil {
		t.Error("a log that begins late is taken")
	}
}

// A copy is known for as long as it can come, and its writer's change takes place once.
func TestCopies(t *testing.T) {
	f := grounded(t)
	ref := Ref{PlanKind, "lite"}
	ch := Put(&Plan{ID: "lite", Name: "new"}, f.now(ref), "test")
	first := f.feed(t, ch)
	if d := f.feed(t, ch); d.Result != Copy || d.Change != ch.ID || d.Err() == nil {
		t.Errorf("%+v", d)
	}
	refused := Put(&Plan{ID: "lite", Name: "newer"}, 1, "test")
	for _, want := range []Result{Stale, Copy, Copy} {
		if d := f.feed(t, refused); d.Result != want {
			t.Errorf("%v, want %v", d.Result, want)
		}
	}
	junk := func(n int64) {
		for range n {
			if _, err := f.machine.Apply(Record{Offset: f.machine.Next()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.records = nil
	again := func() Result {
		key, value, err := ch.Encode()
		if err != nil {
			t.Fatal(err)
		}
		d, err := f.machine.Apply(Record{Offset: f.machine.Next(), Key: key, Value: value})
		if err != nil {
			t.Fatal(err)
		}
		return d.Result
	}
	seen := int64(first.Version) // the copy after it, at that offset, was the last one
	junk(seen + recentRecords - f.machine.Next())
	if got := again(); got != Copy {
		t.Errorf("%d records later: %v", recentRecords, got)
	}
	junk(recentRecords)
	if got := again(); got != Stale {
		t.Errorf("%d records later: %v", recentRecords+1, got)
	}
	if n := len(f.machine.recent.last); n > 1 || len(f.machine.recent.ids) != recentRecords {
		t.Errorf("%d changes are remembered in %d places", n, len(f.machine.recent.ids))
	}
}

func TestTooLargeAChange(t *testing.T) {
	p := &Plan{ID: "p", Name: "p"}
	for i := range maxElements {
		p.Discounts = append(p.Discounts, Discount{Name: fmt.Sprintf("%0100d", i)})
	}
	ch := Put(p, 0, "")
	if _, _, err := ch.Encode(); err == nil || !strings.Contains(err.Error(), "make it smaller") {
		t.Error(err)
	}
	if _, err := NewDiff(NewMachine().Snapshot(), mustParse(t, "big.json", `{"plans":[`+string(appendEntity(nil, p, true))+`]}`), DiffOptions{}); err == nil || !strings.Contains(err.Error(), "big.json:1: plan/p: has ") {
		t.Error(err)
	}
}

// The page that describes the topic shows a record that is one, and every result.
func TestTheDocumentedRecord(t *testing.T) {
	page, err := os.ReadFile("../../docs/catalog.md")
	if err != nil {
		t.Fatal(err)
	}
	_, record, _ := strings.Cut(string(page), "\n{\"rules\"")
	record, _, _ = strings.Cut("{\"rules\""+record, "\n")
	ch, faults, err := decodeChange([]byte("plan/pro"), []byte(record))
	if err != nil || faults != nil || ch.Expect != 41 || ch.Entity.(*Plan).Name != "Pro" {
		t.Errorf("%s: %+v %v %v", record, ch, faults, err)
	}
	for _, r := range Results() {
		if !strings.Contains(string(page), "| `"+r.String()+"` |") {
			t.Errorf("the result %s is not described", r)
		}
	}
}
