package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
)

// During returns the terms for a part, with the subscriptions that the account used in its period and that the catalog has no
// more: else what a partner was told of a period would get less when one is deleted, the bill with it. used is, by subscription, the
// latest bucket in which it was used. before are the terms that the period's newest report was made from; nil: there is none. A
// subscription that they have stays as it was, with its plan, until the period is over; of others nothing is known but their use.
// An installation with resources reports those of its resources alone, so its terms are the same for all parts.
func (t *Terms) During(part Part, used map[string]time.Time, before *Terms) *Terms {
	if len(t.Installation.Resources) > 0 {
		return t
	}
	known := make(map[string]bool, len(t.Subscriptions))
	for _, s := range t.Subscriptions {
		known[s.ID] = true
	}
	d := *t
	d.Subscriptions, d.Plans, d.Meters, d.Gone = slices.Clone(t.Subscriptions), maps.Clone(t.Plans), t.Meters, nil
	if before != nil {
		d.keep(part, known, before)
	}
	for _, id := range slices.Sorted(maps.Keys(used)) {
		if id != "" && !known[id] && used[id].Add(reckoner.Bucket).After(part.Period.Start) {
			d.Gone = append(d.Gone, id)
		}
	}
	return &d
}

// keep takes over from the terms before what is not known any more. A subscription of another row of periods cannot be
// reported with the others.
func (t *Terms) keep(part Part, known map[string]bool, before *Terms) {
	for _, s := range before.Subscriptions {
		if period := s.PeriodAt(part.Day.Start); known[s.ID] || !period.Start.Equal(part.Period.Start) || !period.End.Equal(part.Period.End) {
			continue
		}
		known[s.ID] = true
		t.Subscriptions = append(t.Subscriptions, s)
		p, ok := before.Plans[s.Plan]
		if _, has := t.Plans[s.Plan]; ok && !has {
			t.Plans[s.Plan] = p
		}
	}
	slices.SortFunc(t.Subscriptions, func(a, b *catalog.Subscription) int { return cmp.Compare(a.ID, b.ID) })
	for name, m := range before.Meters {
		if _, has := t.Meters[name]; !has {
			t.Meters = maps.Clone(t.Meters)
			t.Meters[name] = m
		}
	}
}
