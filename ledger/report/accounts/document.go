package accounts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"reckoner"
)

// Document is the statements of an account: one for each billing period that is asked for, by start and end. Quantities and
// money are strings in JSON: readers in many languages take numbers through binary floats.
type Document struct {
	AccountID      string      `json:"account_id"`
	SubscriptionID string      `json:"subscription_id,omitempty"` // where one was asked for
	Period         string      `json:"period"`                    // what was asked for
	AsOf           AsOf        `json:"as_of"`
	Rules          int         `json:"rules"` // by which it was made: see report.Rules
	Statements     []Statement `json:"statements"`
}

// AsOf says when the ledger was read, and the last event that is in any of the statements.
type AsOf struct {
	Time     string    `json:"time"`     // before the read
	Position *Position `json:"position"` // nil: nothing was used
}

// Position is a place in the log.
type Position struct {
	Log       uint32 `json:"log"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Index     int32  `json:"index"`
}

// Statement is what was used in one billing period, and what it costs.
type Statement struct {
	Start          string         `json:"start"`
	End            string         `json:"end"`
	Ended          bool           `json:"ended"` // the period is over; else the figures are those up to now
	AsOf           *Position      `json:"as_of"` // every event of these figures up to it is in them, and none after it; nil: nothing was used
	Subscriptions  []Subscription `json:"subscriptions"`
	Usage          []Usage        `json:"usage"` // of all of them, by meter
	BySubscription []Usage        `json:"usage_by_subscription"`
	Items          []Item         `json:"items"`
	Discounts      []Discount     `json:"discounts"`
	ItemsTotal     string         `json:"items_total"`
	DiscountsTotal string         `json:"discounts_total"`
	Total          string         `json:"total"` // the items less the discounts; 0.00 where the discounts are more
}

// Subscription is one whose usage is in a statement. That without an id is usage that names none.
type Subscription struct {
	ID     string `json:"subscription_id"`
	PlanID string `json:"plan_id"`        // empty: none
	Gone   bool   `json:"gone,omitempty"` // the catalog no longer has it
}

// Usage is what was used of a meter.
type Usage struct {
	SubscriptionID *string            `json:"subscription_id,omitempty"`
	Meter          string             `json:"meter"`
	MeterType      string             `json:"meter_type"`
	Unit           string             `json:"unit"`
	Quantity       reckoner.Quantity  `json:"quantity"`
	Limit          *reckoner.Quantity `json:"limit"` // null: none, or not of every subscription
}

// Item is what one meter costs a subscription.
type Item struct {
	SubscriptionID string            `json:"subscription_id"`
	PlanID         string            `json:"plan_id"`
	Meter          string            `json:"meter"`
	Unit           string            `json:"unit"`
	Included       reckoner.Quantity `json:"included"`
	Quantity       reckoner.Quantity `json:"quantity"` // beyond what is included
	UnitPrice      string            `json:"unit_price"`
	Total          string            `json:"total"` // rounded once, half-even, to two decimals
}

// Discount is what a plan takes off a subscription's bill.
type Discount struct {
	SubscriptionID string `json:"subscription_id"`
	PlanID         string `json:"plan_id"`
	Name           string `json:"name"`
	Amount         string `json:"amount"`
}

// JSON returns the document as it is answered and printed, without white space.
func (d *Document) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("encode the statement of account %q: %w", d.AccountID, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func positionOf(p *reckoner.Position) *Position {
	if p == nil {
		return nil
	}
	return &Position{p.Log, p.Partition, p.Offset, p.Index}
}

// String returns the position as the ledger writes it, empty for none.
func (p *Position) String() string {
	if p == nil {
		return ""
	}
	return reckoner.Position{Log: p.Log, Partition: p.Partition, Offset: p.Offset, Index: p.Index}.String()
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
