package catalog

import "slices"

// Kind is a kind of entity.
type Kind uint8

// The kinds, in the order of the lists of a document.
const (
	OrganizationKind Kind = iota
	ProjectKind
	AccountKind
	MeterKind
	PlanKind
	SubscriptionKind
	InstallationKind
	CredentialKind
	kinds // how many
)

var plurals = [kinds]string{
	"organizations", "projects", "accounts", "meters", "plans", "subscriptions", "installations", "credentials",
}

var singulars = [kinds]string{
	"organization", "project", "account", "meter", "plan", "subscription", "installation", "credential",
}

// Kinds returns every kind.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// String returns the kind's name, as in the key of a record: "organization".
func (k Kind) String() string {
	if k >= kinds {
		return "unknown"
	}
	return singulars[k]
}

// Plural returns the name of the kind's list in a document: "organizations".
func (k Kind) Plural() string {
	if k >= kinds {
		return "unknown"
	}
	return plurals[k]
}

// ParseKind is the inverse of String and of Plural.
func ParseKind(name string) (Kind, bool) {
	for _, names := range [][kinds]string{singulars, plurals} {
		if i := slices.Index(names[:], name); i >= 0 {
			return Kind(i), true
		}
	}
	return 0, false
}

// keyName is the key that identifies an entity of the kind.
func (k Kind) keyName() string {
	if k == MeterKind {
		return "name"
	}
	return "id"
}
