package ledger

import (
	"context"
	"time"

	"reckoner"
)

// UsageReader answers the reads of the usages dialect: usages of subscriptions, each beside what was taken back of it.
// A usage without a subscription is none of them.
//
// What Writer stored before a read began is in its answer.
type UsageReader interface {
	// FindUsages returns the usages of an id that count, one for each account that has one, ordered by account. One that
	// was taken back in full is among them.
	FindUsages(ctx context.Context, q UsageLookup) ([]UsageRecord, error)
	// FindRefused returns what the limit refused of an id, one for each account, ordered by account. Only the decision
	// about the id itself is meant: repetitions and conflicts are none.
	FindRefused(ctx context.Context, q UsageLookup) ([]UsageRecord, error)
	// ListUsages returns a page of the usages that count and were not taken back in full, and how many there are on all
	// pages. Page and number are two reads: what is counted between them is in one only.
	ListUsages(ctx context.Context, q UsageList) (page []UsageRecord, total uint64, err error)
}

// UsageRecord is a usage as the usages dialect shows it.
type UsageRecord struct {
	Position       reckoner.Position
	AccountID      string
	OrganizationID string
	SubscriptionID string
	EventID        string
	Outcome        reckoner.Outcome  // Applied, Clipped or LimitExceeded
	Quantity       reckoner.Quantity // what counted first; of LimitExceeded 0
	Reverted       reckoner.Quantity // what was taken back of it, not negative
	UsageTime      time.Time
	ReceivedAt     time.Time
	RevertedAt     time.Time // when the revert was received; zero when there is none
}

// Net is what counts of the usage.
func (r *UsageRecord) Net() (reckoner.Quantity, error) { return r.Quantity.Sub(r.Reverted) }

// UpdatedAt is when the usage last changed: when its revert was received, or else itself.
func (r *UsageRecord) UpdatedAt() time.Time {
	if r.RevertedAt.IsZero() {
		return r.ReceivedAt
	}
	return r.RevertedAt
}

// UsageLookup names usages by their id.
type UsageLookup struct {
	ID            string
	AccountID     string   // empty: of any account
	Organizations []string // ids; nil: of any organization
}

// UsageList selects usages. Every filter that is there has to hold.
type UsageList struct {
	Organizations []string // ids; nil: of any organization
	IDs           *TextFilter
	Subscriptions *TextFilter
	UsageTime     *TimeFilter
	CreatedTime   *TimeFilter // ReceivedAt
	UpdatedTime   *TimeFilter // UpdatedAt
	Quantity      *QuantityFilter
	Text          string // part of the id or of the subscription's, in either case; empty: none

	// Sort is the order; what is equal in all of it is in the order of positions. Empty: that alone.
	Sort   []UsageSort
	Limit  int // 0: only the number
	Offset uint64
}

// TextFilter holds for a text that is one of some, or, negated, none of them.
type TextFilter struct {
	Values []string
	Not    bool
}

// TimeFilter holds for a time in one of some ranges, or, negated, in none of them.
type TimeFilter struct {
	Ranges []TimeRange
	Not    bool
}

// TimeRange has inclusive bounds; a zero bound is none.
type TimeRange struct{ From, To time.Time }

// QuantityFilter holds for what counts of a usage, if that is in one of some ranges, or, negated, in none of them.
type QuantityFilter struct {
	Ranges []QuantityRange
	Not    bool
}

// QuantityRange has inclusive bounds; nil is none.
type QuantityRange struct{ From, To *reckoner.Quantity }

// UsageField is a field that usages can be sorted by.
type UsageField uint8

// The fields.
const (
	UsageID UsageField = iota
	UsageSubscription
	UsageQuantity // what counts of it
	UsageTime
	UsageCreated
	UsageUpdated
)

// UsageSort is one key of an order.
type UsageSort struct {
	Field UsageField
	Desc  bool
}
