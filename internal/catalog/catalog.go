package catalog

import (
	"fmt"
	"iter"
	"slices"

	"reckoner"
)

// Catalog is an immutable snapshot of all entities, with indexes. It is safe for concurrent readers, who must not
// change what it returns.
type Catalog struct {
	organizations map[string]*Organization // by id and by name: no name is another's id
	projects      map[string]*Project      // by id and by name
	accounts      map[string]*Account
	newest        map[string]*Account // by organization id: its newest active account
	subscriptions map[string]*Subscription
	meters        map[string]*Meter
	rules         []*Meter // those with a match, in the order in which they are tried
	credit        reckoner.Meter
	feature       reckoner.Meter
	plans         map[string]*Plan
	installations []*Installation // by id
	credentials   map[string]*Credential

	counts  Counts
	autoOrg string // the id of the organization of accounts that are not listed; empty: none
}

// Counts is how many entities of each kind a catalog lists.
type Counts struct {
	Organizations, Projects, Accounts, Meters, Plans, Subscriptions, Installations, Credentials int
}

// Current returns c: a catalog is its own source, one that never changes.
func (c *Catalog) Current() *Catalog { return c }

// Counts returns how many entities of each kind the catalog lists.
func (c *Catalog) Counts() Counts { return c.counts }

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
	return byIDOrName(c.organizations, idOrName)
}

// Project returns the project with that id or name.
func (c *Catalog) Project(idOrName string) (*Project, bool) {
	return byIDOrName(c.projects, idOrName)
}

func byIDOrName[T any](index map[string]*T, key string) (*T, bool) {
	v, ok := index[reckoner.CanonicalID(key)]
	return v, ok
}

// Account returns the account with that id. Where automatic accounts are on, every UUID has one.
func (c *Catalog) Account(id string) (*Account, bool) {
	id = reckoner.CanonicalID(id)
	if a, ok := c.accounts[id]; ok {
		return a, true
	}
	if c.autoOrg == "" || !reckoner.IsUUID(id) {
		return nil, false
	}
	return &Account{ID: id, OrganizationID: c.autoOrg, State: Active, Auto: true}, true
}

// NewestActiveAccount returns the organization's active account with the greatest (created_at, id). It never is an
// automatic one: those are nobody's choice. An account without created_at is older than any with one.
func (c *Catalog) NewestActiveAccount(orgID string) (*Account, bool) {
	a, ok := c.newest[reckoner.CanonicalID(orgID)]
	return a, ok
}

// Subscription returns the subscription with that id.
func (c *Catalog) Subscription(id string) (*Subscription, bool) {
	s, ok := c.subscriptions[reckoner.CanonicalID(id)]
	return s, ok
}

// Plan returns the plan with that id.
func (c *Catalog) Plan(id string) (*Plan, bool) {
	p, ok := c.plans[reckoner.CanonicalID(id)]
	return p, ok
}

// Installations returns every installation, ordered by id.
func (c *Catalog) Installations() iter.Seq[*Installation] { return slices.Values(c.installations) }

// Credential returns the credential with that id.
func (c *Catalog) Credential(id string) (*Credential, bool) {
	cr, ok := c.credentials[id]
	return cr, ok
}
