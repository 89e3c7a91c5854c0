package catalog

import (
	"fmt"

	"reckoner"
)

// judge returns every reason why a change cannot take place now, those of the first kind first; nil: it can. It is a
// function of the catalog and the change alone, and changes neither.
func (t *tables) judge(ch *Change) []Fault {
	old := t.row(ch.Kind, ch.Key)
	if f := expects(ch, old); f != nil {
		return []Fault{*f}
	}
	return t.objections(ch.Ref(), ch.Entity)
}

// objections are the reasons but for the version. A nil entity deletes the one there is.
func (t *tables) objections(ref Ref, e Entity) []Fault {
	if e == nil {
		return t.users(ref.Kind, ref.Key)
	}
	var before Entity
	if old := t.row(ref.Kind, ref.Key); old != nil {
		before = old.entity
	}
	faults := t.dangling(e)
	missing := len(faults) > 0
	faults = append(faults, t.taken(e)...)
	if !missing {
		faults = append(faults, t.unsound(before, e)...)
	}
	return faults
}

func expects(ch *Change, old *row) *Fault {
	var is Version
	if old != nil {
		is = Version(old.made)
	}
	switch {
	case is == ch.Expect && (is > 0 || ch.Entity != nil):
		return nil
	case is == 0 && ch.Expect == 0:
		return &Fault{Result: Stale, Message: fmt.Sprintf("there is no %s %q", ch.Kind, clip(ch.Key))}
	case is == 0:
		return &Fault{Result: Stale, Message: fmt.Sprintf("there is no %s %q; version %d was expected", ch.Kind, clip(ch.Key), ch.Expect)}
	case ch.Expect == 0:
		return &Fault{Result: Stale, Message: fmt.Sprintf("there is a %s %q already, of version %d", ch.Kind, clip(ch.Key), is)}
	default:
		return &Fault{Result: Stale, Message: fmt.Sprintf("%s %q is of version %d; version %d was expected", ch.Kind, clip(ch.Key), is, ch.Expect)}
	}
}

// dangling returns the references of an entity that find nothing.
func (t *tables) dangling(e Entity) []Fault {
	var faults []Fault
	references(e, func(path string, to Kind, key string) {
		if found, hint := t.find(to, key); !found {
			faults = append(faults, Fault{Result: MissingReference, Path: path, Message: noSuch(to, key, hint)})
		}
	})
	return faults
}

func noSuch(to Kind, key, hint string) string {
	return fmt.Sprintf("no %s has %s %q%s", to, to.keyName(), clip(key), hint)
}

// find looks a reference up.
func (t *tables) find(to Kind, key string) (found bool, hint string) {
	if t.row(to, key) != nil {
		return true, ""
	}
	if to == MeterKind {
		_, found = builtin(key)
		return found, ""
	}
	if o := t.byName(to, reckoner.CanonicalID(key)); o != nil {
		return false, fmt.Sprintf(": it is the name of %q", clip(o.entity.Key()))
	}
	return false, ""
}

// references hands every reference of an entity to each, with its place in the entity.
func references(e Entity, each func(path string, to Kind, key string)) {
	one := func(path string, to Kind, key string) {
		if key != "" {
			each(path, to, key)
		}
	}
	switch e := e.(type) {
	case *Project:
		one("organization", OrganizationKind, e.OrganizationID)
	case *Account:
		one("organization", OrganizationKind, e.OrganizationID)
		one("default_subscription", SubscriptionKind, e.DefaultSubscription)
	case *Plan:
		for i := range e.Prices {
			one(fmt.Sprintf("prices[%d].meter", i), MeterKind, e.Prices[i].Meter)
		}
	case *Subscription:
		one("account", AccountKind, e.AccountID)
		one("plan", PlanKind, e.Plan)
		one("meter", MeterKind, e.Meter)
	case *Installation:
		one("account", AccountKind, e.AccountID)
		for i := range e.Resources {
			one(fmt.Sprintf("resources[%d].subscription", i), SubscriptionKind, e.Resources[i].SubscriptionID)
		}
		if e.AWS != nil {
			for i := range e.AWS.Dimensions {
				one(fmt.Sprintf("aws.dimensions[%d].meter", i), MeterKind, e.AWS.Dimensions[i].Meter)
			}
		}
	case *Credential:
		for i, id := range e.Organizations {
			if id != everyOrganization {
				one(fmt.Sprintf("organizations[%d]", i), OrganizationKind, id)
			}
		}
	}
}

// taken returns the names that an entity cannot have because they are another's. One name or id must never mean two
// entities, whichever organization they are of: a request that names a project names nothing else.
func (t *tables) taken(e Entity) []Fault {
	kind, key := e.Kind(), e.Key()
	if int(kind) >= len(t.names) {
		return nil
	}
	var faults []Fault
	if other := t.byName(kind, key); other != nil && other.entity.Key() != key {
		faults = append(faults, Fault{Result: NameTaken, Path: "id", Message: takenMessage(kind, key), By: refOf(other)})
	}
	name := nameOf(e)
	if name == "" {
		return faults
	}
	for _, other := range []*row{t.row(kind, name), t.byName(kind, name)} {
		if other != nil && other.entity.Key() != key {
			return append(faults, Fault{Result: NameTaken, Path: "name", Message: takenMessage(kind, name), By: refOf(other)})
		}
	}
	return faults
}

func takenMessage(kind Kind, name string) string {
	return fmt.Sprintf("%q is the name or the id of another %s: both are looked up alike, so each must be its own", clip(name), kind)
}

func refOf(r *row) Ref { return Ref{r.entity.Kind(), r.entity.Key()} }

// users returns who keeps an entity from being deleted: one of each kind.
func (t *tables) users(kind Kind, key string) []Fault {
	var faults []Fault
	inUse := func(r *row, how string) {
		if r != nil {
			faults = append(faults, Fault{Result: InUse, By: refOf(r), Message: fmt.Sprintf("in use by %s %q%s: change or delete that first",
				r.entity.Kind(), clip(r.entity.Key()), how)})
		}
	}
	switch kind {
	case OrganizationKind:
		inUse(t.first(projectsOf, key), "")
		inUse(t.first(accountsOf, key), "")
		inUse(t.mentioned(kind, key), "")
	case AccountKind:
		inUse(t.first(subscriptionsOf, key), "")
		inUse(t.first(installationsOf, key), "")
	case MeterKind:
		if _, ok := builtin(key); ok {
			return nil // the built-in one takes its place, and whatever holds for a meter holds for that
		}
		inUse(t.mentioned(kind, key), "")
		inUse(t.first(subscriptionsBy, key), "")
	case PlanKind:
		inUse(t.first(subscriptionsOn, key), "")
	case SubscriptionKind:
		s := t.row(kind, key).entity.(*Subscription)
		if a := t.row(AccountKind, s.AccountID); a != nil && a.entity.(*Account).DefaultSubscription == key {
			inUse(a, " as default_subscription")
		}
		inUse(t.reporting(s), " as a resource's")
	case ProjectKind, InstallationKind, CredentialKind, kinds:
		// Nothing refers to these.
	}
	return faults
}

// reporting returns the first installation with a resource of the subscription, or nil.
func (t *tables) reporting(s *Subscription) *row {
	var found *row
	t.referring(installationsOf, s.AccountID, func(r *row) bool {
		for i := range r.entity.(*Installation).Resources {
			if r.entity.(*Installation).Resources[i].SubscriptionID == s.ID {
				found = r
			}
		}
		return found == nil
	})
	return found
}
