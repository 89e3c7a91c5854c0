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

// put makes r its entity's row, in place of the one there was. Its version is greater than any before.
func (t *tables) put(r *row) {
	kind, key := r.entity.Kind(), r.entity.Key()
	if old, there := t.rows[kind].Set(key, r); there {
		t.unlink(old, r)
		t.history.Delete(old)
	} else if t.deleted.Len() > 0 {
		t.dig(Ref{kind, key})
	}
	t.link(r)
	t.history.Load(r)
}

// remove takes an entity's row out, and leaves a tombstone of the version made.
func (t *tables) remove(ref Ref, made uint64, at int64) {
	if old, there := t.rows[ref.Kind].Delete(ref.Key); there {
		t.unlink(old, nil)
		t.history.Delete(old)
	}
	stone := &row{entity: &tombstone{ref.Kind, ref.Key}, made: made, at: at}
	t.deleted.Set(ref.String(), stone)
	t.history.Load(stone)
}

// dig takes an entity's tombstone away.
func (t *tables) dig(ref Ref) {
	if stone, there := t.deleted.Delete(ref.String()); there {
		t.history.Delete(stone)
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

// unlink takes a row out of the indexes. Where the next one, if any, will take its place, it is left to be replaced.
func (t *tables) unlink(r, next *row) {
	kind := r.entity.Kind()
	if name := nameOf(r.entity); name != "" {
		t.names[kind].Delete(name)
	}
	for _, o := range ordersOf[kind] {
		if o.refers(r.entity) != "" && (next == nil || o.less(r, next) || o.less(next, r)) {
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
	case *Installation:
		if e.AWS != nil {
			for i := range e.AWS.Dimensions {
				all = append(all, mention{MeterKind, e.AWS.Dimensions[i].Meter, r})
			}
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
