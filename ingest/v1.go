package ingest

import (
	"net/http"
	"time"
	_ "time/tzdata" // an image may hold no zones

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// v1 is the dialect of reads: what accounts and subscriptions used, in windows of time, and what became of an event. Its
// errors are problems.
type v1 struct {
	*Server
	dialect dialect
}

func newV1(s *Server) *v1 {
	return &v1{Server: s, dialect: dialect{name: "v1", roots: []string{"/v1"}, authenticate: authenticateKey, fail: problemFail}}
}

func (v *v1) routes() []*route {
	table := []route{
		{name: "usage_account", pattern: "/v1/accounts/{id}/usage", handle: v.accountUsage},
		{name: "statement", pattern: "/v1/accounts/{id}/statement", handle: v.statement},
		{name: "usage_subscription", pattern: "/v1/subscriptions/{id}/usage", handle: v.subscriptionUsage},
		{name: "event", pattern: "/v1/events/{account}/{id}", handle: v.event},
	}
	routes := make([]*route, len(table))
	for i := range table {
		table[i].dialect, table[i].method, table[i].scope = &v.dialect, http.MethodGet, catalog.UsageRead
		routes[i] = &table[i]
	}
	return routes
}

// account returns the account of a path, if it is of an organization that the caller may see.
func (v *v1) account(c *call, id string) (*catalog.Account, error) {
	account, ok := c.catalog.Account(id)
	if !ok {
		return nil, reckoner.Errorf(reckoner.NotFound, "there is no account %q", clip(id))
	}
	if !c.credential.MayUse(account.OrganizationID) {
		return nil, errForbidden
	}
	return account, nil
}

// positionJSON is a place in the log.
type positionJSON struct {
	Log       uint32 `json:"log"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Index     int32  `json:"index"`
}

func positionOf(p *reckoner.Position) *positionJSON {
	if p == nil {
		return nil
	}
	return &positionJSON{p.Log, p.Partition, p.Offset, p.Index}
}

// inZone writes a time as RFC 3339 does, with the offset of a zone. Offsets of seconds have no such form: then it is UTC.
func inZone(t time.Time, zone *time.Location) string {
	local := t.In(zone)
	if _, offset := local.Zone(); offset%60 != 0 {
		local = t.UTC()
	}
	return local.Format(time.RFC3339Nano)
}

// cursorOf is the place of a row.
func cursorOf(r *ledger.UsageRow) ledger.UsageCursor {
	return ledger.UsageCursor{Window: r.Window, Meter: r.Meter, MeterType: r.MeterType}
}
