package accounts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
)

// cents is how many decimals an amount of money has.
const cents = 2

// terms returns those of one member: an installation without resources that has one subscription, or none.
func (q *Query) terms(m member, meters map[string]reckoner.Meter) (*report.Terms, error) {
	t := &report.Terms{Installation: &catalog.Installation{ID: q.AccountID, AccountID: q.AccountID}, Meters: meters}
	if m.id == "" {
		return t, nil
	}
	s := m.subscription
	if s == nil {
		s = &catalog.Subscription{ID: m.id, AccountID: q.AccountID, Cycle: m.row()}
	}
	t.Subscriptions = []*catalog.Subscription{s}
	if s.Plan == "" {
		return t, nil
	}
	p, ok := q.Catalog.Plan(s.Plan)
	if !ok {
		return nil, fmt.Errorf("the catalog has no plan %q, which subscription %q is on", s.Plan, s.ID)
	}
	t.Plans = map[string]*catalog.Plan{p.ID: p}
	return t, nil
}

// part returns the day in which a period stands: the one that holds now, or the last.
func (q *Query) part(m member, p reckoner.Period) report.Part {
	at := q.Now
	if !p.Contains(at) {
		at = p.End.Add(-1)
	}
	return report.Calendar{Cycle: m.row()}.At(at)
}

// edges returns where the ledger is to be cut for a sheet. Its members have one period, so they have the same days.
func (q *Query) edges(s *sheet) []time.Time {
	t := &report.Terms{Installation: &catalog.Installation{}}
	return t.Edges(q.part(s.members[0], s.period))
}

// document makes the statements of the sheets from their figures.
func (q *Query) document(sheets []*sheet, figures []ledger.Figures) (*Document, error) {
	d := &Document{AccountID: q.AccountID, SubscriptionID: q.SubscriptionID, Period: q.When.String(), Rules: report.Rules, Statements: []Statement{}}
	d.AsOf.Time = timeText(q.Now)
	meters := report.MetersOf(q.Catalog)
	var asOf *reckoner.Position
	var bare []Statement // that nothing is in
	for i, s := range sheets {
		b, err := q.statement(s, &figures[i], meters)
		if err != nil {
			return nil, fmt.Errorf("statement of account %q for [%s, %s): %w", q.AccountID, timeText(s.period.Start), timeText(s.period.End), err)
		}
		if p := figures[i].AsOf; p != nil && (asOf == nil || p.Cmp(*asOf) > 0) {
			asOf = p
		}
		if len(b.Subscriptions) == 0 {
			bare = append(bare, *b)
			continue
		}
		d.Statements = append(d.Statements, *b)
	}
	if len(d.Statements) == 0 {
		d.Statements = bare
	}
	d.AsOf.Position = positionOf(asOf)
	return d, nil
}

