package catalog

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"reckoner"
)

// model is the catalog as maps. It knows no rule of its own: a change takes place if the entity is of the version that it
// expects, and Parse takes the document that it leads to.
type model struct {
	entities map[Ref]Entity
	versions map[Ref]Version
	deleted  map[Ref]Version
}

func (m *model) text() string {
	var b strings.Builder
	b.WriteString("{")
	for i, kind := range Kinds() {
		fmt.Fprintf(&b, "%s%q: [", map[bool]string{true: ","}[i > 0], kind.Plural())
		n := 0
		for _, ref := range slices.SortedFunc(maps.Keys(m.entities), func(a, b Ref) int { return strings.Compare(a.Key, b.Key) }) {
			if ref.Kind == kind {
				fmt.Fprintf(&b, "%s%s", map[bool]string{true: ","}[n > 0], appendEntity(nil, m.entities[ref], true))
				n++
			}
		}
		b.WriteString("]\n")
	}
	return b.String() + "}"
}

// change carries a change out, and reports whether it takes place.
func (m *model) change(ch Change, v Version) bool {
	ref := ch.Ref()
	if m.versions[ref] != ch.Expect {
		return false
	}
	before, there := m.entities[ref]
	if ch.Entity != nil {
		m.entities[ref] = ch.Entity
	} else {
		delete(m.entities, ref)
	}
	if _, err := Parse("model.json", []byte(m.text())); err != nil {
		delete(m.entities, ref)
		if there {
			m.entities[ref] = before
		}
		return false
	}
	delete(m.deleted, ref)
	m.versions[ref] = v
	if ch.Entity == nil {
		delete(m.versions, ref)
		m.deleted[ref] = v
	}
	return true
}

// Changes that come one by one reach what the model reaches, and refuse what it refuses. So a catalog of accepted changes
// is *always* a document that Parse takes, and the other way round.
func TestChangesAgreeWithWholeDocuments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyState(t)
		m := &model{map[Ref]Entity{}, map[Ref]Version{}, map[Ref]Version{}}
		for _, r := range f.records {
			ch, _, err := decodeChange(r.Key, r.Value)
			if err != nil {
				t.Fatal(err)
			}
			m.change(ch, Version(r.Offset)+1)
		}
		m.compare(t, f.machine.Snapshot())
		for range rapid.IntRange(0, 30).Draw(t, "changes") {
			m.step(t, f)
		}
		m.compare(t, f.machine.Snapshot())
	})
}

// step makes one change, right or wrong, and compares what becomes of it.
func (m *model) step(t *rapid.T, f *feeder) {
	if len(f.records) > 0 && rapid.IntRange(0, 9).Draw(t, "copy") == 0 {
		again := f.records[rapid.IntRange(0, len(f.records)-1).Draw(t, "which")]
		if d := f.raw(t, again.Key, again.Value); d.Result != Copy {
			t.Fatalf("a copy is %v", d)
		}
		return
	}
	kind := anyKind(t)
	ch := Change{ID: uuid.NewString(), Kind: kind}
	if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
		ch.Key = one(t, "key", keysOf[kind]...)
	} else {
		ch.Entity = anyEntity(t, kind)
		ch.Key = ch.Entity.Key()
	}
	ch.Expect = m.versions[ch.Ref()]
	if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
		ch.Expect += Version(rapid.IntRange(1, 3).Draw(t, "by"))
	}
	if ch.Entity == nil && ch.Expect == 0 {
		return // no change at all: see the table of decisions
	}
	wants := len(f.machine.Snapshot().Judge(ch)) == 0
	v := Version(len(f.records)) + 1
	want := m.change(ch, v)
	d := f.feed(t, ch)
	if got := d.Result == Applied; got != want || got != wants || got && d.Version != v || got != (d.Err() == nil) {
		t.Fatalf("%+v is %v (%v), the model says %v, Judge %v\n%s", ch, d.Result, d.Err(), want, wants, m.text())
	}
}

