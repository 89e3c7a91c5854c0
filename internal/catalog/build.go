package catalog

import (
	"fmt"
	"strings"
)

// builder indexes the entities of a draft and holds them against each other.
type builder struct {
	*decoder
	c *Catalog
	// nameless says of which kinds an entity has no readable id: a reference that finds nothing may mean that one.
	nameless [kinds]bool
}

// Parse reads a catalog from a YAML document, or from a JSON one if the name ends in .json. The name is for errors. The
// error joins every problem of the document, each a *Problem.
//
// A YAML document may have 16 MiB; its tree is held in memory. A JSON document is read entity by entity.
func Parse(name string, data []byte) (*Catalog, error) { return ParseOver(name, data, nil) }

// ParseOver is Parse for a document that changes the catalog present: a credential without secret_sha256 has that of the
// present one, as what `catalog get` prints.
func ParseOver(name string, data []byte, present *Catalog) (*Catalog, error) {
	d := newDecoder(name)
	d.present = present
	if isJSON(name) {
		readJSON(data, d)
	} else {
		readYAML(data, d)
	}
	b := &builder{decoder: d, c: &Catalog{tables: newTables(), source: name}}
	b.index()
	b.resolve()
	if b.err() == nil {
		b.link() // sound references only
	}
	if err := b.err(); err != nil {
		return nil, err
	}
	return b.c, nil
}

func isJSON(name string) bool { return strings.HasSuffix(name, ".json") }

// index takes every entity up. Each must have an id of its own among those of its kind.
func (b *builder) index() {
	for kind := range kinds {
		b.each(kind, func(i int, e Entity) { b.takeUp(kind, i, e) })
	}
	for kind := range b.c.names {
		b.each(Kind(kind), func(i int, e Entity) { b.takeName(Kind(kind), i, e) })
	}
}

// each hands the entities of a kind over in their order.
func (b *builder) each(kind Kind, each func(i int, e Entity)) {
	switch kind {
	case OrganizationKind:
		eachOf(b.organizations, each)
	case ProjectKind:
		eachOf(b.projects, each)
	case AccountKind:
		eachOf(b.accounts, each)
	case MeterKind:
		eachOf(b.meters, each)
	case PlanKind:
		eachOf(b.plans, each)
	case SubscriptionKind:
		eachOf(b.subscriptions, each)
	case InstallationKind:
		eachOf(b.installations, each)
	case CredentialKind:
		eachOf(b.credentials, each)
	case kinds:
	}
}

func eachOf[E Entity](entities []E, each func(i int, e Entity)) {
	for i, e := range entities {
		each(i, e)
	}
}

func (b *builder) takeUp(kind Kind, i int, e Entity) {
	key := e.Key()
	if key == "" {
		b.nameless[kind] = true
		return
	}
	if other := b.c.row(kind, key); other != nil {
		b.wrongAt(kind, i, kind.keyName(), "%q is taken: the %s at line %d has it", clip(key), kind, other.made)
		return
	}
	b.c.rows[kind].Set(key, &row{entity: e, made: uint64(b.line(kind, i))})
}

func (b *builder) takeName(kind Kind, i int, e Entity) {
	r := b.c.row(kind, e.Key())
	if r == nil || r.entity != e {
		return // a fault already
	}
	for _, f := range b.c.taken(e) {
		if f.Path == "name" { // of an id that is another's name, the name is the fault
			b.wrongAt(kind, i, f.Path, "%s", f.Message)
		}
	}
	if name := nameOf(e); name != "" && b.c.byName(kind, name) == nil {
		b.c.names[kind].Set(name, r)
	}
}

func (b *builder) line(at Kind, i int) int { return int(b.lines[at][i]) }

// wrongAt records a fault of the i-th entity of a list.
func (b *builder) wrongAt(at Kind, i int, path, format string, args ...any) {
	if !b.full() {
		b.must(b.line(at, i), entityPath(at, i, path), fmt.Sprintf(format, args...))
	}
}

// resolve looks every reference up.
func (b *builder) resolve() {
	for i := range b.refs {
		r := &b.refs[i]
		found, hint := b.c.find(r.to, r.id)
		if found || b.nameless[r.to] {
			continue
		}
		b.add(int(r.line), entityPath(r.from, int(r.index), r.path), noSuch(r.to, r.id, hint))
	}
}

// link makes the other indexes, and hands the entities to the checks.
func (b *builder) link() {
	for kind := range kinds {
		b.each(kind, func(_ int, e Entity) {
			b.c.intern(e)
			b.c.link(b.c.row(kind, e.Key()))
		})
	}
	b.each(AccountKind, func(i int, e Entity) { b.check(i, e, b.c.checkAccount(e.(*Account))) })
	b.each(SubscriptionKind, func(i int, e Entity) { b.check(i, e, b.c.checkSubscription(e.(*Subscription))) })
	b.each(InstallationKind, func(i int, e Entity) { b.check(i, e, b.c.checkInstallation(e.(*Installation))) })
}

func (b *builder) check(i int, e Entity, faults []Fault) {
	for _, f := range faults {
		b.wrongAt(e.Kind(), i, f.Path, "%s", f.Message)
	}
}
