package catalog

import "reckoner"

// Entity is one of *Organization, *Project, *Account, *Meter, *Plan, *Subscription, *Installation and *Credential.
// Nobody changes one that is in a catalog, or in a change.
type Entity interface {
	// Kind is what it is.
	Kind() Kind
	// Key identifies it among those of its kind: its id, or a meter's name.
	Key() string
}

// Kind returns OrganizationKind.
func (*Organization) Kind() Kind { return OrganizationKind }

// Key returns the id.
func (o *Organization) Key() string { return o.ID }

// Kind returns ProjectKind.
func (*Project) Kind() Kind { return ProjectKind }

// Key returns the id.
func (p *Project) Key() string { return p.ID }

// Kind returns AccountKind.
func (*Account) Kind() Kind { return AccountKind }

// Key returns the id.
func (a *Account) Key() string { return a.ID }

// Kind returns MeterKind.
func (*Meter) Kind() Kind { return MeterKind }

// Key returns the name.
func (m *Meter) Key() string { return m.Name }

// Kind returns PlanKind.
func (*Plan) Kind() Kind { return PlanKind }

// Key returns the id.
func (p *Plan) Key() string { return p.ID }

// Kind returns SubscriptionKind.
func (*Subscription) Kind() Kind { return SubscriptionKind }

// Key returns the id.
func (s *Subscription) Key() string { return s.ID }

// Kind returns InstallationKind.
func (*Installation) Kind() Kind { return InstallationKind }

// Key returns the id.
func (in *Installation) Key() string { return in.ID }

// Kind returns CredentialKind.
func (*Credential) Kind() Kind { return CredentialKind }

// Key returns the id.
func (cr *Credential) Key() string { return cr.ID }

// CanonicalKey returns an id as entities of the kind keep it: a UUID in lower case, but for meters and credentials, whose
// names are taken as they are.
func (k Kind) CanonicalKey(id string) string {
	if k == MeterKind || k == CredentialKind {
		return id
	}
	return reckoner.CanonicalID(id)
}

// nameOf returns the name by which an entity can be looked up beside its id; empty: none.
func nameOf(e Entity) string {
	switch e := e.(type) {
	case *Organization:
		return reckoner.CanonicalID(e.Name)
	case *Project:
		return reckoner.CanonicalID(e.Name)
	default:
		return ""
	}
}
