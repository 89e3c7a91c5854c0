package catalog

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"reckoner"
)

func (d *decoder) meter(n *node) {
	m := &Meter{Meter: reckoner.Meter{Unit: "units", Type: reckoner.Interval}}
	d.object(n, []string{"name", "unit", "type", "match", "priority"}, func(f *field) {
		switch f.key {
		case "name":
			m.Name = d.text(f)
		case "unit":
			m.Unit = d.text(f)
		case "type":
			m.Type = reckoner.MeterType(d.choice(f, "interval", "total", "rate")) + reckoner.Interval
		case "match":
			m.Match = d.match(f)
		case "priority":
			m.Priority = d.integer(f)
		}
	})
	d.meters = append(d.meters, m)
	d.want(n, "name", m.Name)
}

func (d *decoder) match(f *field) *Match {
	m := new(Match)
	d.object(&f.value, []string{"type", "source", "metadata"}, func(f *field) {
		switch f.key {
		case "type":
			m.Type = []string{creditMeter, featureMeter}[d.choice(f, creditMeter, featureMeter)]
		case "source":
			m.Source = d.text(f)
		case "metadata":
			m.Metadata = d.metadata(f)
		}
	})
	return m
}

// metadata reads what a usage's metadata must hold. As there, 5 and "5" are different.
func (d *decoder) metadata(f *field) []reckoner.Label {
	if f.value.kind != nodeObject {
		d.fault(f.line, "want an object, as in {region: eu}")
		return nil
	}
	if len(f.value.fields) == 0 {
		return nil
	}
	labels := make([]reckoner.Label, 0, len(f.value.fields))
	for _, kv := range f.value.fields {
		v := &kv.value
		label := reckoner.Label{Key: kv.key, Value: v.text, JSON: v.kind != nodeText}
		switch {
		case v.kind == nodeNumber || v.kind == nodeBool:
			if !json.Valid([]byte(v.text)) {
				d.fault(kv.line, "%q: %s is no JSON: write it as JSON does, or in quotes as text", clip(kv.key), clip(v.text))
			}
		case v.kind != nodeText:
			d.fault(kv.line, "%q: want text, a number, true or false", clip(kv.key))
		}
		labels = append(labels, label)
	}
	slices.SortFunc(labels, func(a, b reckoner.Label) int { return strings.Compare(a.Key, b.Key) })
	for i := 1; i < len(labels); i++ {
		if labels[i-1].Key == labels[i].Key {
			d.fault(f.line, "the key %q is repeated", clip(labels[i].Key))
		}
	}
	return labels
}

func (d *decoder) plan(n *node) {
	p := new(Plan)
	d.object(n, []string{"id", "name", "prices", "discounts"}, func(f *field) {
		switch f.key {
		case "id":
			p.ID = d.id(f)
		case "name":
			p.Name = d.text(f)
		case "prices":
			d.elements(f, func(n *node) { d.price(n, p) })
		case "discounts":
			d.elements(f, func(n *node) { d.discount(n, p) })
		}
	})
	if p.Name == "" {
		p.Name = p.ID
	}
	d.plans = append(d.plans, p)
	d.want(n, "id", p.ID)
}

func (d *decoder) price(n *node, p *Plan) {
	var price Price
	if !d.object(n, []string{"meter", "unit_price", "included"}, func(f *field) {
		switch f.key {
		case "meter":
			price.Meter = d.text(f)
			d.remember(MeterKind, price.Meter, f.line)
		case "unit_price":
			price.UnitPrice = d.money(f)
		case "included":
			price.Included = d.quantity(f)
		}
	}) {
		return
	}
	d.want(n, "meter", price.Meter)
	if price.Meter != "" && slices.ContainsFunc(p.Prices, func(q Price) bool { return q.Meter == price.Meter }) {
		d.fault(n.line, "the plan has a price for meter %q already", clip(price.Meter))
	}
	p.Prices = append(p.Prices, price)
}

func (d *decoder) discount(n *node, p *Plan) {
	var discount Discount
	if !d.object(n, []string{"name", "amount"}, func(f *field) {
		switch f.key {
		case "name":
			discount.Name = d.text(f)
		case "amount":
			discount.Amount = d.money(f)
		}
	}) {
		return
	}
	d.want(n, "name", discount.Name)
	if discount.Name != "" && slices.ContainsFunc(p.Discounts, func(q Discount) bool { return q.Name == discount.Name }) {
		d.fault(n.line, "the plan has a discount %q already", clip(discount.Name))
	}
	p.Discounts = append(p.Discounts, discount)
}