// statement makes one statement. Who is in the ledger only, and has nothing in this period, is not in it.
func (q *Query) statement(s *sheet, f *ledger.Figures, meters map[string]reckoner.Meter) (*Statement, error) {
	readings := make(map[string][]report.Reading, len(s.members))
	for _, m := range s.members {
		readings[m.id] = nil
	}
	for _, r := range f.Rows {
		if _, asked := readings[r.SubscriptionID]; !asked {
			return nil, fmt.Errorf("the ledger gave figures of subscription %q, which were not asked for", r.SubscriptionID)
		}
		readings[r.SubscriptionID] = append(readings[r.SubscriptionID], report.Reading(r))
	}
	b := newBill(s.period, q.Now, f.AsOf)
	for _, m := range s.members {
		terms, err := q.terms(m, meters)
		if err != nil {
			return nil, err
		}
		made, err := report.Make(report.Input{
			Terms: terms, Part: q.part(m, s.period), Readings: readings[m.id], AsOf: f.AsOf, Moment: q.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("subscription %q: %w", m.id, err)
		}
		if m.subscription == nil && len(made.Rows) == 0 {
			continue
		}
		if err := b.add(m, terms, made); err != nil {
			return nil, err
		}
	}
	return b.end(), nil
}

// bill is a statement in the making.
type bill struct {
	Statement
	rows             map[rowKey]*Usage
	items, discounts decimal.Decimal
}

// rowKey orders the rows of a statement. A meter whose type was changed has a row for each.
type rowKey struct {
	meter string
	kind  reckoner.MeterType
}

func (k rowKey) compare(o rowKey) int {
	return cmp.Or(cmp.Compare(k.meter, o.meter), cmp.Compare(k.kind, o.kind))
}

func newBill(p reckoner.Period, now time.Time, asOf *reckoner.Position) *bill {
	return &bill{rows: make(map[rowKey]*Usage), Statement: Statement{
		Start: timeText(p.Start), End: timeText(p.End), Ended: !now.Before(p.End), AsOf: positionOf(asOf),
		Subscriptions: []Subscription{}, Usage: []Usage{}, BySubscription: []Usage{}, Items: []Item{}, Discounts: []Discount{},
	}}
}

// add puts a subscription's own statement into the bill. Each of its items was rounded by itself.
func (b *bill) add(m member, t *report.Terms, s *report.Statement) error {
	line := Subscription{ID: m.id, Gone: m.gone()}
	var plan *catalog.Plan
	if m.subscription != nil && m.subscription.Plan != "" {
		plan = t.Plans[m.subscription.Plan]
		line.PlanID = plan.ID
	}
	b.Subscriptions = append(b.Subscriptions, line)
	for i := range s.Rows {
		if err := b.use(m.id, &s.Rows[i]); err != nil {
			return err
		}
	}
	for i := range s.Items {
		item := &s.Items[i]
		b.items = b.items.Add(item.Cost().RoundBank(cents))
		b.Items = append(b.Items, Item{
			SubscriptionID: m.id, PlanID: item.PlanID, Meter: item.Meter.Name, Unit: item.Meter.Unit, Included: included(plan, item.Meter.Name),
			Quantity: item.Quantity, UnitPrice: item.Price.String(), Total: item.Total(),
		})
	}
	for _, d := range s.Discounts {
		b.discounts = b.discounts.Add(d.Amount.RoundBank(cents))
		b.Discounts = append(b.Discounts, Discount{SubscriptionID: m.id, PlanID: d.PlanID, Name: d.Name, Amount: d.Amount.StringFixedBank(cents)})
	}
	return nil
}

// included returns what a plan includes of a meter.
func included(p *catalog.Plan, meter string) reckoner.Quantity {
	for i := range p.Prices {
		if p.Prices[i].Meter == meter {
			return p.Prices[i].Included
		}
	}
	return reckoner.Quantity{}
}

// use adds a subscription's row, and folds it into that of the account: peaks to the greatest, all else to the sum. The
// limit is the sum where every subscription has one, else it would be too little.
func (b *bill) use(subscriptionID string, r *report.Row) (err error) {
	u := Usage{
		SubscriptionID: &subscriptionID, Meter: r.Meter.Name, MeterType: r.Meter.Type.String(), Unit: r.Meter.Unit, Quantity: r.Period, Limit: r.Limit,
	}
	b.BySubscription = append(b.BySubscription, u)
	k := rowKey{r.Meter.Name, r.Meter.Type}
	whole, ok := b.rows[k]
	if !ok {
		u.SubscriptionID = nil
		b.rows[k] = &u
		return nil
	}
	if r.Meter.Type != reckoner.Rate {
		whole.Quantity, err = whole.Quantity.Add(r.Period)
	} else if r.Period.Cmp(whole.Quantity) > 0 {
		whole.Quantity = r.Period
	}
	if err != nil {
		return fmt.Errorf("usage of meter %q: %w", k.meter, err)
	}
	if whole.Limit == nil || r.Limit == nil {
		whole.Limit = nil
		return nil
	}
	sum, err := whole.Limit.Add(*r.Limit)
	if err != nil {
		return fmt.Errorf("limits on meter %q: %w", k.meter, err)
	}
	whole.Limit = &sum
	return nil
}

// end orders the rows of the account, and adds up the money.
func (b *bill) end() *Statement {
	for _, k := range slices.SortedFunc(maps.Keys(b.rows), rowKey.compare) {
		b.Usage = append(b.Usage, *b.rows[k])
	}
	total := b.items.Sub(b.discounts)
	if total.IsNegative() {
		total = decimal.Zero
	}
	b.ItemsTotal, b.DiscountsTotal, b.Total = b.items.StringFixed(cents), b.discounts.StringFixed(cents), total.StringFixed(cents)
	return &b.Statement
}
