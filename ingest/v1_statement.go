package ingest

import (
	"context"
	"fmt"
	"net/http"

	"reckoner"
	"reckoner/ledger/report/accounts"
)

// statement answers with the statements of an account: what it used in billing periods, and what that costs.
func (v *v1) statement(c *call) error {
	when, subscription, err := parseStatementQuery(c.r.URL.RawQuery)
	of, notFound := v.account(c, c.params["id"])
	switch {
	case notFound != nil:
		return notFound
	case err != nil:
		return err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), v.limits.QueryTimeout)
	defer cancel()
	d, err := accounts.Read(ctx, v.ledger, &accounts.Query{
		Catalog: c.catalog, AccountID: of.ID, SubscriptionID: subscription, When: when, Now: c.received,
	})
	if err != nil {
		if reckoner.CodeOf(err) != reckoner.Internal {
			return err
		}
		return unread(err)
	}
	body, err := d.JSON()
	if err != nil {
		return err
	}
	v.answer(c, http.StatusOK, body)
	return nil
}

// parseStatementQuery reads the query of a request for a statement.
func parseStatementQuery(raw string) (when accounts.When, subscription string, err error) {
	q, err := readQuery(raw, "period", "subscription")
	if err != nil {
		return when, "", err
	}
	when, err = accounts.ParseWhen(q.text("period"))
	if err != nil {
		q.add("period", accounts.WhenHelp+"; a + in a URL is written %2B")
	}
	subscription = q.text("subscription")
	if len(subscription) > reckoner.MaxIDBytes {
		q.add("subscription", fmt.Sprintf("want at most %d bytes", reckoner.MaxIDBytes))
	}
	return when, subscription, q.err()
}
