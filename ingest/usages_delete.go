package ingest

import (
	"context"
	"net/http"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// remove takes a whole usage back. It is a revert: the usage stays on record, and so does that it was taken back.
func (u *usages) remove(c *call) error {
	key, given, why := givenKey(c.r.Header)
	if why != "" {
		return badField(idempotencyKey, why)
	}
	// A usage that the limit refused never counted, and one that was taken back does no more: the machine says so, and
	// the answer is on record.
	found, err := u.find(c, u.findAny)
	switch {
	case err != nil:
		return err
	case found == nil:
		return noUsage(c)
	}
	events := make([]reckoner.Event, 1)
	e := &events[0]
	c.stamp(target{organizationID: found.OrganizationID, account: &catalog.Account{ID: found.AccountID}}, e)
	e.Kind, e.ID, e.Written.UsageID = reckoner.Revert, reckoner.CanonicalID(key), found.EventID
	if !given {
		e.ID = u.newID()
	}
	if err := e.Validate(); err != nil {
		return invalid("invalid revert: %v", err)
	}
	verdict, err := u.decide(c, events)
	switch {
	case err != nil:
		return err
	case verdict == nil:
		u.answerEmpty(c, http.StatusAccepted)
		return nil
	}
	if err := revertError(verdict); err != nil {
		return err
	}
	u.answerEmpty(c, http.StatusNoContent)
	return nil
}

// findAny finds usages that count, and only without any those that the limit refused.
func (u *usages) findAny(ctx context.Context, q ledger.UsageLookup) ([]ledger.UsageRecord, error) {
	found, err := u.ledger.FindUsages(ctx, q)
	if err != nil || len(found) > 0 {
		return found, err
	}
	return u.ledger.FindRefused(ctx, q)
}
