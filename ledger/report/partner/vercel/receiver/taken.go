package receiver

import (
	"time"

	"github.com/shopspring/decimal"
)

// Taken is a report that was accepted.
type Taken struct {
	At        time.Time // when it came
	Timestamp time.Time
	EOD       time.Time
	// PeriodStart and PeriodEnd are the billing period's bounds. With EOD they say which day part the report is of.
	PeriodStart, PeriodEnd time.Time

	Body      []byte // the exact bytes
	Usage     []Usage
	Items     []Item
	Discounts []Discount
}

// Usage is a usage row. Decimals are exact: no float ever held them.
type Usage struct {
	ResourceID        string // empty: the whole installation
	Name, Type, Units string
	Day, Period       decimal.Decimal
	Plan              *decimal.Decimal // nil: no limit is given
}

// Item is a billing item.
type Item struct {
	BillingPlanID, ResourceID, Name, Details, Units string
	Price, Quantity, Total                          decimal.Decimal
	Start, End                                      time.Time // zero: not given
}

// Discount is an amount off the bill.
type Discount struct {
	BillingPlanID, ResourceID, Name, Details string
	Amount                                   decimal.Decimal
	Start, End                               time.Time // zero: not given
}

// part is what a report is of. Of each part the report with the newest timestamp is the one that stands.
type part struct{ start, end, eod time.Time }

func (t *Taken) part() part { return part{t.PeriodStart, t.PeriodEnd, t.EOD} }