// compare holds a snapshot against the document and the versions of the model.
func (m *model) compare(t *rapid.T, c *Catalog) {
	want := mustParse(t, "model.json", m.text())
	if got := document(c); got != document(want) {
		t.Fatalf("got\n%s\nwant\n%s", got, document(want))
	}
	for ref := range m.entities {
		if e, v, ok := c.Entity(ref.Kind, ref.Key); !ok || v != m.versions[ref] || !Same(e, m.entities[ref]) {
			t.Fatalf("%v: %v %v %v", ref, e, v, ok)
		}
	}
	sameLookups(t, c, want)
	since := Version(rapid.IntRange(0, int(c.Position())).Draw(t, "since"))
	left := map[Ref]Version{}
	for _, versions := range []map[Ref]Version{m.versions, m.deleted} {
		for ref, v := range versions {
			if v > since {
				left[ref] = v
			}
		}
	}
	last := since
	for ch := range c.Changed(since) {
		_, gone := m.deleted[ch.Ref]
		if ch.Version <= last || left[ch.Ref] != ch.Version || gone != (ch.Entity == nil) || ch.At.UnixMilli() != 1_800_000_000_000+int64(ch.Version)-1 {
			t.Fatalf("%+v after %d; want %d", ch, last, left[ch.Ref])
		}
		last = ch.Version
		delete(left, ch.Ref)
	}
	if len(left) > 0 || len(m.versions)+len(m.deleted) > 0 && since == 0 && last != c.LastChanged() {
		t.Fatalf("not told: %v; last %d of %d", left, last, c.LastChanged())
	}
}

// sameLookups asks two catalogs everything that requests ask.
func sameLookups(t *rapid.T, a, b *Catalog) {
	ask := func(c *Catalog) string {
		var out strings.Builder
		for _, key := range slices.Concat(keysOf[OrganizationKind], keysOf[ProjectKind], []string{"n1", "n2"}) {
			org, _ := c.Organization(key)
			project, _ := c.Project(key)
			newest, _ := c.NewestActiveAccount(key)
			fmt.Fprintln(&out, key, org, project, newest)
		}
		for _, typ := range []string{"", "credit", "feature"} {
			for _, source := range []string{"", "api", "store"} {
				fmt.Fprintln(&out, c.MatchMeter(typ, source, []reckoner.Label{{Key: "k", Value: "plain"}, {Key: "a.b", Value: "5", JSON: true}}))
			}
		}
		for _, name := range keysOf[MeterKind] {
			m, ok := c.Meter(name)
			fmt.Fprintln(&out, m, ok)
		}
		return out.String()
	}
	if x, y := ask(a), ask(b); x != y {
		t.Fatalf("%s\n%s", x, y)
	}
}

// Encoding and decoding give the same entity back, in JSON, in a record, and in both languages of a document.
func TestEntitiesSurviveEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEntity(t, anyKind(t))
		text := appendEntity(nil, e, true)
		back, faults := DecodeEntity(e.Kind(), e.Key(), text, nil)
		if len(faults) > 0 || !Same(back, e) || fmt.Sprintf("%+v", plainly(back)) != fmt.Sprintf("%+v", plainly(e)) {
			t.Fatalf("%s\n%+v\n%+v\n%v", text, e, back, faults)
		}
		ch := Put(e, Version(rapid.Uint64Range(0, 1<<62).Draw(t, "expect")), anyText(t, "by"))
		key, value, err := ch.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, faults, err := decodeChange(key, value)
		if err != nil || len(faults) > 0 || !Same(got.Entity, e) {
			t.Fatalf("%s: %v %v", value, err, faults)
		}
		if got.Entity = ch.Entity; got != ch {
			t.Fatalf("%+v\n%+v", got, ch)
		}
		if ref, ok := parseRef(string(key)); !ok || ref != ch.Ref() {
			t.Fatalf("%s: %v", key, ref)
		}
		public := JSON(e)
		if cr, ok := e.(*Credential); ok && (bytes.Contains(public, []byte("secret")) || bytes.Contains(public, fmt.Appendf(nil, "%x", cr.SecretHash))) {
			t.Fatalf("%s shows the hash", public)
		}
		if kept, faults := DecodeEntity(e.Kind(), e.Key(), public, e); len(faults) > 0 || !Same(kept, e) {
			t.Fatalf("%s: %v", public, faults)
		}
	})
}

