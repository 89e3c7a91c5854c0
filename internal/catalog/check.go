package catalog

import (
	"fmt"

	"reckoner"
)

// The checks judge what entities mean together. They know that the references of the entity in hand are sound. Parse asks
// them of every entity of a document; a change asks them of its entity, and asks besides what others still require of it
// (keeps*), which in a document is found from their side.

func check(path, format string, args ...any) []Fault {
	return []Fault{{Result: CheckFailed, Path: path, Message: fmt.Sprintf(format, args...)}}
}

// unsound returns what is wrong with an entity beside all others. Before is the one in whose place it comes, or nil.
func (t *tables) unsound(before, e Entity) []Fault {
	switch e := e.(type) {
	case *Account:
		return t.checkAccount(e)
	case *Meter:
		return append(t.keepsLimits(e), t.keepsDimensions(e)...)
	case *Subscription:
		was, _ := before.(*Subscription)
		faults := t.checkSubscription(e)
		if was != nil && was.AccountID != e.AccountID {
			faults = append(faults, t.keepsAccount(was)...)
		}
		return append(faults, t.keepsPeriod(e)...)
	case *Installation:
		return t.checkInstallation(e)
	default:
		return nil
	}
}

func (t *tables) checkAccount(a *Account) []Fault {
	if a.DefaultSubscription == "" {
		return nil
	}
	if s := t.subscription(a.DefaultSubscription); s.AccountID != a.ID {
		return check("default_subscription", "subscription %q is of account %s, not of this one", clip(s.ID), s.AccountID)
	}
	return nil
}

func (t *tables) checkSubscription(s *Subscription) []Fault {
	if s.Limit == nil {
		return nil
	}
	if s.Meter == "" {
		return check("limit", "a limit bounds the subscription's meter, and it has none: add meter")
	}
	if m, _ := t.meter(s.Meter); m.Type != reckoner.Interval {
		return check("limit", "meter %q is of type %s, and only interval meters have limits", clip(m.Name), m.Type)
	}
	return nil
}

// checkInstallation holds an installation's subscriptions, which are those of its resources or else all of its account,
// against each other: a report has one period.
func (t *tables) checkInstallation(in *Installation) []Fault {
	var faults []Fault
	var first *Subscription
	same := true
	compare := func(s *Subscription) {
		if first == nil {
			first = s
		} else if same && !samePeriods(first.Cycle, s.Cycle) {
			same = false
			faults = append(faults, check("", "subscriptions %q and %q have different periods, and a report has one: give them one period, or an installation each",
				clip(first.ID), clip(s.ID))...)
		}
	}
	for i := range in.Resources {
		s := t.subscription(in.Resources[i].SubscriptionID)
		if s.AccountID != in.AccountID {
			faults = append(faults, check("resources", "subscription %q is of account %s, and this installation reports account %s",
				clip(s.ID), s.AccountID, in.AccountID)...)
		}
		compare(s)
	}
	if len(in.Resources) == 0 {
		t.referring(subscriptionsOf, in.AccountID, func(r *row) bool {
			compare(r.entity.(*Subscription))
			return same
		})
	}
	return append(faults, t.checkMarketplace(in)...)
}

// keepsLimits asks whether a meter is still one that the limits on it can bound.
func (t *tables) keepsLimits(m *Meter) []Fault {
	if m.Type == reckoner.Interval {
		return nil
	}
	r := t.first(subscriptionsBy, m.Name) // those with a limit come first
	if r == nil || r.entity.(*Subscription).Limit == nil {
		return nil
	}
	faults := check("type", "subscription %q has a limit on it, and only interval meters have limits: take the limit away first", clip(r.entity.Key()))
	faults[0].By = refOf(r)
	return faults
}

// keepsAccount asks who needs a subscription to stay of the account that it was of.
func (t *tables) keepsAccount(was *Subscription) []Fault {
	var faults []Fault
	stays := func(r *row, as string) {
		f := check("account", "%s %q has it as %s, so it cannot become another account's: change that first",
			r.entity.Kind(), clip(r.entity.Key()), as)
		f[0].By = refOf(r)
		faults = append(faults, f...)
	}
	if r := t.row(AccountKind, was.AccountID); r != nil && r.entity.(*Account).DefaultSubscription == was.ID {
		stays(r, "default_subscription")
	}
	if r := t.reporting(was); r != nil {
		stays(r, "a resource's")
	}
	return faults
}

// keepsPeriod asks whether every installation that reports a subscription still has one period. Its other subscriptions
// have one period among them, so one of them speaks for all.
func (t *tables) keepsPeriod(s *Subscription) []Fault {
	var faults []Fault
	t.referring(installationsOf, s.AccountID, func(r *row) bool {
		other := t.reportedBeside(s, r.entity.(*Installation))
		if other != nil && !samePeriods(other.Cycle, s.Cycle) {
			f := check("period", "installation %q reports subscription %q in another period, and a report has one: give them one period, or an installation each",
				clip(r.entity.Key()), clip(other.ID))
			f[0].By = refOf(r)
			faults = append(faults, f...)
		}
		return len(faults) == 0
	})
	return faults
}

// reportedBeside returns one of the other subscriptions of an installation that reports s, or nil.
func (t *tables) reportedBeside(s *Subscription, in *Installation) *Subscription {
	var other *Subscription
	if len(in.Resources) == 0 {
		t.referring(subscriptionsOf, in.AccountID, func(r *row) bool {
			if r.entity.Key() != s.ID {
				other = r.entity.(*Subscription)
			}
			return other == nil
		})
		return other
	}
	reports := false
	for i := range in.Resources {
		if id := in.Resources[i].SubscriptionID; id == s.ID {
			reports = true
		} else if other == nil {
			other = t.subscription(id)
		}
	}
	if !reports {
		return nil
	}
	return other
}

func (t *tables) subscription(id string) *Subscription {
	if r := t.row(SubscriptionKind, id); r != nil {
		return r.entity.(*Subscription)
	}
	return nil
}

// samePeriods reports whether two cycles are the same row of periods. Anchors may differ: the 1st of January and the
// 1st of March start the same months. Each anchor must start a period of the other; a day of the month that was clamped
// fails one of the two.
func samePeriods(a, b reckoner.Cycle) bool {
	if a.Every != b.Every {
		return false
	}
	startsIn := func(c reckoner.Cycle, anchor reckoner.Cycle) bool {
		start := anchor.At(anchor.Anchor).Start
		if anchor.Anchor.IsZero() {
			start = anchor.At(reckoner.MinTime).Start
		}
		return c.At(start).Start.Equal(start)
	}
	return startsIn(a, b) && startsIn(b, a)
}
