package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
)

// Rules numbers the rules by which statements are made. A change that would alter the bytes of a report that was made
// before is a new number, so that a stored report can be made again as it was.
const Rules = 1

// Terms is what the catalog says of an installation. Nothing changes what it refers to.
type Terms struct {
	Installation  *catalog.Installation
	Subscriptions []*catalog.Subscription   // those it reports, ordered by id, with one row of periods
	Plans         map[string]*catalog.Plan  // by id: those of the subscriptions
	Meters        map[string]reckoner.Meter // by name: all there are
	// Gone are subscriptions of the account that it used in the period and that nothing is known of but their use, in order. An
	// installation without resources reports them too, without a plan.
	Gone []string
}

// MetersOf returns the meters of a catalog, the built-in ones included: what the Terms of all its installations share.
func MetersOf(c *catalog.Catalog) map[string]reckoner.Meter {
	meters := make(map[string]reckoner.Meter)
	for _, builtin := range []string{"credit", "feature"} {
		if m, ok := c.Meter(builtin); ok {
			meters[m.Name] = m
		}
	}
	for e := range c.Entities(catalog.MeterKind, "") {
		m := e.(*catalog.Meter)
		meters[m.Name] = m.Meter
	}
	return meters
}

// TermsOf gathers the terms of an installation: the subscriptions are those of its resources, or else all of its account.
func TermsOf(c *catalog.Catalog, meters map[string]reckoner.Meter, in *catalog.Installation) (*Terms, error) {
	t := &Terms{Installation: in, Plans: make(map[string]*catalog.Plan), Meters: meters}
	if len(in.Resources) == 0 {
		t.Subscriptions = slices.Collect(c.SubscriptionsOf(in.AccountID))
	}
	for i := range in.Resources {
		s, ok := c.Subscription(in.Resources[i].SubscriptionID)
		if !ok {
			return nil, fmt.Errorf("installation %q: the catalog has no subscription %q, which is one of its resources", in.ID, in.Resources[i].SubscriptionID)
		}
		t.Subscriptions = append(t.Subscriptions, s)
	}
	slices.SortFunc(t.Subscriptions, func(a, b *catalog.Subscription) int { return cmp.Compare(a.ID, b.ID) })
	t.Subscriptions = slices.CompactFunc(t.Subscriptions, func(a, b *catalog.Subscription) bool { return a.ID == b.ID })
	for _, s := range t.Subscriptions {
		if s.Plan == "" {
			continue
		}
		p, ok := c.Plan(s.Plan)
		if !ok {
			return nil, fmt.Errorf("installation %q: the catalog has no plan %q, which subscription %q is on", in.ID, s.Plan, s.ID)
		}
		t.Plans[p.ID] = p
	}
	return t, nil
}

// Calendar returns the installation's days and periods. Its subscriptions have one row of periods, so the first one speaks
// for all; without any it is the calendar months in UTC.
func (t *Terms) Calendar() Calendar {
	c := Calendar{DayEndsAt: t.Installation.DayEndsAt}
	if len(t.Subscriptions) > 0 {
		c.Cycle = t.Subscriptions[0].Cycle
	}
	return c
}

// Edges returns where the ledger is to be cut for the report of a part, rising: slice i is [edges[i], edges[i+1]). The
// first and the last are those of the period and may lie inside a bucket, as may an edge of the part that is one of those;
// every other one is the bound of a bucket.
func (t *Terms) Edges(part Part) []time.Time {
	edges := []time.Time{part.Period.Start, part.Day.Start, part.Day.End, part.Period.End}
	for i := range t.Installation.Resources {
		r := &t.Installation.Resources[i]
		edges = append(edges, cut(r.From, part.Period, part.Period.Start), cut(r.To, part.Period, part.Period.End))
	}
	slices.SortFunc(edges, time.Time.Compare)
	return slices.CompactFunc(edges, time.Time.Equal)
}

// cut returns where in a period a resource's bound takes effect. The totals are kept by buckets, and a bucket is of the
// resource that holds its start, so a bound inside one moves to its end. A zero time is no bound.
func cut(t time.Time, p reckoner.Period, none time.Time) time.Time {
	switch {
	case t.IsZero():
		return none
	case !t.After(p.Start):
		return p.Start
	}
	if at := reckoner.BucketOf(t); !at.Equal(t) {
		t = at.Add(reckoner.Bucket)
	}
	if t.After(p.End) {
		return p.End
	}
	return t.UTC()
}

// stretch is a time within one period in which a subscription's usage counts for one resource.
type stretch struct {
	reckoner.Period        // where it takes effect: edges of the period or bounds of buckets
	resource        string // empty: the installation itself
	from, to        time.Time
}

// stretches returns, by subscription, those that have begun by the moment, in the order of time. Of one subscription they
// never overlap. Without resources each subscription, and usage that names none, has one.
func (t *Terms) stretches(period reckoner.Period, moment time.Time) map[string][]stretch {
	all := make(map[string][]stretch)
	if len(t.Installation.Resources) == 0 {
		all[""] = []stretch{{Period: period}}
		for _, s := range t.Subscriptions {
			all[s.ID] = all[""]
		}
		for _, id := range t.Gone {
			all[id] = all[""]
		}
		return all
	}
	for i := range t.Installation.Resources {
		r := &t.Installation.Resources[i]
		s := stretch{
			Period:   reckoner.Period{Start: cut(r.From, period, period.Start), End: cut(r.To, period, period.End)},
			resource: r.ResourceID,
		}
		if s.Start.Before(s.End) && !s.Start.After(moment) {
			s.from, s.to = shown(r, period)
			all[r.SubscriptionID] = append(all[r.SubscriptionID], s)
		}
	}
	for _, of := range all {
		slices.SortFunc(of, func(a, b stretch) int { return a.Start.Compare(b.Start) })
	}
	return all
}

// shown returns a resource's bounds within a period, as the catalog has them; zero when it holds the whole of it.
func shown(r *catalog.Resource, p reckoner.Period) (from, to time.Time) {
	from, to = p.Start, p.End
	if r.From.After(from) {
		from = r.From
	}
	if !r.To.IsZero() && r.To.Before(to) {
		to = r.To
	}
	if from.Equal(p.Start) && to.Equal(p.End) {
		return time.Time{}, time.Time{}
	}
	return from.UTC(), to.UTC()
}
