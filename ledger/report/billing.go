package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"reckoner"
	"reckoner/internal/catalog"
)

// cents is how many decimals a total has.
const cents = 2

// Item is what one meter costs a resource in the period, so far.
type Item struct {
	ResourceID string // empty: the whole installation
	PlanID     string
	Meter      reckoner.Meter
	Price      decimal.Decimal   // of one unit
	Quantity   reckoner.Quantity // beyond what is included
	Start, End time.Time         // where the resource has the subscription for a part of the period only; else zero
}

// Cost returns price × quantity, exact.
func (i *Item) Cost() decimal.Decimal {
	return i.Price.Mul(decimal.NewFromBigInt(i.Quantity.Big(), -reckoner.Decimals))
}

// Total returns the cost as it is charged: with two decimals, rounded half-even, once.
func (i *Item) Total() string { return i.Cost().StringFixedBank(cents) }

// Discount is an amount that a plan takes off the period's bill.
type Discount struct {
	ResourceID string
	PlanID     string
	Name       string
	Amount     decimal.Decimal
}

// itemKey orders items.
type itemKey struct {
	resource, plan, meter string
	start, end            time.Time
}

func (k itemKey) compare(o itemKey) int {
	return cmp.Or(cmp.Compare(k.resource, o.resource), cmp.Compare(k.plan, o.plan), cmp.Compare(k.meter, o.meter),
		k.start.Compare(o.start), k.end.Compare(o.end))
}

// items returns an item for every price of a subscription's plan and every stretch of it, used or not. Those of
// subscriptions that differ in nothing a partner sees are one. What is included counts once for a subscription and
// period, the earlier stretch first: the quantities of a subscription always add up to what it used beyond.
func (m *maker) items() ([]Item, error) {
	items := make(map[itemKey]*Item)
	for _, a := range m.accounts {
		if a.plan == nil {
			continue
		}
		for i := range a.plan.Prices {
			price := &a.plan.Prices[i]
			if price.UnitPrice.Sign() < 0 {
				return nil, fmt.Errorf("plan %q: the price of meter %q is negative", a.plan.ID, price.Meter)
			}
			if err := m.charge(items, &a, price); err != nil {
				return nil, fmt.Errorf("plan %q: meter %q: %w", a.plan.ID, price.Meter, err)
			}
		}
	}
	out := make([]Item, 0, len(items))
	for _, k := range slices.SortedFunc(maps.Keys(items), itemKey.compare) {
		out = append(out, *items[k])
	}
	return out, nil
}

func (m *maker) charge(items map[itemKey]*Item, a *account, price *catalog.Price) error {
	of := m.measure(price.Meter)
	var used, charged reckoner.Quantity // by the stretches so far
	for _, s := range m.stretches[a.id] {
		q, err := fold(m.book[line{a.id, of}], s.Period, m.periodMoment)
		if err != nil {
			return err
		}
		if used, err = join(of.kind, used, q); err != nil {
			return err
		}
		until, err := beyond(used, price.Included)
		if err != nil {
			return err
		}
		more, err := until.Sub(charged)
		if err != nil {
			return err
		}
		charged = until
		k := itemKey{s.resource, a.plan.ID, price.Meter, s.from, s.to}
		item, ok := items[k]
		if !ok {
			item = &Item{
				ResourceID: s.resource, PlanID: a.plan.ID, Meter: m.meter(of), Price: price.UnitPrice, Start: s.from, End: s.to,
			}
			items[k] = item
		}
		if item.Quantity, err = item.Quantity.Add(more); err != nil {
			return err
		}
	}
	return nil
}

// beyond returns what is used beyond the included quantity.
func beyond(used, included reckoner.Quantity) (reckoner.Quantity, error) {
	if used.Cmp(included) <= 0 {
		return reckoner.Quantity{}, nil
	}
	return used.Sub(included)
}

// discounts returns what the plans take off. A subscription's discount goes to the resource that had it last. It is the
// amount that the plan grants, whatever the bill comes to: the partner writes the invoice.
func (m *maker) discounts() ([]Discount, error) {
	type key struct{ resource, plan, name string }
	all := make(map[key]decimal.Decimal)
	for _, a := range m.accounts {
		held := m.stretches[a.id]
		if a.plan == nil || len(held) == 0 {
			continue
		}
		for i := range a.plan.Discounts {
			d := &a.plan.Discounts[i]
			if d.Amount.Sign() < 0 {
				return nil, fmt.Errorf("plan %q: the discount %q is negative", a.plan.ID, d.Name)
			}
			k := key{held[len(held)-1].resource, a.plan.ID, d.Name}
			all[k] = all[k].Add(d.Amount)
		}
	}
	out := make([]Discount, 0, len(all))
	for k, amount := range all {
		out = append(out, Discount{ResourceID: k.resource, PlanID: k.plan, Name: k.name, Amount: amount})
	}
	slices.SortFunc(out, func(a, b Discount) int {
		return cmp.Or(cmp.Compare(a.ResourceID, b.ResourceID), cmp.Compare(a.PlanID, b.PlanID), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}
