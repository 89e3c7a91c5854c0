package catalog

import (
	"cmp"

	"github.com/tidwall/btree"

	"reckoner"
)

// row is an entity and where it came from. It *never* changes once it is in a catalog.
type row struct {
	entity Entity
	made   uint64 // the Version that made it; in a catalog that was read from a document, the line
	at     int64  // when it was made, in milliseconds since 1970; 0: not known
}

// tombstone is what is left of an entity that was deleted.
type tombstone struct {
	kind Kind
	key  string
}

func (t *tombstone) Kind() Kind  { return t.kind }
func (t *tombstone) Key() string { return t.key }

// order is an ordered set of the rows of one kind, by what they refer to.
type order uint8

const (
	projectsOf      order = iota // by organization
	accountsOf                   // by organization, the newest active account last
	subscriptionsOf              // by account
	subscriptionsOn              // by plan
	subscriptionsBy              // by meter, those with a limit first
	installationsOf              // by account
	orders                       // how many
)

// ordersOf are the sets that the rows of a kind are in.
var ordersOf = [kinds][]order{
	ProjectKind:      {projectsOf},
	AccountKind:      {accountsOf},
	SubscriptionKind: {subscriptionsOf, subscriptionsOn, subscriptionsBy},
	InstallationKind: {installationsOf},
}

// refers returns what an entity of the set refers to; empty: nothing, and it is not in the set.
func (o order) refers(e Entity) string {
	switch o {
	case projectsOf:
		return e.(*Project).OrganizationID
	case accountsOf:
		return e.(*Account).OrganizationID
	case subscriptionsOf:
		return e.(*Subscription).AccountID
	case subscriptionsOn:
		return e.(*Subscription).Plan
	case subscriptionsBy:
		return e.(*Subscription).Meter
	case installationsOf:
		return e.(*Installation).AccountID
	default:
		return ""
	}
}

// probe returns the entity that is before all others that refer to id.
func (o order) probe(id string) Entity {
	switch o {
	case projectsOf:
		return &Project{OrganizationID: id}
	case accountsOf:
		return &Account{OrganizationID: id, State: Disabled}
	case subscriptionsOf:
		return &Subscription{AccountID: id}
	case subscriptionsOn:
		return &Subscription{Plan: id}
	case subscriptionsBy:
		return &Subscription{Meter: id, Limit: new(reckoner.Quantity)}
	default:
		return &Installation{AccountID: id}
	}
}

func (o order) less(a, b *row) bool {
	if n := cmp.Compare(o.refers(a.entity), o.refers(b.entity)); n != 0 {
		return n < 0
	}
	if o == accountsOf {
		if n := compareAge(a.entity.(*Account), b.entity.(*Account)); n != 0 {
			return n < 0
		}
	}
	if o == subscriptionsBy {
		limited, other := a.entity.(*Subscription).Limit != nil, b.entity.(*Subscription).Limit != nil
		if limited != other {
			return limited
		}
	}
	return a.entity.Key() < b.entity.Key()
}

// compareAge puts accounts that are not active before those that are, and older ones before newer ones.
func compareAge(a, b *Account) int {
	if active := a.State == Active; active != (b.State == Active) {
		if active {
			return 1
		}
		return -1
	}
	return a.CreatedAt.Compare(b.CreatedAt)
}

// mention is a row's reference of a kind of which it may hold many.
type mention struct {
	kind Kind   // of what is mentioned
	key  string // of what is mentioned
	by   *row
}

func compareMentions(a, b mention) bool {
	if n := cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.key, b.key)); n != 0 || a.by == nil || b.by == nil {
		return n < 0 || n == 0 && a.by == nil && b.by != nil
	}
	return cmp.Or(cmp.Compare(a.by.entity.Kind(), b.by.entity.Kind()), cmp.Compare(a.by.entity.Key(), b.by.entity.Key())) < 0
}

// tables is the entities of a catalog with their indexes. Trees are shared between copies, and whoever changes one
// copies the nodes on its way: a copy costs the same whatever it holds.
type tables struct {
	rows     [kinds]*btree.Map[string, *row]
	names    [2]*btree.Map[string, *row] // of organizations and projects
	sets     [orders]*btree.BTreeG[*row]
	mentions *btree.BTreeG[mention]   // organizations by credentials, meters by plans and by installations
	rules    []*Meter                 // those with a match, in the order in which they are tried
	deleted  *btree.Map[string, *row] // tombstones, by Ref.String
	history  *btree.BTreeG[*row]      // every row in force, tombstones included, by version
}

func newTables() tables {
	t := tables{
		mentions: btree.NewBTreeGOptions(compareMentions, btree.Options{NoLocks: true}),
		deleted:  new(btree.Map[string, *row]),
		history:  btree.NewBTreeGOptions(func(a, b *row) bool { return a.made < b.made }, btree.Options{NoLocks: true}),
	}
	for k := range t.rows {
		t.rows[k] = new(btree.Map[string, *row])
	}
	for k := range t.names {
		t.names[k] = new(btree.Map[string, *row])
	}
	for o := range t.sets {
		t.sets[o] = btree.NewBTreeGOptions(order(o).less, btree.Options{NoLocks: true})
	}
	return t
}

// copy returns tables that hold the same and go their own way. It must not be called at the same time as anything that
// changes t; those who only read t are not disturbed.
func (t *tables) copy() tables {
	c := *t
	c.mentions, c.deleted, c.history = t.mentions.Copy(), t.deleted.Copy(), t.history.Copy()
	for k := range t.rows {
		c.rows[k] = t.rows[k].Copy()
	}
	for k := range t.names {
		c.names[k] = t.names[k].Copy()
	}
	for o := range t.sets {
		c.sets[o] = t.sets[o].Copy()
	}
	return c
}

// fork is copy for tables that never change again: it does not touch t, so that several may do it at once.
func (t *tables) fork() tables {
	mine := *t
	own := func(m *btree.Map[string, *row]) *btree.Map[string, *row] { tree := *m; return &tree }
	mine.deleted = own(t.deleted)
	for k := range t.rows {
		mine.rows[k] = own(t.rows[k])
	}
	for k := range t.names {
		mine.names[k] = own(t.names[k])
	}
	for o := range t.sets {
		tree := *t.sets[o]
		mine.sets[o] = &tree
	}
	mentions, history := *t.mentions, *t.history
	mine.mentions, mine.history = &mentions, &history
	return mine.copy()
}