// plainly shows an entity with what its pointers point to, and decimals by their text.
func plainly(e Entity) any {
	switch e := e.(type) {
	case *Subscription:
		s := *e
		s.Limit = nil
		return fmt.Sprintf("%+v %v", s, e.Limit)
	case *Installation:
		in := *e
		in.AWS = nil
		return fmt.Sprintf("%+v %+v", in, e.AWS)
	case *Meter:
		return fmt.Sprintf("%+v %d %+v", e.Meter, e.Priority, e.Match)
	case *Plan:
		var b strings.Builder
		for _, p := range e.Prices {
			fmt.Fprintln(&b, p.Meter, p.UnitPrice, p.UnitPrice.Exponent(), p.Included)
		}
		for _, d := range e.Discounts {
			fmt.Fprintln(&b, d.Name, d.Amount, d.Amount.Exponent())
		}
		return e.ID + e.Name + b.String()
	default:
		return e
	}
}

func TestDocumentsSurviveExport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyState(t).machine.Snapshot()
		want := document(c)
		var yaml, open bytes.Buffer
		if err := ExportYAML(&yaml, c, ExportOptions{Secrets: true}); err != nil {
			t.Fatal(err)
		}
		if got := document(mustParse(t, "c.yaml", yaml.String())); got != want {
			t.Fatalf("%s\ngot\n%s\nwant\n%s", yaml.String(), got, want)
		}
		if got := document(mustParse(t, "c.json", want)); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		if err := ExportYAML(&open, c, ExportOptions{}); err != nil || strings.Contains(open.String(), "secret") {
			t.Fatalf("%v\n%s", err, open.String())
		}
		over, err := ParseOver("c.yaml", open.Bytes(), c)
		if err != nil || document(over) != want {
			t.Fatalf("%v\n%s", err, open.String())
		}
		if d, err := NewDiff(c, over, DiffOptions{Prune: true}); err != nil || !d.Empty() || d.Created+d.Changed+d.Deleted > 0 {
			t.Fatalf("%v %+v", err, d)
		}
	})
}

// A diff leads from any catalog to any document, and no step of it is refused.
func TestADiffArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, want := anyState(t), anyState(t).machine.Snapshot()
		if rapid.Bool().Draw(t, "from nothing") {
			f = newFeeder()
		}
		before := f.machine.Snapshot()
		text := document(before)
		d, err := NewDiff(before, mustParse(t, "want.json", document(want)), DiffOptions{Prune: true, By: "test", moves: true})
		if err != nil {
			t.Fatalf("%v\nfrom\n%s\nto\n%s", err, text, document(want))
		}
		f.follow(t, d)
		if got := document(f.machine.Snapshot()); got != document(want) {
			t.Fatalf("got\n%s\nwant\n%s", got, document(want))
		}
		if document(before) != text {
			t.Fatal("the diff changed the catalog that it began with")
		}
		if lines := slices.Collect(d.Lines()); len(lines) != d.Created+d.Changed+d.Deleted {
			t.Fatalf("%d lines of %+v", len(lines), d)
		}
	})
}

// follow goes the steps of a diff.
func (f *feeder) follow(t failer, d *Diff) {
	made := map[int]Version{}
	for i := range d.Len() {
		ch, follows := d.Step(i)
		if follows >= 0 {
			if !d.Followed(follows) {
				t.Fatalf("step %d is followed by %d and does not know", follows, i)
			}
			ch.Expect = made[follows]
		}
		decision := f.feed(t, ch)
		if decision.Result != Applied {
			t.Fatalf("step %d of %d: %v", i, d.Len(), decision.Err())
		}
		made[i] = decision.Version
	}
}

// Without pruning a diff either arrives at a catalog that has all of the document and all that was there before, or says
// what stands in the way and names the file.
func TestADiffKeepsWhatIsNotListed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, want := anyState(t), anyState(t).machine.Snapshot()
		before := f.machine.Snapshot()
		d, err := NewDiff(before, mustParse(t, "want.json", document(want)), DiffOptions{moves: true})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "want.json") {
				t.Fatal(err)
			}
			return
		}
		f.follow(t, d)
		after := f.machine.Snapshot()
		mustParse(t, "after.json", document(after))
		for _, kind := range Kinds() {
			for e := range want.Entities(kind, "") {
				if is, _, ok := after.Entity(kind, e.Key()); !ok || !Same(is, e) {
					t.Fatalf("%v: %v", e, is)
				}
			}
			for e := range before.Entities(kind, "") {
				_, _, listed := want.Entity(kind, e.Key())
				if is, _, ok := after.Entity(kind, e.Key()); !listed && (!ok || !Same(is, e)) {
					t.Fatalf("%v: %v", e, is)
				}
			}
		}
	})
}
