package catalog

import (
	"fmt"
	"iter"

	"reckoner"
)

// Catalog is an immutable snapshot of all entities, with indexes. It is safe for concurrent readers, who must not
// change what it returns.
type Catalog struct {
	tables
	position Version // of the last record that was read
	source   string  // the name of the document that it was read from, whose lines its rows hold; empty: none
	autoOrg  string  // the id of the organization of accounts that are not listed; empty: none
}

// Counts is how many entities of each kind a catalog lists.
type Counts struct {
	Organizations, Projects, Accounts, Meters, Plans, Subscriptions, Installations, Credentials int
}

// Current returns c: a catalog is its own source, one that never changes.
func (c *Catalog) Current() *Catalog { return c }

// Count returns how many entities of a kind the catalog lists.
func (c *Catalog) Count(kind Kind) int { return c.rows[kind].Len() }

// Counts returns how many entities of each kind the catalog lists.
func (c *Catalog) Counts() Counts {
	return Counts{
		Organizations: c.Count(OrganizationKind), Projects: c.Count(ProjectKind), Accounts: c.Count(AccountKind),
		Meters: c.Count(MeterKind), Plans: c.Count(PlanKind), Subscriptions: c.Count(SubscriptionKind),
		Installations: c.Count(InstallationKind), Credentials: c.Count(CredentialKind),
	}
}

// WithAutoAccounts returns a catalog that also has every account that it does not list, active and under the given
// organization (an id or a name). An empty organization is c itself.
func (c *Catalog) WithAutoAccounts(organization string) (*Catalog, error) {
	if organization == "" {
		return c, nil
	}
	org, ok := c.Organization(organization)
	if !ok {
		return nil, fmt.Errorf("automatic accounts: the catalog has no organization %q: add it, or name one that it has",
			organization)
	}
	with := *c
	with.autoOrg = org.ID
	return &with, nil
}

// Organization returns the organization with that id or name.
func (c *Catalog) Organization(idOrName string) (*Organization, bool) {
	return lookup[*Organization](c.idOrName(OrganizationKind, idOrName))
}

// Project returns the project with that id or name.
func (c *Catalog) Project(idOrName string) (*Project, bool) {
	return lookup[*Project](c.idOrName(ProjectKind, idOrName))
}

func (c *Catalog) idOrName(kind Kind, idOrName string) *row {
	key := reckoner.CanonicalID(idOrName)
	if r := c.row(kind, key); r != nil {
		return r
	}
	return c.byName(kind, key)
}

func lookup[E Entity](r *row) (e E, ok bool) {
	if r == nil {
		return e, false
	}
	return r.entity.(E), true
}

// Account returns the account with that id. Where automatic accounts are on, every UUID has one.
func (c *Catalog) Account(id string) (*Account, bool) {
	id = reckoner.CanonicalID(id)
	if r := c.row(AccountKind, id); r != nil {
		return r.entity.(*Account), true
	}
	if c.autoOrg == "" || !reckoner.IsUUID(id) {
		return nil, false
	}
	return &Account{ID: id, OrganizationID: c.autoOrg, State: Active, Auto: true}, true
}

// NewestActiveAccount returns the organization's active account with the greatest (created_at, id). It never is an
// automatic one: those are nobody's choice. An account without created_at is older than any with one.
func (c *Catalog) NewestActiveAccount(orgID string) (*Account, bool) {
	orgID = reckoner.CanonicalID(orgID)
	const afterUUIDs = "g"
	last := &row{entity: &Account{OrganizationID: orgID, State: Active, CreatedAt: reckoner.MaxTime, ID: afterUUIDs}}
	var newest *Account
	c.sets[accountsOf].Descend(last, func(r *row) bool {
		if a := r.entity.(*Account); a.OrganizationID == orgID && a.State == Active {
			newest = a
		}
		return false
	})
	return newest, newest != nil
}

// Subscription returns the subscription with that id.
func (c *Catalog) Subscription(id string) (*Subscription, bool) {
	return lookup[*Subscription](c.row(SubscriptionKind, reckoner.CanonicalID(id)))
}

// Plan returns the plan with that id.
func (c *Catalog) Plan(id string) (*Plan, bool) {
	return lookup[*Plan](c.row(PlanKind, reckoner.CanonicalID(id)))
}

// Installations returns every installation, ordered by id.
func (c *Catalog) Installations() iter.Seq[*Installation] {
	return func(yield func(*Installation) bool) {
		c.rows[InstallationKind].Scan(func(_ string, r *row) bool { return yield(r.entity.(*Installation)) })
	}
}

// Credential returns the credential with that id.
func (c *Catalog) Credential(id string) (*Credential, bool) {
	return lookup[*Credential](c.row(CredentialKind, id))
}
