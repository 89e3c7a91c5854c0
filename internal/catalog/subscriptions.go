package catalog

import (
	"iter"

	"reckoner"
)

// SubscriptionsOf returns the subscriptions of an account, ordered by id; none of an account that is not listed.
func (c *Catalog) SubscriptionsOf(accountID string) iter.Seq[*Subscription] {
	accountID = reckoner.CanonicalID(accountID)
	return func(yield func(*Subscription) bool) {
		c.sets[subscriptionsOf].Ascend(&row{entity: subscriptionsOf.probe(accountID)}, func(r *row) bool {
			s := r.entity.(*Subscription)
			return s.AccountID == accountID && yield(s)
		})
	}
}
