package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"reckoner"
)

// builder indexes the entities of a draft and holds them against each other.
type builder struct {
	*decoder
	c *Catalog
	// nameless says of which lists an entity has no readable id: a reference that finds nothing may mean that one.
	nameless [lists]bool
}

// Parse reads a catalog from a YAML document, or from a JSON one if the name ends in .json. The name is for errors. The
// error joins every problem of the document, each a *Problem.
//
// A YAML document may have 16 MiB; its tree is held in memory. A JSON document is read entity by entity.
func Parse(name string, data []byte) (*Catalog, error) {
	d := newDecoder(name)
	if isJSON(name) {
		readJSON(data, d)
	} else {
		readYAML(data, d)
	}
	b := &builder{decoder: d, c: new(Catalog)}
	b.index()
	b.resolve()
	if b.err() == nil {
		b.check() // sound references only
	}
	if err := b.err(); err != nil {
		return nil, err
	}
	b.finish()
	return b.c, nil
}

func isJSON(name string) bool { return strings.HasSuffix(name, ".json") }

func (b *builder) index() {
	c := b.c
	c.organizations = indexed(b, organizationList, b.organizations, func(o *Organization) string { return o.ID })
	alsoByName(b, organizationList, c.organizations, b.organizations, func(o *Organization) string { return o.Name })
	c.projects = indexed(b, projectList, b.projects, func(p *Project) string { return p.ID })
	alsoByName(b, projectList, c.projects, b.projects, func(p *Project) string { return p.Name })
	c.accounts = indexed(b, accountList, b.accounts, func(a *Account) string { return a.ID })
	c.meters = indexed(b, meterList, b.meters, func(m *Meter) string { return m.Name })
	for _, m := range builtinMeters() {
		if _, ok := c.meters[m.Name]; !ok {
			c.meters[m.Name] = &m
		}
	}
	c.plans = indexed(b, planList, b.plans, func(p *Plan) string { return p.ID })
	c.subscriptions = indexed(b, subscriptionList, b.subscriptions, func(s *Subscription) string { return s.ID })
	indexed(b, installationList, b.installations, func(in *Installation) string { return in.ID })
	c.credentials = indexed(b, credentialList, b.credentials, func(cr *Credential) string { return cr.ID })
}

// indexed maps every entity by its key, which must be its own. Entities stay where they are, in one block of memory.
func indexed[T any](b *builder, at list, entities []T, key func(*T) string) map[string]*T {
	index := make(map[string]*T, len(entities))
	for i := range entities {
		e := &entities[i]
		k := key(e)
		if k == "" {
			b.nameless[at] = true
			continue
		}
		if other, taken := index[k]; taken {
			b.wrongAt(at, i, keyName(at), "%q is taken: the %s at line %d has it", clip(k), singular[at],
				lineOf(b, at, entities, other))
			continue
		}
		index[k] = e
	}
	return index
}

func (b *builder) line(at list, i int) int { return int(b.lines[at][i]) }

// lineOf returns the line of an entity, or 0 once nobody is going to read it.
func lineOf[T any](b *builder, at list, entities []T, e *T) int {
	for i := 0; i < len(entities) && b.more == 0; i++ {
		if &entities[i] == e {
			return b.line(at, i)
		}
	}
	return 0
}

// wrongAt records a fault of the i-th entity of a list.
func (b *builder) wrongAt(at list, i int, path, format string, args ...any) {
	if !b.full() {
		b.must(b.line(at, i), entityPath(at, i, path), fmt.Sprintf(format, args...))
	}
}

func keyName(at list) string {
	if at == meterList {
		return "name"
	}
	return "id"
}

// alsoByName adds names to an index by id. One name or id must never mean two entities, whichever organization they are
// of: a request that names a project names nothing else.
func alsoByName[T any](b *builder, at list, index map[string]*T, entities []T, name func(*T) string) {
	for i := range entities {
		e := &entities[i]
		k := reckoner.CanonicalID(name(e))
		if k == "" {
			continue
		}
		if other, taken := index[k]; taken && other != e {
			b.wrongAt(at, i, "name", "%q is the name or the id of another %s: both are looked up alike, so each must be its own",
				clip(k), singular[at])
			continue
		}
		index[k] = e
	}
}

// resolve looks every reference up.
func (b *builder) resolve() {
	for i := range b.refs {
		r := &b.refs[i]
		found, hint := b.lookup(r)
		if found || b.nameless[r.to] {
			continue
		}
		b.add(int(r.line), entityPath(r.from, int(r.index), r.path),
			fmt.Sprintf("no %s has %s %q%s", singular[r.to], keyName(r.to), clip(r.id), hint))
	}
	// Accounts are many: let all of an organization share one text of its id.
	for i := range b.accounts {
		if o, ok := b.c.organizations[b.accounts[i].OrganizationID]; ok {
			b.accounts[i].OrganizationID = o.ID
		}
	}
}

func (b *builder) lookup(r *ref) (found bool, hint string) {
	switch r.to {
	case organizationList:
		o, ok := b.c.organizations[r.id]
		if ok && o.ID != r.id {
			return false, fmt.Sprintf(": it is the name of %q", clip(o.ID))
		}
		return ok, ""
	case accountList:
		_, found = b.c.accounts[r.id]
	case meterList:
		_, found = b.c.meters[r.id]
	case planList:
		_, found = b.c.plans[r.id]
	case subscriptionList:
		_, found = b.c.subscriptions[r.id]
	case projectList, installationList, credentialList, lists:
		// Nothing refers to these.
	}
	return found, ""
}

// finish makes what is only right for a catalog without problems.
func (b *builder) finish() {
	c := b.c
	c.counts = Counts{
		Organizations: len(b.organizations), Projects: len(b.projects), Accounts: len(b.accounts),
		Meters: len(b.meters), Plans: len(b.plans), Subscriptions: len(b.subscriptions),
		Installations: len(b.installations), Credentials: len(b.credentials),
	}
	c.newest = make(map[string]*Account, len(b.organizations))
	for i := range b.accounts {
		a := &b.accounts[i]
		if a.State != Active {
			continue
		}
		if newest, ok := c.newest[a.OrganizationID]; !ok || newer(a, newest) {
			c.newest[a.OrganizationID] = a
		}
	}
	for _, m := range c.meters {
		if m.Match != nil {
			c.rules = append(c.rules, m)
		}
	}
	slices.SortFunc(c.rules, compareRules)
	c.credit, c.feature = c.meters[creditMeter].Meter, c.meters[featureMeter].Meter
	for i := range b.installations {
		c.installations = append(c.installations, &b.installations[i])
	}
	slices.SortFunc(c.installations, func(x, y *Installation) int { return cmp.Compare(x.ID, y.ID) })
}

func newer(a, than *Account) bool {
	return cmp.Or(a.CreatedAt.Compare(than.CreatedAt), cmp.Compare(a.ID, than.ID)) > 0
}
