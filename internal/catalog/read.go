package catalog

import (
	"iter"
	"time"
)

// Entity returns a listed entity and its version. Built-in meters and automatic accounts are not listed.
func (c *Catalog) Entity(kind Kind, key string) (Entity, Version, bool) {
	if kind >= kinds {
		return nil, 0, false
	}
	r := c.row(kind, kind.CanonicalKey(key))
	if r == nil {
		return nil, 0, false
	}
	return r.entity, Version(r.made), true
}

// Entities returns the listed entities of a kind whose keys are greater than after, ordered by key, with their versions.
func (c *Catalog) Entities(kind Kind, after string) iter.Seq2[Entity, Version] {
	return func(yield func(Entity, Version) bool) {
		c.rows[kind].Ascend(after, func(key string, r *row) bool {
			return key == after && after != "" || yield(r.entity, Version(r.made))
		})
	}
}

// Position is the version that an entity of the last record would have: how far the log was read for this catalog.
func (c *Catalog) Position() Version { return c.position }

// Changed is what became of an entity.
type Changed struct {
	Ref
	Version Version
	At      time.Time // when the record was written, for people; zero: not known
	Entity  Entity    // nil: it was deleted
}

// LastChanged is the greatest version in the catalog, deletions included.
func (c *Catalog) LastChanged() Version {
	if last, ok := c.history.Max(); ok {
		return Version(last.made)
	}
	return 0
}

// Changed returns what became of every entity that was made, changed or deleted by a version greater than since: the
// newest of each, ordered by version. Of 0 it returns all, and everything that was ever deleted.
func (c *Catalog) Changed(since Version) iter.Seq[Changed] {
	return func(yield func(Changed) bool) {
		c.history.Ascend(&row{made: uint64(since) + 1}, func(r *row) bool { return yield(changed(r)) })
	}
}

func changed(r *row) Changed {
	ch := Changed{Ref: refOf(r), Version: Version(r.made), Entity: r.entity}
	if r.at != 0 {
		ch.At = time.UnixMilli(r.at).UTC()
	}
	if _, deleted := r.entity.(*tombstone); deleted {
		ch.Entity = nil
	}
	return ch
}

// Judge returns every reason why a change would be ignored now, those of the first kind first; nil: it would take place.
func (c *Catalog) Judge(ch Change) []Fault { return c.judge(&ch) }
