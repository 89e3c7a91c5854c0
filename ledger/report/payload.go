package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"reckoner"
)

// Payload is a statement as the partner takes it. Values are running totals, never increments.
type Payload struct {
	Timestamp Time        `json:"timestamp"`
	EOD       Time        `json:"eod"`
	Period    PeriodOf    `json:"period"`
	Billing   Billing     `json:"billing"`
	Usage     []UsageLine `json:"usage"`
}

// PeriodOf is a billing period on the wire.
type PeriodOf struct {
	Start Time `json:"start"`
	End   Time `json:"end"`
}

// Billing is items and discounts. Without discounts it goes over the wire as the array of its items.
type Billing struct {
	Items     []BillingItem  `json:"items"`
	Discounts []DiscountLine `json:"discounts"`
}

// BillingItem is an Item on the wire. Its name is that of its meter, so that the partner shows cost beside usage.
type BillingItem struct {
	BillingPlanID string `json:"billingPlanId"`
	ResourceID    string `json:"resourceId,omitzero"`
	Start         Time   `json:"start,omitzero"`
	End           Time   `json:"end,omitzero"`
	Name          string `json:"name"`
	Price         string `json:"price"`
	Quantity      Number `json:"quantity"`
	Units         string `json:"units"`
	Total         string `json:"total"`
}

// DiscountLine is a Discount on the wire.
type DiscountLine struct {
	BillingPlanID string `json:"billingPlanId"`
	ResourceID    string `json:"resourceId,omitzero"`
	Name          string `json:"name"`
	Amount        string `json:"amount"`
}

// UsageLine is a Row on the wire.
type UsageLine struct {
	ResourceID  string  `json:"resourceId,omitzero"`
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Units       string  `json:"units"`
	DayValue    Number  `json:"dayValue"`
	PeriodValue Number  `json:"periodValue"`
	PlanValue   *Number `json:"planValue,omitzero"`
}

// Payload returns the statement in the partner's form.
func (s *Statement) Payload() *Payload {
	p := &Payload{
		Timestamp: Time(s.Timestamp), EOD: Time(s.Part.Day.End),
		Period:  PeriodOf{Start: Time(s.Part.Period.Start), End: Time(s.Part.Period.End)},
		Billing: Billing{Items: make([]BillingItem, 0, len(s.Items))}, Usage: make([]UsageLine, 0, len(s.Rows)),
	}
	for i := range s.Items {
		item := &s.Items[i]
		p.Billing.Items = append(p.Billing.Items, BillingItem{
			BillingPlanID: item.PlanID, ResourceID: item.ResourceID, Start: Time(item.Start), End: Time(item.End),
			Name: item.Meter.Name, Price: item.Price.String(), Quantity: Number(item.Quantity), Units: item.Meter.Unit, Total: item.Total(),
		})
	}
	for _, d := range s.Discounts {
		p.Billing.Discounts = append(p.Billing.Discounts, DiscountLine{
			BillingPlanID: d.PlanID, ResourceID: d.ResourceID, Name: d.Name, Amount: d.Amount.StringFixedBank(cents),
		})
	}
	for _, r := range s.Rows {
		p.Usage = append(p.Usage, UsageLine{
			ResourceID: r.ResourceID, Name: r.Meter.Name, Type: r.Meter.Type.String(), Units: r.Meter.Unit,
			DayValue: Number(r.Day), PeriodValue: Number(r.Period), PlanValue: (*Number)(r.Limit),
		})
	}
	return p
}

// Encode returns the canonical bytes: the keys in the order of the types, no white space, no escapes for HTML,
// nothing null. They are what is sent, stored and hashed.
func (p *Payload) Encode() ([]byte, error) {
	b, err := encode(p)
	if err != nil {
		return nil, fmt.Errorf("payload for the day that ends at %s: %w", time.Time(p.EOD).Format(time.RFC3339), err)
	}
	return b, nil
}

// Figures returns the SHA-256 of the canonical bytes with a timestamp of zero: what the payload says, whenever it is said.
// Nothing that a payload holds can fail to encode.
func (p *Payload) Figures() [sha256.Size]byte {
	said := *p
	said.Timestamp = Time{}
	b, err := said.Encode()
	if err != nil {
		panic(err)
	}
	return sha256.Sum256(b)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// MarshalJSON leaves out what is not there.
func (b Billing) MarshalJSON() ([]byte, error) {
	if len(b.Discounts) == 0 {
		return encode(b.Items)
	}
	type plain Billing
	return encode(plain(b))
}

// Number is a quantity as a JSON number, digit by digit. No float ever holds it.
type Number reckoner.Quantity

// MarshalJSON returns the canonical text.
func (n Number) MarshalJSON() ([]byte, error) { return reckoner.Quantity(n).Append(nil), nil }

// Time is a time on the wire: RFC 3339 in UTC with milliseconds, cut, never rounded up.
type Time time.Time

// IsZero reports whether the time is none.
func (t Time) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSON returns the text in quotes.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(wireTime(time.Time(t)).Format(`"2006-01-02T15:04:05.000Z"`)), nil
}
