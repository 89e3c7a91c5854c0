package catalog

import (
	"slices"
)

// has returns the row of an entity, or nil.
func (t *tables) row(kind Kind, key string) *row {
	r, _ := t.rows[kind].Get(key)
	return r
}

// byName returns the row of the organization or project of that name, or nil.
func (t *tables) byName(kind Kind, name string) *row {
	if int(kind) >= len(t.names) {
		return nil
	}
	r, _ := t.names[kind].Get(name)
	return r
}

// first returns the first row of a set that refers to id, or nil.
func (t *tables) first(o order, id string) *row {
	var found *row
	t.referring(o, id, func(r *row) bool {
		found = r
		return false
	})
	return found
}

// referring hands the rows of a set that refer to id to each, in order, until it returns false.
func (t *tables) referring(o order, id string, each func(*row) bool) {
	t.sets[o].Ascend(&row{entity: o.probe(id)}, func(r *row) bool {
		return o.refers(r.entity) == id && each(r)
	})
}

// mentioned returns the first row that mentions an entity, or nil.
func (t *tables) mentioned(kind Kind, key string) *row {
	var found *row
	t.mentions.Ascend(mention{kind: kind, key: key}, func(m mention) bool {
		if m.kind == kind && m.key == key {
			found = m.by
		}
		return false
	})
	return found
}

// put makes r its entity's row, in place of the one there was.
func (t *tables) put(r *row) {
	kind, key := r.entity.Kind(), r.entity.Key()
	if old := t.row(kind, key); old != nil {
		t.unlink(old)
	}
	t.rows[kind].Set(key, r)
	t.link(r)
}

// remove takes an entity's row out.
func (t *tables) remove(kind Kind, key string) {
	if old, there := t.rows[kind].Delete(key); there {
		t.unlink(old)
	}
}

func (t *tables) link(r *row) {
	kind := r.entity.Kind()
	if name := nameOf(r.entity); name != "" {
		t.names[kind].Set(name, r)
	}
	for _, o := range ordersOf[kind] {
		if o.refers(r.entity) != "" {
			t.sets[o].Set(r)
		}
	}
	for _, m := range mentionsOf(r) {
		t.mentions.Set(m)
	}
	if m, ok := r.entity.(*Meter); ok && m.Match != nil {
		at, _ := slices.BinarySearchFunc(t.rules, m, compareRules)
		t.rules = slices.Insert(slices.Clone(t.rules), at, m) // copies may still read the old one
	}
}

func (t *tables) unlink(r *row) {
	kind := r.entity.Kind()
	if name := nameOf(r.entity); name != "" {
		t.names[kind].Delete(name)
	}
	for _, o := range ordersOf[kind] {
		if o.refers(r.entity) != "" {
			t.sets[o].Delete(r)
		}
	}
	for _, m := range mentionsOf(r) {
		t.mentions.Delete(m)
	}
	if m, ok := r.entity.(*Meter); ok && m.Match != nil {
		if at, found := slices.BinarySearchFunc(t.rules, m, compareRules); found {
			t.rules = slices.Delete(slices.Clone(t.rules), at, at+1)
		}
	}
}

// mentionsOf returns the references of which an entity may hold many, and that no set is ordered by.
func mentionsOf(r *row) []mention {
	var all []mention
	switch e := r.entity.(type) {
	case *Plan:
		for i := range e.Prices {
			all = append(all, mention{MeterKind, e.Prices[i].Meter, r})
		}
	case *Credential:
		for _, id := range e.Organizations {
			if id != everyOrganization {
				all = append(all, mention{OrganizationKind, id, r})
			}
		}
	}
	return all
}

// intern lets an entity share the texts of the ids that it holds with those whose ids they are: accounts and
// subscriptions are many. The entity must be nobody else's yet.
func (t *tables) intern(e Entity) {
	share := func(kind Kind, id *string) {
		if r := t.row(kind, *id); r != nil {
			*id = r.entity.Key()
		}
	}
	switch e := e.(type) {
	case *Account:
		share(AccountKind, &e.ID)
		share(OrganizationKind, &e.OrganizationID)
		if e.DefaultSubscription != "" {
			share(SubscriptionKind, &e.DefaultSubscription)
		}
	case *Subscription:
		share(SubscriptionKind, &e.ID)
		share(AccountKind, &e.AccountID)
		if e.Plan != "" {
			share(PlanKind, &e.Plan)
		}
		if e.Meter != "" {
			share(MeterKind, &e.Meter)
		}
	}
}

// record notes that r is what became of its entity at its version.
func (t *tables) record(r *row) {
	_, deleted := r.entity.(*tombstone)
	id := Ref{r.entity.Kind(), r.entity.Key()}.String()
	if deleted {
		t.deleted.Set(id, r)
	} else if t.deleted.Len() > 0 {
		t.deleted.Delete(id)
	}
	if live := t.len() + t.deleted.Len(); len(t.history) >= 2*live+minHistory {
		t.compact()
	}
	t.history = append(t.history, r)
}

// minHistory keeps a small catalog from being compacted all the time.
const minHistory = 1024

// compact makes a new history without what is no longer in force. Copies keep the old one.
func (t *tables) compact() {
	kept := make([]*row, 0, t.len()+t.deleted.Len()+minHistory)
	for _, r := range t.history {
		if t.inForce(r) {
			kept = append(kept, r)
		}
	}
	t.history = kept
}

// inForce reports whether r is the newest row of its entity.
func (t *tables) inForce(r *row) bool {
	kind, key := r.entity.Kind(), r.entity.Key()
	if _, deleted := r.entity.(*tombstone); !deleted {
		return t.row(kind, key) == r
	}
	newest, _ := t.deleted.Get(Ref{kind, key}.String())
	return newest == r
}

// len is how many entities there are.
func (t *tables) len() int {
	n := 0
	for _, rows := range t.rows {
		n += rows.Len()
	}
	return n
}
