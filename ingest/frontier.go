package ingest

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
	"reckoner/internal/catalog"
)

// frontier is the dialect of Frontier's billing API: usages of a billing account.
type frontier struct {
	*Server
	dialect dialect
}

func newFrontier(s *Server) *frontier {
	return &frontier{Server: s, dialect: dialect{name: "frontier", fail: frontierFail}}
}

func (f *frontier) routes() []*route {
	const (
		org     = "/v1beta1/organizations/{org_id}/billing"
		account = org + "/{billing_id}"
		short   = "/v1beta1/organizations/billing"
		admin   = "/v1beta1/admin/organizations/{org_id}/billing/{billing_id}"
	)
	table := []route{
		{name: "create", method: http.MethodPost, pattern: account + "/usages", scope: catalog.UsageWrite, handle: f.create},
		{name: "create_short", method: http.MethodPost, pattern: short + "/usages", scope: catalog.UsageWrite, handle: f.create},
		{name: "revert", method: http.MethodPost, pattern: admin + "/usage/{usage_id}/revert", scope: catalog.UsageRevert, handle: f.revert},
		{name: "revert_short", method: http.MethodPost, pattern: short + "/usages/revert", scope: catalog.UsageRevert, handle: f.revert},
		{name: "revert_documented", method: http.MethodPost, pattern: account + "/usages/{usage_id}/revert", scope: catalog.UsageRevert, handle: f.revert},
		{name: "transactions", method: http.MethodGet, pattern: account + "/transactions", scope: catalog.UsageRead, handle: f.transactions},
		{name: "transactions_short", method: http.MethodGet, pattern: org + "/transactions", scope: catalog.UsageRead, handle: f.transactions},
		{name: "debited", method: http.MethodGet, pattern: account + "/debited_transactions_total", scope: catalog.UsageRead, handle: f.debited},
	}
	routes := make([]*route, len(table))
	for i := range table {
		table[i].dialect = &f.dialect
		routes[i] = &table[i]
	}
	return routes
}

// create takes usages. It answers when they are durable, or, where the caller prefers to wait, with their outcomes.
func (f *frontier) create(c *call) error {
	s := f.borrow()
	defer f.giveBack(s)
	body, err := f.readBody(c, s.body)
	if err != nil {
		return err
	}
	if cap(body) > cap(s.body) {
		s.body = body
	}
	m, err := parseCreate(body, &f.limits, s)
	if err != nil {
		return err
	}
	m.fromPath(c.params)
	if err := m.check(); err != nil {
		return err
	}
	t, err := c.resolve(m.names)
	if err != nil {
		return err
	}
	events, err := f.usages(c, t, s)
	if err != nil {
		return err
	}
	wait := preferredWait(c.r.Header)
	if len(events) == 0 {
		f.answer(c, http.StatusOK, []byte("{}"))
		return nil
	}
	if wait == 0 {
		if err := f.publish(c, events); err != nil {
			return err
		}
		f.answer(c, http.StatusOK, []byte("{}"))
		return nil
	}
	verdicts, err := f.publishAndWait(c, events, wait)
	if err != nil {
		return err
	}
	applied(c.w.Header(), wait)
	if verdicts == nil {
		f.answer(c, http.StatusAccepted, []byte("{}"))
		return nil
	}
	return f.outcomesOf(c, verdicts)
}

// usages makes the events of the usages in s.
func (f *frontier) usages(c *call, t target, s *scratch) ([]reckoner.Event, error) {
	var subscription *catalog.Subscription
	if id := t.account.DefaultSubscription; id != "" {
		subscription, _ = c.catalog.Subscription(id) // a catalog without it is refused
	}
	s.events, s.quantities = cleared(s.events, len(s.usages)), cleared(s.quantities, len(s.usages))
	for i := range s.usages {
		u, e := &s.usages[i], &s.events[i]
		if why := f.checkTime(c, u.createdAt); why != "" {
			return nil, badUsage(i, "CreatedAt", why)
		}
		s.quantities[i] = reckoner.Units(u.amount)
		c.stamp(t, e)
		e.Kind, e.ID = reckoner.Usage, reckoner.CanonicalID(u.id)
		if e.ID == "" {
			e.ID = f.newID()
		}
		e.Written = reckoner.Written{Type: u.typ, Source: u.source, Quantity: &s.quantities[i], UsageTime: u.createdAt}
		e.Description, e.UserID, e.CustomerID, e.Metadata = u.description, u.userID, u.customerID, u.metadata
		e.UpdatedAt = u.updatedAt
		if e.Type = u.typ; e.Type == "" {
			e.Type = types()[0]
		}
		c.stampUsage(e, c.catalog.MatchMeter(e.Type, u.source, u.metadata), subscription)
		if err := e.Validate(); err != nil {
			return nil, invalid("invalid CreateBillingUsageRequest.Usages[%d]: embedded message failed validation | caused by: %v", i, err)
		}
	}
	return s.events, nil
}

// outcomesOf answers with the outcome of each usage, in the order of the request. Of a repetition it is what the id got
// first, so that a retry reads like the first answer; that it is one is said beside it. A conflict makes the whole answer
// a 409, although what does not conflict counts.
func (f *frontier) outcomesOf(c *call, verdicts []reckoner.Verdict) error {
	b := append(make([]byte, 0, 16+96*len(verdicts)), `{"outcomes":[`...)
	for i := range verdicts {
		v := &verdicts[i]
		switch v.Outcome {
		case reckoner.Conflict:
			return conflict(v)
		case reckoner.Applied, reckoner.Clipped, reckoner.LimitExceeded, reckoner.Duplicate:
		default:
			return unfit(v)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":`...)
		b, _ = jsontext.AppendQuote(b, v.ID) // a UUID
		b = append(b, `,"outcome":"`...)
		b = append(b, v.First.String()...)
		b = append(b, `","quantity":"`...)
		b = v.Quantity.Append(b)
		b = append(b, '"')
		if v.Outcome == reckoner.Duplicate {
			b = append(b, `,"duplicate":true`...)
		}
		b = append(b, '}')
	}
	f.answer(c, http.StatusOK, append(b, "]}"...))
	return nil
}
