package catalog

import (
	"errors"
	"slices"
)

// way finds an order of steps by going it: every step is judged by the same rules as in the log.
type way struct {
	*Diff
	tables            // the catalog after the steps so far
	document *Catalog // where it leads
	detours  map[Ref]bool
	reasons  map[Ref][]error // why installations had to go: what stands in the way if they cannot come back
}

// stepMade marks a row that a step made; the rest of its version is the step's number.
const stepMade = 1 << 62

// find appends the steps of all edits.
func (w *way) find() error {
	pending := slices.Clone(w.edits)
	for pass := 0; len(pending) > 0; pass++ {
		before := len(w.steps)
		pending = w.pass(pending)
		if len(w.steps) > before {
			slices.Reverse(pending) // where each waits for the next, the other direction needs one pass
			continue
		}
		left := w.detour(pending)
		if left == nil {
			return w.blocked(pending)
		}
		pending = left
	}
	return nil
}

// pass goes all steps that can be gone, and returns the edits that are left.
func (w *way) pass(pending []edit) (left []edit) {
	left = pending[:0]
	for _, e := range pending {
		ref := e.ref()
		if w.row(ref.Kind, ref.Key) == nil && e.after == nil {
			continue // a detour deleted it
		}
		if len(w.objections(ref, e.after)) == 0 {
			w.step(ref, e.after)
			continue
		}
		// A new account can be there without its default subscription, which needs it to be there.
		if a, ok := e.after.(*Account); ok && w.row(ref.Kind, ref.Key) == nil {
			if less := looser(a); less != nil && len(w.objections(ref, less)) == 0 {
				w.step(ref, less)
			}
		}
		left = append(left, e)
	}
	return left
}

func (e edit) ref() Ref {
	if e.after != nil {
		return Ref{e.after.Kind(), e.after.Key()}
	}
	return Ref{e.before.Kind(), e.before.Key()}
}

// step goes one step. A nil entity deletes.
func (w *way) step(ref Ref, e Entity) {
	s := step{entity: e, follows: -1}
	if r := w.row(ref.Kind, ref.Key); r != nil {
		if s.expect = Version(r.made); r.made >= stepMade {
			s.expect, s.follows = 0, int32(r.made-stepMade)
			w.steps[s.follows].followed = true
		}
	}
	if e == nil {
		s.entity = &tombstone{ref.Kind, ref.Key}
		w.remove(ref, stepMade+uint64(len(w.steps)), 0)
	} else {
		w.put(&row{entity: e, made: stepMade + uint64(len(w.steps))})
	}
	w.steps = append(w.steps, s)
}

// once reports whether an entity has made no detour yet, and notes that it makes one.
func (w *way) once(ref Ref) bool {
	if w.detours[ref] {
		return false
	}
	if w.detours == nil {
		w.detours = map[Ref]bool{}
	}
	w.detours[ref] = true
	return true
}

// looser returns an entity without what makes it part of a circle; nil: nothing does.
func looser(e Entity) Entity {
	switch e := e.(type) {
	case *Account:
		if e.DefaultSubscription != "" {
			less := *e
			less.DefaultSubscription = ""
			return &less
		}
	case *Organization:
		if e.Name != "" {
			return &Organization{ID: e.ID}
		}
	case *Project:
		if e.Name != "" {
			return &Project{ID: e.ID, OrganizationID: e.OrganizationID}
		}
	}
	return nil
}

// detour takes away what edits wait for in a circle, and returns the edits that are then left; nil: nothing helps. It
// takes away of entities only that are edited anyway.
func (w *way) detour(pending []edit) []edit {
	waiting := map[Ref]bool{}
	for _, e := range pending {
		waiting[e.ref()] = true
	}
	gone := 0
	loosen := func(ref Ref, e Entity) {
		if less := looser(e); less != nil && len(w.objections(ref, less)) == 0 && w.once(ref) {
			w.step(ref, less)
			gone++
		}
	}
	for _, e := range pending {
		for _, f := range w.objections(e.ref(), e.after) {
			byName := f.Result == NameTaken
			byDefault := f.By.Kind == AccountKind && e.ref().Kind == SubscriptionKind
			if f.Path == "name" || f.Path == "default_subscription" {
				loosen(e.ref(), e.after)
			} else if r := w.row(f.By.Kind, f.By.Key); r != nil && waiting[f.By] && (byName || byDefault) {
				loosen(f.By, r.entity)
			}
		}
	}
	if gone > 0 {
		return pending
	}
	return w.reinstall(pending, waiting)
}

// reinstall deletes the installations that are in the way of an edit, so that they are made again later.
func (w *way) reinstall(pending []edit, waiting map[Ref]bool) []edit {
	left, gone := pending, 0
	for _, e := range pending {
		for _, f := range w.objections(e.ref(), e.after) {
			in := w.row(f.By.Kind, f.By.Key)
			if f.By.Kind != InstallationKind || in == nil || !w.once(f.By) {
				continue
			}
			gone++
			if w.reasons == nil {
				w.reasons = map[Ref][]error{}
			}
			w.reasons[f.By] = append(w.reasons[f.By], w.problem(e.ref(), f))
			w.step(f.By, nil)
			if !waiting[f.By] {
				left = append(left, edit{nil, in.entity})
			}
		}
	}
	if gone == 0 {
		return nil
	}
	return left
}

// blocked says what stands in the way of every edit that is left.
func (w *way) blocked(pending []edit) error {
	var all []error
	for _, e := range pending {
		if reasons := w.reasons[e.ref()]; reasons != nil {
			all = append(all, reasons...)
			continue
		}
		for _, f := range w.objections(e.ref(), e.after) {
			all = append(all, w.problem(e.ref(), f))
		}
	}
	return errors.Join(all...)
}

func (w *way) problem(ref Ref, f Fault) error {
	p := &Problem{File: w.document.source, Path: ref.String(), Message: f.Message}
	if r := w.document.row(ref.Kind, ref.Key); r != nil {
		p.Line = int(r.made)
	}
	if f.Path != "" {
		p.Path += ": " + f.Path
	}
	return p
}
