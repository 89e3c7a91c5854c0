package ingest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// usages is the dialect of Rebilly's usages: quantities of a subscription, which may have a hard limit. Every answer says
// what was decided, and a usage that was answered with 201 can be read at once.
type usages struct {
	*Server
	dialect dialect
}

func newUsages(s *Server) *usages {
	return &usages{Server: s, dialect: dialect{
		name: "usages", roots: []string{"/usages", "/organizations"}, authenticate: authenticateKey, fail: problemFail,
	}}
}

func (u *usages) routes() []*route {
	const (
		all  = "/usages"
		some = "/organizations/{organizationId}/usages"
		one  = "/{id}"
	)
	table := []route{
		{name: "create", method: http.MethodPost, pattern: all, scope: catalog.UsageWrite, handle: u.create},
		{name: "create_organization", method: http.MethodPost, pattern: some, scope: catalog.UsageWrite, handle: u.create},
		{name: "list", method: http.MethodGet, pattern: all, scope: catalog.UsageRead, handle: u.list},
		{name: "list_organization", method: http.MethodGet, pattern: some, scope: catalog.UsageRead, handle: u.list},
		{name: "get", method: http.MethodGet, pattern: all + one, scope: catalog.UsageRead, handle: u.get},
		{name: "get_organization", method: http.MethodGet, pattern: some + one, scope: catalog.UsageRead, handle: u.get},
		{name: "delete", method: http.MethodDelete, pattern: all + one, scope: catalog.UsageRevert, handle: u.remove},
		{name: "delete_organization", method: http.MethodDelete, pattern: some + one, scope: catalog.UsageRevert, handle: u.remove},
	}
	routes := make([]*route, len(table))
	for i := range table {
		table[i].dialect = &u.dialect
		routes[i] = &table[i]
	}
	return routes
}

// create takes one usage, and answers with what was recorded of it.
func (u *usages) create(c *call) error {
	organization, err := u.organization(c)
	if err != nil {
		return err
	}
	body, err := u.readBody(c, nil)
	if err != nil {
		return err
	}
	m, err := parseUsage(body, &u.limits)
	if err != nil {
		return err
	}
	events := make([]reckoner.Event, 1)
	if err := u.event(c, &m, organization, &events[0]); err != nil {
		return err
	}
	verdict, err := u.decide(c, events)
	switch {
	case err != nil:
		return err
	case verdict == nil:
		asked := recordOf(&events[0])
		asked.Quantity = *events[0].Written.Quantity
		return u.answerUsage(c, http.StatusAccepted, &asked)
	}
	return u.created(c, &events[0], verdict)
}

// event makes the event of a usage. Whatever is wrong with the request's fields is said at once.
func (u *usages) event(c *call, m *usageRequest, organization string, e *reckoner.Event) error {
	wrong := m.check()
	id := m.id
	key, given, why := givenKey(c.r.Header)
	switch {
	case why != "":
		wrong.add(idempotencyKey, why)
	case given && id != "" && reckoner.CanonicalID(id) != reckoner.CanonicalID(key):
		wrong.add("id", "differs from the "+idempotencyKey+": give one of them, or the same")
	case given:
		id = key
	}
	subscription, meter, account, why := u.subscription(c, m.subscription, organization)
	if why != "" && !wrong.has("subscriptionId") {
		wrong.add("subscriptionId", why)
	}
	if why := u.checkTime(c, m.usageTime); why != "" && !wrong.has("usageTime") {
		wrong.add("usageTime", why)
	}
	if err := wrong.err(); err != nil {
		return err
	}
	c.stamp(target{organizationID: account.OrganizationID, account: account}, e)
	e.Kind, e.ID = reckoner.Usage, reckoner.CanonicalID(id)
	if e.ID == "" {
		e.ID = u.newUsageID()
	}
	e.Written = reckoner.Written{
		Subscription: m.subscription, Quantity: &m.quantity, AcceptPartial: m.acceptPartial, UsageTime: m.usageTime,
	}
	c.stampUsage(e, meter, subscription)
	if err := e.Validate(); err != nil {
		return invalid("invalid usage: %v", err)
	}
	return nil
}

// newUsageID returns an id that sorts by the time at which it was made.
func (u *usages) newUsageID() string { return "usg_" + strings.ReplaceAll(u.newID(), "-", "") }

// subscription finds what a usage counts for, or says why nothing can be. A subscription of another organization is as
// unknown as one that is not there.
func (u *usages) subscription(c *call, id, organization string) (*catalog.Subscription, reckoner.Meter, *catalog.Account, string) {
	unknown := fmt.Sprintf("there is no subscription %q", clip(id))
	s, ok := c.catalog.Subscription(id)
	if !ok {
		return nil, reckoner.Meter{}, nil, unknown
	}
	account, ok := c.catalog.Account(s.AccountID)
	if !ok || organization != "" && account.OrganizationID != organization || !c.credential.MayUse(account.OrganizationID) {
		return nil, reckoner.Meter{}, nil, unknown
	}
	if s.Meter == "" {
		return nil, reckoner.Meter{}, nil, fmt.Sprintf("the subscription %q has no meter that its usage could count for", clip(id))
	}
	meter, ok := c.catalog.Meter(s.Meter)
	if !ok {
		return nil, reckoner.Meter{}, nil, fmt.Sprintf("the meter of the subscription %q is not in the catalog", clip(id))
	}
	return s, meter, account, ""
}

