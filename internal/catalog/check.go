package catalog

import "reckoner"

// check judges what entities mean together. References are known to be sound.
func (b *builder) check() {
	for i := range b.accounts {
		b.checkAccount(i, &b.accounts[i])
	}
	for i := range b.subscriptions {
		b.checkSubscription(i, &b.subscriptions[i])
	}
	byAccount := make(map[string][]*Subscription)
	if len(b.installations) > 0 {
		for i := range b.subscriptions {
			s := &b.subscriptions[i]
			byAccount[s.AccountID] = append(byAccount[s.AccountID], s)
		}
	}
	for i := range b.installations {
		b.checkInstallation(i, &b.installations[i], byAccount)
	}
}

func (b *builder) checkAccount(i int, a *Account) {
	if a.DefaultSubscription == "" {
		return
	}
	if s := b.c.subscriptions[a.DefaultSubscription]; s.AccountID != a.ID {
		b.wrongAt(accountList, i, "default_subscription", "subscription %q is of account %s, not of this one", clip(s.ID), s.AccountID)
	}
}

func (b *builder) checkSubscription(i int, s *Subscription) {
	if s.Limit == nil {
		return
	}
	if s.Meter == "" {
		b.wrongAt(subscriptionList, i, "limit", "a limit bounds the subscription's meter, and it has none: add meter")
		return
	}
	if m := b.c.meters[s.Meter]; m.Type != reckoner.Interval {
		b.wrongAt(subscriptionList, i, "limit", "meter %q is of type %s, and only interval meters have limits", clip(m.Name), m.Type)
	}
}

// checkInstallation holds an installation's subscriptions, which are those of its resources or else all of its account,
// against each other: a report has one period.
func (b *builder) checkInstallation(i int, in *Installation, byAccount map[string][]*Subscription) {
	reported := byAccount[in.AccountID]
	if len(in.Resources) > 0 {
		reported = make([]*Subscription, 0, len(in.Resources))
	}
	for k := range in.Resources {
		s := b.c.subscriptions[in.Resources[k].SubscriptionID]
		if s.AccountID != in.AccountID {
			b.wrongAt(installationList, i, "resources", "subscription %q is of account %s, and this installation reports account %s",
				clip(s.ID), s.AccountID, in.AccountID)
		}
		reported = append(reported, s)
	}
	for _, s := range reported[min(1, len(reported)):] {
		if first := reported[0]; !samePeriods(first.Cycle, s.Cycle) {
			b.wrongAt(installationList, i, "", "subscriptions %q and %q have different periods, and a report has one: give them one period, or an installation each",
				clip(first.ID), clip(s.ID))
			return
		}
	}
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
