package ingest

import (
	"context"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// limitsMax is how many limits one answer holds at most.
const limitsMax = 1000

type (
	// limitsJSON are the limits in force now, each with what its current period has used.
	limitsJSON struct {
		Limits     []limitJSON   `json:"limits"`
		LimitsAsOf *positionJSON `json:"limits_as_of"` // as in as_of, of the subscriptions that are limited
		MoreLimits bool          `json:"more_limits,omitempty"`
	}
	limitJSON struct {
		SubscriptionID string            `json:"subscription_id"`
		Meter          string            `json:"meter"`
		Unit           string            `json:"unit"`
		PeriodStart    string            `json:"period_start"`
		PeriodEnd      string            `json:"period_end"`
		Limit          reckoner.Quantity `json:"limit"`
		Used           reckoner.Quantity `json:"used"`
		Remaining      reckoner.Quantity `json:"remaining"` // never negative, also where a limit was lowered
	}
)

// limitsOf returns the limit of a subscription, or those of all subscriptions of an account, ordered by id.
func (v *v1) limitsOf(ctx context.Context, c *call, s ledger.Subject, subscription *catalog.Subscription, zone *time.Location) (limitsJSON, error) {
	answer := limitsJSON{Limits: []limitJSON{}}
	var limited []*catalog.Subscription
	if subscription != nil {
		if subscription.Limit != nil {
			limited = append(limited, subscription)
		}
	} else {
		for s := range c.catalog.SubscriptionsOf(s.AccountID) {
			if s.Limit == nil {
				continue
			}
			if len(limited) == limitsMax {
				answer.MoreLimits = true
				break
			}
			limited = append(limited, s)
		}
	}
	if len(limited) == 0 {
		return answer, nil
	}
	ids := make([]string, len(limited))
	for i, s := range limited {
		ids[i] = s.ID
	}
	used, err := v.ledger.Used(ctx, s.AccountID, ids, c.received)
	if err != nil {
		return answer, unread(err)
	}
	answer.LimitsAsOf = positionOf(used.AsOf)
	type key struct {
		subscription, meter string
		start, end          int64
	}
	quantities := make(map[key]reckoner.Quantity, len(used.Rows))
	for _, r := range used.Rows {
		quantities[key{r.SubscriptionID, r.Meter, r.Period.Start.UnixNano(), r.Period.End.UnixNano()}] = r.Quantity
	}
	for _, s := range limited {
		p := s.PeriodAt(c.received)
		q := quantities[key{s.ID, s.Meter, p.Start.UnixNano(), p.End.UnixNano()}]
		remaining, err := s.Limit.Sub(q)
		if err != nil {
			return answer, err
		}
		if remaining.Sign() < 0 {
			remaining = reckoner.Quantity{}
		}
		meter, _ := c.catalog.Meter(s.Meter)
		answer.Limits = append(answer.Limits, limitJSON{
			SubscriptionID: s.ID, Meter: s.Meter, Unit: meter.Unit, PeriodStart: inZone(p.Start, zone), PeriodEnd: inZone(p.End, zone),
			Limit: *s.Limit, Used: q, Remaining: remaining,
		})
	}
	return answer, nil
}
