package receiver

import (
	"slices"

	"github.com/shopspring/decimal"
)

// report reads the whole body.
func (r *reader) report(t *Taken) {
	r.object("",
		field{name: "timestamp", read: r.time(&t.Timestamp)},
		field{name: "eod", read: r.time(&t.EOD)},
		field{name: "period", read: func(path string) {
			r.object(path, field{name: "start", read: r.time(&t.PeriodStart)}, field{name: "end", read: r.time(&t.PeriodEnd)})
		}},
		field{name: "billing", read: func(path string) { r.billing(path, t) }},
		field{name: "usage", read: func(path string) {
			before := r.count
			r.list(path, func(path string) { r.usage(path, t) })
			r.usageBroken = r.count > before
		}},
	)
}

// billing reads an array of items, or an object of items and discounts.
func (r *reader) billing(path string, t *Taken) {
	items := func(path string) {
		r.items = path
		r.list(path, func(path string) { r.item(path, t) })
	}
	switch r.d.PeekKind() {
	case '[':
		items(path)
	case '{':
		r.object(path, field{name: "items", read: items}, field{name: "discounts", optional: true, read: func(path string) {
			r.list(path, func(path string) { r.discount(path, t) })
		}})
	default:
		r.begin('{', path, "an array of items, or an object of items and discounts")
	}
}

func (r *reader) item(path string, t *Taken) {
	var i Item
	before := r.count
	r.object(path,
		field{name: "billingPlanId", read: r.text(&i.BillingPlanID)},
		field{name: "resourceId", optional: true, read: r.text(&i.ResourceID)},
		field{name: "start", optional: true, read: r.time(&i.Start)},
		field{name: "end", optional: true, read: r.time(&i.End)},
		field{name: "name", read: r.text(&i.Name)},
		field{name: "details", optional: true, read: r.note(&i.Details)},
		field{name: "price", read: r.money(&i.Price)},
		field{name: "quantity", read: r.number(&i.Quantity)},
		field{name: "units", read: r.text(&i.Units)},
		field{name: "total", read: r.money(&i.Total)},
	)
	t.Items = append(t.Items, i)
	r.itemBroken = append(r.itemBroken, r.count > before)
}

func (r *reader) discount(path string, t *Taken) {
	var d Discount
	r.object(path,
		field{name: "billingPlanId", read: r.text(&d.BillingPlanID)},
		field{name: "resourceId", optional: true, read: r.text(&d.ResourceID)},
		field{name: "start", optional: true, read: r.time(&d.Start)},
		field{name: "end", optional: true, read: r.time(&d.End)},
		field{name: "name", read: r.text(&d.Name)},
		field{name: "details", optional: true, read: r.note(&d.Details)},
		field{name: "amount", read: r.money(&d.Amount)},
	)
	t.Discounts = append(t.Discounts, d)
}

// kinds returns the types that a metric can be of.
func kinds() []string { return []string{"interval", "total", "rate"} }

func (r *reader) usage(path string, t *Taken) {
	var u Usage
	r.object(path,
		field{name: "resourceId", optional: true, read: r.text(&u.ResourceID)},
		field{name: "name", read: r.text(&u.Name)},
		field{name: "type", read: func(path string) {
			var ok bool
			if u.Type, ok = r.leaf('"', path, "a string"); ok && !slices.Contains(kinds(), u.Type) {
				r.fault(path, "is %q: want interval, total or rate", clip(u.Type))
			}
		}},
		field{name: "units", read: r.text(&u.Units)},
		field{name: "dayValue", read: r.number(&u.Day)},
		field{name: "periodValue", read: r.number(&u.Period)},
		field{name: "planValue", optional: true, read: func(path string) { u.Plan = new(decimal.Decimal); r.number(u.Plan)(path) }},
	)
	t.Usage = append(t.Usage, u)
}
