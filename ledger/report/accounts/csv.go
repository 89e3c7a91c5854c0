package accounts

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// The kinds of lines of a CSV file.
const (
	csvUsage          = "usage"
	csvBySubscription = "usage_by_subscription"
	csvItem           = "item"
	csvDiscount       = "discount"
	csvItemsTotal     = "items_total"
	csvDiscountsTotal = "discounts_total"
	csvTotal          = "total"
)

// csvHeader names the columns. New ones are added at the end.
func csvHeader() []string {
	return []string{
		"account_id", "period_start", "period_end", "ended", "line", "subscription_id", "plan_id", "meter", "meter_type", "unit",
		"quantity", "limit", "included", "unit_price", "name", "amount", "as_of_time", "as_of_position", "rules",
	}
}

// csvLine is what differs between the lines of a statement.
type csvLine struct {
	kind, subscription, plan, meter, meterType, unit string
	quantity, limit, included, price, name, amount   string
}

// WriteCSV writes the document as RFC 4180 has it: a header, and then a line for each row, item, discount and sum of each
// statement, in the order of the document.
func (d *Document) WriteCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	w.UseCRLF = true
	err := w.Write(csvHeader())
	for i := range d.Statements {
		s := &d.Statements[i]
		for _, l := range s.csvLines() {
			if err == nil {
				err = w.Write([]string{
					d.AccountID, s.Start, s.End, strconv.FormatBool(s.Ended), l.kind, l.subscription, l.plan, l.meter, l.meterType, l.unit,
					l.quantity, l.limit, l.included, l.price, l.name, l.amount, d.AsOf.Time, s.AsOf.String(), strconv.Itoa(d.Rules),
				})
			}
		}
	}
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	if err != nil {
		return fmt.Errorf("write the statement of account %q: %w", d.AccountID, err)
	}
	return nil
}

func (s *Statement) csvLines() []csvLine {
	lines := make([]csvLine, 0, len(s.Usage)+len(s.BySubscription)+len(s.Items)+len(s.Discounts)+3)
	for i := range s.Usage {
		lines = append(lines, s.Usage[i].csvLine(csvUsage))
	}
	for i := range s.BySubscription {
		lines = append(lines, s.BySubscription[i].csvLine(csvBySubscription))
	}
	for i := range s.Items {
		item := &s.Items[i]
		lines = append(lines, csvLine{
			kind: csvItem, subscription: item.SubscriptionID, plan: item.PlanID, meter: item.Meter, unit: item.Unit, quantity: item.Quantity.String(),
			included: item.Included.String(), price: item.UnitPrice, amount: item.Total,
		})
	}
	for _, c := range s.Discounts {
		lines = append(lines, csvLine{kind: csvDiscount, subscription: c.SubscriptionID, plan: c.PlanID, name: c.Name, amount: c.Amount})
	}
	return append(lines, csvLine{kind: csvItemsTotal, amount: s.ItemsTotal}, csvLine{kind: csvDiscountsTotal, amount: s.DiscountsTotal},
		csvLine{kind: csvTotal, amount: s.Total})
}

func (u *Usage) csvLine(kind string) csvLine {
	l := csvLine{kind: kind, meter: u.Meter, meterType: u.MeterType, unit: u.Unit, quantity: u.Quantity.String(), limit: u.limit()}
	if u.SubscriptionID != nil {
		l.subscription = *u.SubscriptionID
	}
	return l
}

// limit returns the limit as text; empty: none.
func (u *Usage) limit() string {
	if u.Limit == nil {
		return ""
	}
	return u.Limit.String()
}
