package ingest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// The JSON of usage. Quantities are strings: readers in many languages take JSON numbers through binary floats.
type (
	windowsJSON struct {
		AccountID      string       `json:"account_id"`
		SubscriptionID string       `json:"subscription_id,omitempty"`
		From           string       `json:"from"`
		To             string       `json:"to"`
		Window         string       `json:"window"`
		TZ             string       `json:"tz"`
		AsOf           asOfJSON     `json:"as_of"`
		Usage          []windowJSON `json:"usage"`
		limitsJSON
		NextPageToken string `json:"next_page_token,omitempty"`
	}
	// asOfJSON says what is in the figures: every event of the account (or subscription) up to the position, none after it.
	asOfJSON struct {
		Time     string        `json:"time"` // of the read
		Position *positionJSON `json:"position"`
	}
	windowJSON struct {
		Start     string            `json:"start"`
		End       string            `json:"end"`
		Meter     string            `json:"meter"`
		MeterType string            `json:"meter_type"`
		Unit      string            `json:"unit"`
		Quantity  reckoner.Quantity `json:"quantity"`
		Events    uint64            `json:"events"`
		Reverts   uint64            `json:"reverts"`
	}
)

// accountUsage answers with what an account used.
func (v *v1) accountUsage(c *call) error {
	q, err := parseWindowQuery(c.r.URL.RawQuery)
	account, notFound := v.account(c, c.params["id"])
	switch {
	case notFound != nil:
		return notFound
	case err != nil:
		return err
	}
	return v.usage(c, q, ledger.Subject{AccountID: account.ID}, nil)
}

// subscriptionUsage answers with what a subscription used.
func (v *v1) subscriptionUsage(c *call) error {
	q, err := parseWindowQuery(c.r.URL.RawQuery)
	s, ok := c.catalog.Subscription(c.params["id"])
	if !ok {
		return reckoner.Errorf(reckoner.NotFound, "there is no subscription %q", clip(c.params["id"]))
	}
	if _, notFound := v.account(c, s.AccountID); notFound != nil {
		return notFound
	}
	if err != nil {
		return err
	}
	return v.usage(c, q, ledger.Subject{AccountID: s.AccountID, SubscriptionID: s.ID}, s)
}

// usage reads what a subject used, and what of it counts against limits. subscription is nil when it is an account's.
func (v *v1) usage(c *call, q windowQuery, subject ledger.Subject, subscription *catalog.Subscription) error {
	current := reckoner.Cycle{}.At(c.received)
	if subscription != nil {
		current = subscription.PeriodAt(c.received)
	}
	read, err := v.plan(&q, subject, current)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), v.limits.QueryTimeout)
	defer cancel()
	began := v.now()
	page, err := read(ctx)
	if err != nil {
		return unread(err)
	}
	answer := windowsJSON{
		AccountID: subject.AccountID, SubscriptionID: subject.SubscriptionID, From: inZone(q.from, q.zone), To: inZone(q.to, q.zone),
		Window: q.window, TZ: q.zone.String(), AsOf: asOfJSON{inZone(began, time.UTC), positionOf(page.AsOf)},
		Usage: make([]windowJSON, min(len(page.Rows), q.limit)),
	}
	for i := range answer.Usage {
		r := &page.Rows[i]
		meter, _ := c.catalog.Meter(r.Meter) // of one that is gone the unit is not known
		answer.Usage[i] = windowJSON{
			Start: inZone(r.Window.Start, q.zone), End: inZone(r.Window.End, q.zone), Meter: r.Meter, MeterType: r.MeterType.String(),
			Unit: meter.Unit, Quantity: r.Quantity, Events: r.Events, Reverts: r.Reverts,
		}
	}
	if len(page.Rows) > q.limit {
		answer.NextPageToken = usageToken(cursorOf(&page.Rows[q.limit-1]))
	}
	if answer.limitsJSON, err = v.limitsOf(ctx, c, subject, subscription, q.zone); err != nil {
		return err
	}
	return v.answerJSON(c, http.StatusOK, answer)
}

// plan resolves the bounds of a query and returns how to read it, with one row more than is answered. Without bounds it
// is what counts in the current billing period; one that is absent is that of the current period.
func (v *v1) plan(q *windowQuery, s ledger.Subject, current reckoner.Period) (func(context.Context) (ledger.UsagePage, error), error) {
	var period *reckoner.Period
	if q.from.IsZero() && q.to.IsZero() && s.SubscriptionID != "" {
		period = &current
	}
	if q.from.IsZero() {
		q.from = current.Start
	}
	if q.to.IsZero() {
		q.to = current.End
	}
	if !q.from.Before(q.to) {
		return nil, badField("from", fmt.Sprintf("want a time before to, which is %s", inZone(q.to, q.zone)))
	}
	if q.width == byPeriod {
		return func(ctx context.Context) (ledger.UsagePage, error) {
			return v.ledger.Periods(ctx, ledger.PeriodQuery{
				Subject: s, Meter: q.meter, From: q.from, To: q.to, Limit: q.limit + 1, After: q.after,
			})
		}, nil
	}
	from, to := reckoner.BucketOf(q.from), reckoner.BucketOf(q.to)
	if to.Before(q.to) {
		to = to.Add(reckoner.Bucket)
	}
	edges, ok := ledger.Windows(from, to, q.width, q.zone, usageRowsMax)
	if !ok {
		return nil, badField("window", fmt.Sprintf("%s to %s is more than %d windows: ask for less time, or for wider windows",
			inZone(q.from, q.zone), inZone(q.to, q.zone), usageRowsMax))
	}
	if period != nil {
		edges[0], edges[len(edges)-1] = period.Start, period.End
	} else {
		q.from, q.to = from, to
	}
	return func(ctx context.Context) (ledger.UsagePage, error) {
		return v.ledger.Windows(ctx, ledger.WindowQuery{
			Subject: s, Meter: q.meter, Edges: edges, Period: period, Limit: q.limit + 1, After: q.after,
		})
	}, nil
}
