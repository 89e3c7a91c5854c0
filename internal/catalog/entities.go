package catalog

import (
	"time"

	"github.com/shopspring/decimal"

	"reckoner"
)

// Organization owns projects and accounts.
type Organization struct {
	ID   string
	Name string // unique among names and ids of organizations; may be empty
}

// Project is another name for its organization.
type Project struct {
	ID             string
	Name           string // unique among names and ids of all projects, whichever organization they are of
	OrganizationID string
}

// State is the state of a billing account.
type State uint8

// The states. Only an active account takes usage that names no account.
const (
	Active State = iota
	Pending
	Disabled
)

var stateNames = [...]string{Active: "active", Pending: "pending", Disabled: "disabled"}

// String returns the state's name.
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

// Account is a billing account. Its ID is a lower-case UUID.
type Account struct {
	ID                  string
	OrganizationID      string
	DefaultSubscription string // the subscription of usage that names none; empty: none
	CreatedAt           time.Time
	State               State
	Auto                bool // made up for an id the catalog does not list
}

// Match says which usages of the Frontier dialect count for a meter: those that agree in everything that is set.
type Match struct {
	Type     string
	Source   string
	Metadata []reckoner.Label // sorted by key
}

// Meter is a meter and what is matched to it.
type Meter struct {
	reckoner.Meter
	Match    *Match // nil: nothing is
	Priority int    // of two meters that match, the greater wins; of equals, the lesser name
}

// Price is what one unit of a meter costs beyond the included quantity, in the plan's currency.
type Price struct {
	Meter     string
	UnitPrice decimal.Decimal // >= 0
	Included  reckoner.Quantity
}

// Discount is an amount taken off a period's bill, in the plan's currency.
type Discount struct {
	Name   string
	Amount decimal.Decimal // >= 0
}

// Plan is what usage costs.
type Plan struct {
	ID        string
	Name      string // the id where none is given
	Prices    []Price
	Discounts []Discount
}

// Subscription is an account's use of a plan over billing periods.
type Subscription struct {
	ID        string
	AccountID string
	Plan      string             // a plan's id; empty: none
	Meter     string             // a meter's name; empty: none
	Limit     *reckoner.Quantity // hard limit of Meter in a period; nil: none. Only interval meters have one.
	Cycle     reckoner.Cycle
}

// PeriodAt returns the billing period that holds t.
func (s *Subscription) PeriodAt(t time.Time) reckoner.Period { return s.Cycle.At(t) }

// Resource says that a subscription's usage is reported for a partner's resource, from From until To (half-open; a zero
// time is no bound).
type Resource struct {
	SubscriptionID string
	ResourceID     string
	From, To       time.Time
}

// Installation is a partner's installation, to which an account's usage is reported.
type Installation struct {
	ID        string
	Target    string // which partner: see Targets
	AccountID string
	BaseURL   string        // empty: no partner to send to yet
	TokenEnv  string        // the environment variable that holds the access token
	TokenFile string        // or the file that does
	DayEndsAt time.Duration // of the day in UTC: a multiple of 15 minutes in [0, 24 h)
	Resources []Resource
	AWS       *Marketplace // nil: it is of another target
}