// decide publishes one event and waits for its outcome: as long as the caller prefers, or ingest.outcome_timeout, or, with
// respond-async alone, not at all. Without an outcome it returns nil: the event is durable and will be decided.
func (u *usages) decide(c *call, events []reckoner.Event) (*reckoner.Verdict, error) {
	wait, h := preferredWait(c.r.Header), c.w.Header()
	switch {
	case wait > 0:
		applied(h, wait)
	case respondAsync(c.r.Header):
		h.Set("Preference-Applied", "respond-async")
		return nil, u.publish(c, events)
	default:
		wait = u.outcomeTimeout
	}
	verdicts, err := u.publishAndWait(c, events, wait)
	if err != nil || verdicts == nil {
		return nil, err
	}
	h.Set(outcomeHeader, firstOutcome(&verdicts[0]).String())
	return &verdicts[0], nil
}

// created answers with what a decided usage came to. A repetition repeats the answer of the first.
func (u *usages) created(c *call, e *reckoner.Event, v *reckoner.Verdict) error {
	switch firstOutcome(v) {
	case reckoner.Applied, reckoner.Clipped:
	case reckoner.LimitExceeded:
		return &reckoner.Error{
			Code:    reckoner.FailedPrecondition,
			Message: "the quantity is more than what is left of the subscription's limit in the billing period; nothing was counted",
		}
	case reckoner.Conflict:
		return &reckoner.Error{
			Code: reckoner.AlreadyExists, Message: fmt.Sprintf("the id %s was used before for a usage with other content; nothing was counted", clip(v.ID)),
		}
	default:
		return unfit(v)
	}
	record := recordOf(e)
	if v.Outcome == reckoner.Duplicate {
		first, err := u.first(c, e)
		if err != nil {
			return err
		}
		record = first
	}
	record.Quantity = v.Quantity
	return u.answerUsage(c, http.StatusCreated, &record)
}

// first is the usage that e repeats, as it was counted.
func (u *usages) first(c *call, e *reckoner.Event) (ledger.UsageRecord, error) {
	ctx, cancel := context.WithTimeout(c.r.Context(), u.limits.QueryTimeout)
	defer cancel()
	found, err := u.ledger.FindUsages(ctx, ledger.UsageLookup{ID: e.ID, AccountID: e.AccountID})
	switch {
	case err != nil:
		return ledger.UsageRecord{}, unread(err)
	case len(found) == 0: // a replica that is behind
		return ledger.UsageRecord{}, &reckoner.Error{
			Code: reckoner.Unavailable, Message: fmt.Sprintf("the usage %s was counted before, but the ledger does not show it yet; try again in a moment", clip(e.ID)),
		}
	}
	record := found[0]
	record.Reverted, record.RevertedAt = reckoner.Quantity{}, time.Time{} // as it was answered first
	return record, nil
}

// recordOf is a usage as its event has it.
func recordOf(e *reckoner.Event) ledger.UsageRecord {
	return ledger.UsageRecord{
		AccountID: e.AccountID, OrganizationID: e.OrganizationID, SubscriptionID: e.SubscriptionID, EventID: e.ID,
		UsageTime: e.UsageTime, ReceivedAt: e.ReceivedAt,
	}
}

// organization returns the id of the organization that a path is restricted to, empty when it is to none.
func (u *usages) organization(c *call) (string, error) {
	name, ok := c.params["organizationId"]
	if !ok {
		return "", nil
	}
	o, ok := c.catalog.Organization(name)
	if !ok {
		return "", &reckoner.Error{Code: reckoner.NotFound, Message: fmt.Sprintf("there is no organization %q", clip(name))}
	}
	if !c.credential.MayUse(o.ID) {
		return "", errForbidden
	}
	return o.ID, nil
}

// visible returns the organizations whose usages a call may see; nil: all.
func (u *usages) visible(c *call) ([]string, error) {
	organization, err := u.organization(c)
	switch {
	case err != nil:
		return nil, err
	case organization != "":
		return []string{organization}, nil
	case c.credential.MayUse("*"): // of every organization, those to come included
		return nil, nil
	}
	return append([]string{}, c.credential.Organizations...), nil
}

// base is the path of the collection that a request is for, as its caller wrote it.
func base(c *call) string {
	path := c.r.URL.EscapedPath()
	if _, item := c.params["id"]; item {
		return path[:strings.LastIndexByte(path, '/')]
	}
	return path
}

// self is the path of a usage.
func self(c *call, id string) string { return base(c) + "/" + url.PathEscape(id) }
