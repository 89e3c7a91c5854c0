package ingest

import (
	"fmt"
	"strconv"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
)

// target is who a request is about, as the catalog resolved it.
type target struct {
	organizationID string
	projectID      string // empty when the request names none
	account        *catalog.Account
}

// resolve finds the organization and the account of a request, and holds the credential against the organization.
//
// An organization may be named, or a project of it, never both. Without either the account says whose it is. Without an
// account it is the organization's newest active one.
func (c *call) resolve(n names) (target, error) {
	if n.org != "" && n.project != "" {
		return target{}, invalid("both project_id and org_id cannot be provided")
	}
	t, err := c.organization(n)
	if err != nil {
		return target{}, err
	}
	if t.organizationID != "" && !c.credential.MayUse(t.organizationID) {
		return target{}, errForbidden
	}
	if n.billing == "" {
		if t.organizationID == "" {
			return target{}, invalid("no org found with id %s: give org_id, project_id or billing_id", strconv.Quote(""))
		}
		account, ok := c.catalog.NewestActiveAccount(t.organizationID)
		if !ok {
			return target{}, invalid("no customer found for org %s", clip(n.orgOr(t.organizationID)))
		}
		t.account = account
		return t, nil
	}
	account, ok := c.catalog.Account(n.billing)
	if !ok {
		return target{}, &reckoner.Error{Code: reckoner.NotFound, Message: "customer doesn't exist"}
	}
	switch t.organizationID {
	case account.OrganizationID:
	case "":
		if !c.credential.MayUse(account.OrganizationID) {
			return target{}, errForbidden
		}
		t.organizationID = account.OrganizationID
	default:
		return target{}, &reckoner.Error{Code: reckoner.Forbidden, Message: "invalid arguments"}
	}
	t.account = account
	return t, nil
}

// organization resolves the organization that a request names itself or through its project; none when it names neither.
func (c *call) organization(n names) (target, error) {
	switch {
	case n.project != "":
		p, ok := c.catalog.Project(n.project)
		if !ok {
			return target{}, &reckoner.Error{Code: reckoner.NotFound, Message: "project doesn't exist"}
		}
		return target{organizationID: p.OrganizationID, projectID: p.ID}, nil
	case n.org != "":
		o, ok := c.catalog.Organization(n.org)
		if !ok {
			return target{}, invalid("no org found with id %s", clip(n.org))
		}
		return target{organizationID: o.ID}, nil
	default:
		return target{}, nil
	}
}

func (n names) orgOr(id string) string {
	if n.org != "" {
		return n.org
	}
	return id
}

// stamp fills what every event carries.
func (c *call) stamp(t target, e *reckoner.Event) {
	e.Rules = reckoner.Rules
	e.AccountID, e.OrganizationID, e.ProjectID = t.account.ID, t.organizationID, t.projectID
	e.ReceivedAt = c.received
}

// stampUsage fills what a decision about a usage needs: the time of use, the billing period, and the limit if the usage
// counts for what the subscription limits. subscription may be nil.
func (c *call) stampUsage(e *reckoner.Event, meter reckoner.Meter, subscription *catalog.Subscription) {
	e.Meter = meter
	e.UsageTime = e.Written.UsageTime
	if e.UsageTime.IsZero() {
		e.UsageTime = c.received
	}
	e.Period = c.periods.at(subscription, e.UsageTime)
	if subscription == nil {
		return
	}
	e.SubscriptionID = subscription.ID
	if subscription.Limit != nil && subscription.Meter == meter.Name && meter.Type == reckoner.Interval {
		e.Limit = subscription.Limit
	}
}

// periods finds billing periods. It remembers the last: the usages of a request mostly lie in one.
type periods struct {
	of   *catalog.Subscription
	last reckoner.Period
}

// at returns the period of a subscription that holds t; nil: of an account alone.
func (p *periods) at(s *catalog.Subscription, t time.Time) reckoner.Period {
	switch {
	case p.of == s && p.last.Contains(t): // the periods of a cycle never overlap
	case s == nil:
		p.of, p.last = nil, reckoner.Cycle{}.At(t)
	default:
		p.of, p.last = s, s.PeriodAt(t)
	}
	return p.last
}

// checkTime says what is wrong with a time of use, or nothing. The zero time is the time of receipt.
func (s *Server) checkTime(c *call, t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case !reckoner.StorableTime(t):
		return fmt.Sprintf("value %s is outside the years 1970 to 2199", t.Format(time.RFC3339Nano))
	case t.After(c.received.Add(s.maxAhead)):
		return fmt.Sprintf("value %s is more than %s (ingest.max_ahead) ahead of the clock", t.Format(time.RFC3339Nano), s.maxAhead)
	case s.maxAge > 0 && t.Before(c.received.Add(-s.maxAge)) && !c.credential.Allows(catalog.UsageBackfill):
		return fmt.Sprintf("value %s is older than %s: a credential with the scope usage.backfill may report it, or ingest.max_age: 0 lifts the bound",
			t.Format(time.RFC3339Nano), inDays(s.maxAge))
	}
	return ""
}

func inDays(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day != 0 {
		return d.String()
	}
	return fmt.Sprintf("%d days", d/day)
}
