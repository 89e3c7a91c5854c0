package ledger

import (
	"context"
	"time"

	"reckoner"
)

// AccountReader answers the reads of /v1, each of one account: what was used, what of it counts against a limit, and what
// became of an event. An answer about totals is made by one read of them, and is exact at the position that it names.
type AccountReader interface {
	// Windows folds the totals of a subject into windows of time. A window in which nothing was used is not there.
	Windows(ctx context.Context, q WindowQuery) (UsagePage, error)
	// Periods folds them into billing periods.
	Periods(ctx context.Context, q PeriodQuery) (UsagePage, error)
	// Used returns what subscriptions of an account have used in the billing periods that hold an instant, of their
	// interval meters. What has not been used is not there.
	Used(ctx context.Context, accountID string, subscriptionIDs []string, at time.Time) (PeriodsUsed, error)
	// Story returns the events of one id, in the order of the log, and what belongs to them.
	Story(ctx context.Context, q StoryQuery) ([]StoryEvent, error)
	// Decided returns the position before which every event of an account's partition is in the ledger; false when
	// nothing of that partition is.
	Decided(ctx context.Context, accountID string) (reckoner.Position, bool, error)
}

// Subject is whose usage is read: that of an account, or of one of its subscriptions.
type Subject struct {
	AccountID      string
	SubscriptionID string // empty: all of the account
}

// WindowQuery asks for the usage of a subject in windows, in the order of UsageCursor.
type WindowQuery struct {
	Subject
	Meter string // empty: every meter
	// Edges are those of the windows, as Windows returns them: window i is [Edges[i], Edges[i+1]). The first and the last
	// may be those of Period, inside of a bucket; every other one is the bound of one.
	Edges  []time.Time
	Period *reckoner.Period // only what counts in this billing period; nil: in any
	Limit  int
	After  *UsageCursor // the last row of the page before; nil: none
}

// PeriodQuery asks for the usage of a subject in the billing periods that overlap [From, To), in the order of UsageCursor.
type PeriodQuery struct {
	Subject
	Meter    string
	From, To time.Time
	Limit    int
	After    *UsageCursor
}

// UsageRow is what a meter comes to in a window. Of an interval meter it is the sum, net of reverts; of a level the newest
// reading in the window, of an account that of each subscription, added; of a rate the greatest reading.
type UsageRow struct {
	Window    reckoner.Period
	Meter     string
	MeterType reckoner.MeterType
	Quantity  reckoner.Quantity
	Events    uint64 // usages that count
	Reverts   uint64
}

// UsageCursor is a place in the order of rows: by the window's start and end, the meter, its type.
type UsageCursor struct {
	Window    reckoner.Period
	Meter     string
	MeterType reckoner.MeterType
}

// UsagePage is a part of the rows that a query asks for.
type UsagePage struct {
	Rows []UsageRow
	// AsOf is the position of the last event that changed a total of the subject, in whichever window: every event of
	// the subject up to it is in the figures, and none after it. Nil: the subject has no totals, or the page has no rows
	// and After was made up.
	AsOf *reckoner.Position
}

// PeriodUsed is what a subscription has used of an interval meter in a billing period, net of reverts.
type PeriodUsed struct {
	SubscriptionID string
	Meter          string
	Period         reckoner.Period
	Quantity       reckoner.Quantity
}

// PeriodsUsed is what several subscriptions have used.
type PeriodsUsed struct {
	Rows []PeriodUsed
	AsOf *reckoner.Position // as in UsagePage, of all these subscriptions; nil without rows
}

// StoryQuery asks for the events of an account that carry one id: a usage and a revert may share it, and every repetition
// is an event of its own.
type StoryQuery struct {
	AccountID string
	EventID   string
	Limit     int
	After     *reckoner.Position // the last event of the page before; nil: none
}

// StoryEvent is one event of the id, and what belongs to it. Exactly one of Entry and Refusal is set.
type StoryEvent struct {
	Entry   *Entry
	Refusal *Refusal
	Revert  *Entry // of an entry of kind usage: the revert that took it back
	Usage   *Entry // of a revert: the usage it names, where that counts
}

// Position is where the event stands.
func (e *StoryEvent) Position() reckoner.Position {
	if e.Entry != nil {
		return e.Entry.Position
	}
	return e.Refusal.Position
}
