package catalog

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"

	"reckoner"
)

// Scope is one thing that a credential may do.
type Scope string

// The scopes.
const (
	UsageWrite    Scope = "usage.write"    // report usage
	UsageRevert   Scope = "usage.revert"   // revert usage
	UsageRead     Scope = "usage.read"     // read usage and totals
	UsageBackfill Scope = "usage.backfill" // report usage older than ingest.max_age
	CatalogWrite  Scope = "catalog.write"  // change the catalog
)

// Scopes returns every scope.
func Scopes() []Scope {
	return []Scope{UsageWrite, UsageRevert, UsageRead, UsageBackfill, CatalogWrite}
}

// everyOrganization in a credential's organizations is all of them, those to come included.
const everyOrganization = "*"

// Credential is a party that may use the API.
type Credential struct {
	ID            string
	SecretHash    [sha256.Size]byte // SHA-256 of the secret
	Scopes        []Scope
	Organizations []string // ids, or "*"
}

// Allows reports whether the credential has the scope.
func (cr *Credential) Allows(scope Scope) bool { return slices.Contains(cr.Scopes, scope) }

// MayUse reports whether the credential may act for the organization with that id.
func (cr *Credential) MayUse(orgID string) bool {
	return slices.Contains(cr.Organizations, everyOrganization) ||
		slices.Contains(cr.Organizations, reckoner.CanonicalID(orgID))
}

// Authenticate returns the credential with that id if the secret is its own. It takes the same time whatever is wrong,
// so that no one learns by a clock how much of a guess was right.
func (c *Catalog) Authenticate(id, secret string) (*Credential, bool) {
	given := sha256.Sum256([]byte(secret))
	var want [sha256.Size]byte // of an unknown id: a hash that no one knows a secret for
	cr, known := c.Credential(id)
	if known {
		want = cr.SecretHash
	}
	same := subtle.ConstantTimeCompare(given[:], want[:]) == 1
	if !known || !same {
		return nil, false
	}
	return cr, true
}