func (d *decoder) subscription(n *node) {
	s := new(Subscription)
	d.object(n, []string{"id", "account", "plan", "meter", "limit", "period"}, func(f *field) {
		switch f.key {
		case "id":
			s.ID = d.id(f)
		case "account":
			s.AccountID = d.refer(AccountKind, f)
		case "plan":
			s.Plan = d.refer(PlanKind, f)
		case "meter":
			s.Meter = d.text(f)
			d.remember(MeterKind, s.Meter, f.line)
		case "limit":
			q := d.quantity(f)
			s.Limit = &q
		case "period":
			s.Cycle = d.cycle(f)
		}
	})
	d.subscriptions = append(d.subscriptions, s)
	d.want(n, "id", s.ID)
	d.want(n, "account", s.AccountID)
}

func (d *decoder) cycle(f *field) reckoner.Cycle {
	var c reckoner.Cycle
	d.object(&f.value, []string{"anchor", "every"}, func(f *field) {
		switch f.key {
		case "anchor":
			c.Anchor = d.time(f)
		case "every":
			c.Every = reckoner.Every(d.choice(f, "month", "day", "week", "year"))
		}
	})
	return c
}

func (d *decoder) installation(n *node) {
	in := &Installation{Target: Targets()[0]}
	keys := []string{"id", "target", "account", "base_url", "token_env", "token_file", "day_ends_at", "resources", "aws"}
	ok := d.object(n, keys, func(f *field) {
		switch f.key {
		case "id":
			in.ID = d.id(f)
		case "target":
			in.Target = Targets()[d.choice(f, Targets()...)]
		case "account":
			in.AccountID = d.refer(AccountKind, f)
		case "base_url":
			in.BaseURL = d.checked(f, baseURL)
		case "token_env":
			in.TokenEnv = d.text(f)
		case "token_file":
			in.TokenFile = d.text(f)
		case "day_ends_at":
			d.checked(f, func(s string) (err error) {
				in.DayEndsAt, err = dayEnd(s)
				return err
			})
		case "resources":
			d.elements(f, func(n *node) { d.resource(n, in) })
		case "aws":
			in.AWS = d.marketplace(f)
		}
	})
	d.installations = append(d.installations, in)
	if ok {
		d.aimed(n, in)
	}
	d.want(n, "id", in.ID)
	d.want(n, "account", in.AccountID)
}

func (d *decoder) checked(f *field, check func(string) error) string {
	s := d.text(f)
	if s == "" {
		return ""
	}
	if err := check(s); err != nil {
		d.fault(f.line, "%q: %v", clip(s), err)
	}
	return s
}

func (d *decoder) resource(n *node, in *Installation) {
	var r Resource
	if !d.object(n, []string{"subscription", "resource_id", "from", "to"}, func(f *field) {
		switch f.key {
		case "subscription":
			r.SubscriptionID = d.refer(SubscriptionKind, f)
		case "resource_id":
			r.ResourceID = d.text(f)
		case "from":
			r.From = d.time(f)
		case "to":
			r.To = d.time(f)
		}
	}) {
		return
	}
	d.want(n, "subscription", r.SubscriptionID)
	d.want(n, "resource_id", r.ResourceID)
	if !r.From.IsZero() && !r.To.IsZero() && !r.From.Before(r.To) {
		d.fault(n.line, "from (%s) is not before to (%s)", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	}
	for i, other := range in.Resources {
		if other.SubscriptionID == r.SubscriptionID && r.SubscriptionID != "" && overlap(other, r) {
			d.fault(n.line, "subscription %q counts for resources[%d] at the same time: end that one before", clip(r.SubscriptionID), i)
		}
	}
	in.Resources = append(in.Resources, r)
}

// overlap reports whether there is a time that both resources hold.
func overlap(a, b Resource) bool {
	ends := func(to, from time.Time) bool { return !to.IsZero() && !from.IsZero() && !from.Before(to) }
	return !ends(a.To, b.From) && !ends(b.To, a.From)
}
