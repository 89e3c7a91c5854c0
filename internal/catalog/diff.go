package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// DiffOptions say what becomes of a catalog.
type DiffOptions struct {
	// Prune deletes what the document does not list.
	Prune bool
	// By says who asks, for the record.
	By string

	moves bool // Moved does not hold: the log's own rules know nothing of it
}

// Diff is the way from a catalog to a document, step by step. Nothing is wrong at any step in between, if nobody else
// changes the catalog meanwhile; the order is one that needs the fewest detours. A detour is an entity that is written
// twice: a new account names its default subscription only once that is there, two organizations swap their names by way
// of none, and an installation is deleted and made again where the periods of its subscriptions change together.
type Diff struct {
	Created, Changed, Deleted int // entities

	by    string
	edits []edit
	steps []step
}

// edit is what becomes of an entity. One of both may be nil.
type edit struct{ before, after Entity }

// step is one change.
type step struct {
	entity   Entity // a *tombstone deletes
	expect   Version
	follows  int32 // the step that made the entity, whose version is expected then; -1: none did
	followed bool  // by a later step
}

// NewDiff finds the way from the catalog to the document. The error joins what stands in the way, each a *Problem: without
// pruning, an entity of the document may not go together with one that it does not list.
func NewDiff(current, document *Catalog, o DiffOptions) (*Diff, error) {
	d := &Diff{by: o.By}
	if err := d.compare(current, document, o); err != nil {
		return nil, err
	}
	w := &way{Diff: d, tables: current.fork(), document: document}
	if err := w.find(); err != nil {
		return nil, err
	}
	return d, nil
}

// Empty reports whether the catalog says already what the document does.
func (d *Diff) Empty() bool { return len(d.steps) == 0 }

// Len is the number of steps.
func (d *Diff) Len() int { return len(d.steps) }

// Step returns a step as a change without an ID. When follows is not negative, the change expects the version that the
// step of that number made.
func (d *Diff) Step(i int) (ch Change, follows int) {
	s := &d.steps[i]
	ch = Change{Kind: s.entity.Kind(), Key: s.entity.Key(), Expect: s.expect, By: d.by, Entity: s.entity}
	if _, deletes := s.entity.(*tombstone); deletes {
		ch.Entity = nil
	}
	return ch, int(s.follows)
}

// Followed reports whether a later step follows the step.
func (d *Diff) Followed(i int) bool { return d.steps[i].followed }

// editOrder is the order in which entities are made and changed: what is referred to comes first. They are deleted the
// other way round.
func editOrder() []Kind {
	return []Kind{
		OrganizationKind, ProjectKind, MeterKind, PlanKind, AccountKind, SubscriptionKind, InstallationKind, CredentialKind,
	}
}

// compare finds the entities that differ.
func (d *Diff) compare(current, document *Catalog, o DiffOptions) error {
	var is, want []byte
	var wrong []error
	order := editOrder()
	for _, kind := range order {
		for e, line := range document.Entities(kind, "") {
			want = appendEntity(want[:0], e, true)
			if len(want) > maxEntityBytes {
				wrong = append(wrong, &Problem{File: document.source, Line: int(line), Path: Ref{kind, e.Key()}.String(),
					Message: fmt.Sprintf("has %d bytes, and an entity may have %d: make it smaller", len(want), maxEntityBytes)})
			}
			before, _, there := current.Entity(kind, e.Key())
			if !there {
				d.Created++
				d.edits = append(d.edits, edit{nil, e})
				continue
			}
			if f := Moved(before, e); f != nil && !o.moves {
				wrong = append(wrong, &Problem{File: document.source, Line: int(line), Path: Ref{kind, e.Key()}.String() + ": " + f.Path, Message: f.Message})
			}
			if is = appendEntity(is[:0], before, true); !bytes.Equal(is, want) {
				d.Changed++
				d.edits = append(d.edits, edit{before, e})
			}
		}
	}
	for i := len(order) - 1; i >= 0 && o.Prune; i-- {
		for e := range current.Entities(order[i], "") {
			if _, _, there := document.Entity(order[i], e.Key()); !there {
				d.Deleted++
				d.edits = append(d.edits, edit{e, nil})
			}
		}
	}
	return errors.Join(wrong...)
}

// maxEntityBytes leaves room for what a change holds beside its entity.
const maxEntityBytes = MaxChangeBytes - 4096

// Lines tells people what the diff does, an entity a line. No secret is in it, and no hash of one.
func (d *Diff) Lines() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, e := range d.edits {
			if !yield(e.String()) {
				return
			}
		}
	}
}
