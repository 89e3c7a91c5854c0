package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"reckoner"
)

// Reading is what a subscription's meter comes to in one slice of time, folded by the meter's type from the totals: the sum,
// net of reverts; the newest reading; the greatest reading. A slice in which nothing was used has none.
type Reading struct {
	SubscriptionID string // empty: usage of the account that names no subscription; for installations without resources only
	Meter          string
	MeterType      reckoner.MeterType
	// Slice lies between two neighbours of Terms.Edges. Of a level, the one with a zero Start and the period's start as its
	// End is the newest reading from before the period, which carries over.
	Slice    reckoner.Period
	Quantity reckoner.Quantity // >= 0
}

// measure is a meter of one type. One whose type was changed is two, because their quantities are not of one kind.
type measure struct {
	meter string
	kind  reckoner.MeterType
}

func (m measure) compare(o measure) int {
	return cmp.Or(cmp.Compare(m.meter, o.meter), cmp.Compare(m.kind, o.kind))
}

type line struct {
	subscription string
	measure
}

// book is the readings of one report, by what they are of, each in the order of time.
type book map[line][]Reading

// read checks the readings against the terms and the edges: what does not fit was read for another report.
func read(t *Terms, part Part, readings []Reading) (book, error) {
	edges, reported := t.Edges(part), t.reported()
	b := make(book)
	for _, r := range readings {
		err := check(edges, &r)
		if err == nil && !reported[r.SubscriptionID] {
			err = fmt.Errorf("installation %q does not report that subscription", t.Installation.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("reading of meter %q (%s) of subscription %q in [%s, %s): %w",
				r.Meter, r.MeterType, r.SubscriptionID, r.Slice.Start.Format(time.RFC3339Nano), r.Slice.End.Format(time.RFC3339Nano), err)
		}
		l := line{r.SubscriptionID, measure{r.Meter, r.MeterType}}
		b[l] = append(b[l], r)
	}
	for l, rs := range b {
		slices.SortFunc(rs, func(a, b Reading) int { return a.Slice.End.Compare(b.Slice.End) })
		for i := 1; i < len(rs); i++ {
			if rs[i].Slice.End.Equal(rs[i-1].Slice.End) {
				return nil, fmt.Errorf("meter %q (%s) of subscription %q has two readings of the slice that ends at %s: fold them in the ledger",
					l.meter, l.kind, l.subscription, rs[i].Slice.End.Format(time.RFC3339Nano))
			}
		}
	}
	return b, nil
}

func check(edges []time.Time, r *Reading) error {
	switch {
	case !r.MeterType.Valid():
		return errors.New("unknown meter type")
	case r.Meter == "":
		return errors.New("names no meter")
	case r.Quantity.Sign() < 0:
		return fmt.Errorf("%s is negative, and no figure of a partner's is", r.Quantity)
	}
	if r.Slice.Start.IsZero() && r.Slice.End.Equal(edges[0]) {
		if r.MeterType != reckoner.Total {
			return errors.New("only a level carries over from before the period")
		}
		return nil
	}
	i, found := slices.BinarySearchFunc(edges, r.Slice.Start, time.Time.Compare)
	if !found || i+1 == len(edges) || !edges[i+1].Equal(r.Slice.End) {
		return errors.New("is no slice between two of the report's edges")
	}
	return nil
}

// reported returns the ids of the subscriptions that the installation reports: "" is among them when it reports usage that
// names none.
func (t *Terms) reported() map[string]bool {
	ids := make(map[string]bool, len(t.Subscriptions)+1)
	for _, s := range t.Subscriptions {
		ids[s.ID] = true
	}
	for _, id := range t.Gone {
		ids[id] = true
	}
	ids[""] = len(t.Installation.Resources) == 0
	return ids
}

// fold returns what readings of one line come to within a window whose bounds are edges. A level is the newest reading of
// the slices that begin by the moment, carried over from before the window, and 0 where the window does not hold the moment:
// it is nobody's level then.
func fold(rs []Reading, window reckoner.Period, moment time.Time) (reckoner.Quantity, error) {
	var q reckoner.Quantity
	for _, r := range rs {
		switch r.MeterType {
		case reckoner.Total:
			if window.Contains(moment) && !r.Slice.Start.After(moment) {
				q = r.Quantity
			}
		default:
			if !window.Contains(r.Slice.Start) {
				continue
			}
			var err error
			if q, err = join(r.MeterType, q, r.Quantity); err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

// join puts two figures of one meter beside each other: peaks to the greater one, all else to the sum.
func join(kind reckoner.MeterType, a, b reckoner.Quantity) (reckoner.Quantity, error) {
	if kind != reckoner.Rate {
		return a.Add(b)
	}
	if b.Cmp(a) > 0 {
		a = b
	}
	return a, nil
}
