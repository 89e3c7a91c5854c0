package reckoner_test

import (
	"strings"
	"testing"
	"time"

	"reckoner"
)

const account = "9c1e0b5e-57a5-4c4d-9d3e-1f2a3b4c5d6e"

// usage returns a valid usage with every field set.
func usage() *reckoner.Event {
	used := time.Date(2026, 2, 17, 12, 0, 0, 123456789, time.UTC)
	amount, limit := reckoner.Thousandths(12500), reckoner.Units(1000)
	return &reckoner.Event{
		Rules: 1, Kind: reckoner.Usage, ID: "u-1", AccountID: account,
		Written: reckoner.Written{
			Type: "feature", Source: "object-store", Subscription: "sub_1", Quantity: &amount, AcceptPartial: true, UsageTime: used,
		},
		Description: "GETs", UserID: "user", CustomerID: "customer",
		Metadata:       []reckoner.Label{{Key: "n", Value: "5", JSON: true}, {Key: "region", Value: "eu"}},
		OrganizationID: "org", ProjectID: "project", Type: "feature", SubscriptionID: "sub_1",
		Meter:  reckoner.Meter{Name: "api_calls", Type: reckoner.Interval},
		Period: reckoner.Cycle{}.At(used), Limit: &limit,
		UsageTime: used, ReceivedAt: used.Add(time.Second), UpdatedAt: used.Add(-time.Hour), ReplyTo: "ingest-1",
	}
}

// revert returns a valid revert with every field of one set.
func revert() *reckoner.Event {
	amount := reckoner.Units(1)
	return &reckoner.Event{
		Rules: 1, Kind: reckoner.Revert, ID: "r-1", AccountID: account,
		Written:    reckoner.Written{UsageID: "u-1", Quantity: &amount, Source: "support"},
		ReceivedAt: time.Date(2026, 2, 17, 12, 0, 0, 0, time.UTC),
	}
}

func quantity(q reckoner.Quantity) *reckoner.Quantity { return &q }

func TestValidateAccepts(t *testing.T) {
	longest := strings.Repeat("x", reckoner.MaxIDBytes)
	for name, change := range map[string]func(*reckoner.Event){
		"every field":           func(*reckoner.Event) {},
		"no optional field":     minimal,
		"the longest id":        func(e *reckoner.Event) { e.ID = longest },
		"the longest text":      func(e *reckoner.Event) { e.Description = strings.Repeat("x", reckoner.MaxTextBytes) },
		"the longest label":     func(e *reckoner.Event) { e.Metadata[0].Value = strings.Repeat("x", reckoner.MaxTextBytes) },
		"the largest quantity":  func(e *reckoner.Event) { e.Written.Quantity = quantity(reckoner.MaxEvent()) },
		"the smallest quantity": func(e *reckoner.Event) { e.Written.Quantity = quantity(reckoner.Thousandths(1)) },
		"a limit of 0":          func(e *reckoner.Event) { e.Limit = &reckoner.Quantity{} },
		"a level of 0": func(e *reckoner.Event) {
			e.Meter.Type, e.Limit, e.Written.Quantity = reckoner.Total, nil, &reckoner.Quantity{}
		},
		"a peak of 0": func(e *reckoner.Event) {
			e.Meter.Type, e.Limit, e.Written.Quantity = reckoner.Rate, nil, &reckoner.Quantity{}
		},
		"newer rules":           func(e *reckoner.Event) { e.Rules = reckoner.Rules + 1 },
		"an id in its own case": func(e *reckoner.Event) { e.ID = "U-1" },
		"the first instant": func(e *reckoner.Event) {
			e.UsageTime, e.Period = reckoner.MinTime, reckoner.Cycle{}.At(reckoner.MinTime)
		},
		"received at the last instant": func(e *reckoner.Event) {
			e.ReceivedAt = reckoner.MaxTime.Add(-1)
		},
		"a revert": func(e *reckoner.Event) { *e = *revert() },
		"a revert of all": func(e *reckoner.Event) {
			*e = *revert()
			e.Written.Quantity = nil
		},
	} {
		e := usage()
		change(e)
		if err := e.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// minimal leaves only what is required.
func minimal(e *reckoner.Event) {
	*e = reckoner.Event{
		Rules: 1, Kind: reckoner.Usage, ID: "u-1", AccountID: account,
		Written: reckoner.Written{Quantity: e.Written.Quantity}, Meter: e.Meter, Period: e.Period,
		UsageTime: e.UsageTime, ReceivedAt: e.ReceivedAt,
	}
}

// TestValidateRefuses has one case for each rule. The reason begins with the field's name and is bounded in length.
func TestValidateRefuses(t *testing.T) {
	huge := strings.Repeat("\xff", 1<<20)
	long := strings.Repeat("x", reckoner.MaxTextBytes+1)
	late, early := reckoner.MaxTime, reckoner.MinTime.Add(-1)
	for _, c := range []struct {
		name, reason string
		change       func(*reckoner.Event)
	}{
		{"no rules", "rules: ", func(e *reckoner.Event) { e.Rules = 0 }},
		{"no kind", "kind: ", func(e *reckoner.Event) { e.Kind = 0 }},
		{"unknown kind", "kind: ", func(e *reckoner.Event) { e.Kind = 3 }},
		{"no id", "id: ", func(e *reckoner.Event) { e.ID = "" }},
		{"long id", "id: ", func(e *reckoner.Event) { e.ID = huge }},
		{"id over by one", "id: ", func(e *reckoner.Event) { e.ID = strings.Repeat("x", 256) }},
		{"UUID in upper case", "id: ", func(e *reckoner.Event) { e.ID = strings.ToUpper(account) }},
		{"no account", "account_id: ", func(e *reckoner.Event) { e.AccountID = "" }},
		{"account in upper case", "account_id: ", func(e *reckoner.Event) { e.AccountID = strings.ToUpper(account) }},
		{"account no UUID", "account_id: ", func(e *reckoner.Event) { e.AccountID = huge }},
		{"received: missing", "received_at: missing", func(e *reckoner.Event) { e.ReceivedAt = time.Time{} }},
		{"received: missing in the log", "received_at: missing", func(e *reckoner.Event) { e.ReceivedAt = time.Unix(0, 0) }},
		{"received early", "received_at: ", func(e *reckoner.Event) { e.ReceivedAt = early }},
		{"received late", "received_at: ", func(e *reckoner.Event) { e.ReceivedAt = late }},
		{"updated early", "updated_at: ", func(e *reckoner.Event) { e.UpdatedAt = early }},
		{"updated late", "updated_at: ", func(e *reckoner.Event) { e.UpdatedAt = late }},
		{"written time early", "usage_time: ", func(e *reckoner.Event) { e.Written.UsageTime = early }},
		{"written time late", "usage_time: ", func(e *reckoner.Event) { e.Written.UsageTime = late }},
		{"long written type", "type: ", func(e *reckoner.Event) { e.Written.Type = long }},
		{"long source", "source: ", func(e *reckoner.Event) { e.Written.Source = long }},
		{"long written subscription", "subscription: ", func(e *reckoner.Event) { e.Written.Subscription = long }},
		{"long description", "description: ", func(e *reckoner.Event) { e.Description = long }},
		{"long user", "user_id: ", func(e *reckoner.Event) { e.UserID = long }},
		{"long customer", "customer_id: ", func(e *reckoner.Event) { e.CustomerID = long }},
		{"long organization", "organization_id: ", func(e *reckoner.Event) { e.OrganizationID = long }},
		{"long project", "project_id: ", func(e *reckoner.Event) { e.ProjectID = long }},
		{"long type", "type: ", func(e *reckoner.Event) { e.Type = long }},
		{"long subscription", "subscription_id: ", func(e *reckoner.Event) { e.SubscriptionID = long }},
		{"long meter", "meter: ", func(e *reckoner.Event) { e.Meter.Name = long }},
		{"long reply address", "reply_to: ", func(e *reckoner.Event) { e.ReplyTo = long }},
		{"metadata out of order", "metadata: ", func(e *reckoner.Event) { e.Metadata[0], e.Metadata[1] = e.Metadata[1], e.Metadata[0] }},
		{"metadata key twice", "metadata: ", func(e *reckoner.Event) { e.Metadata[1].Key = e.Metadata[0].Key }},
		{"long metadata key", "metadata: ", func(e *reckoner.Event) { e.Metadata[1].Key = long }},
		{"long metadata value", "metadata: ", func(e *reckoner.Event) { e.Metadata[0].Value = long }},
		{"no meter", "meter: ", func(e *reckoner.Event) { e.Meter.Name = "" }},
		{"no meter type", "meter_type: ", func(e *reckoner.Event) { e.Meter.Type = 0 }},
		{"unknown meter type", "meter_type: ", func(e *reckoner.Event) { e.Meter.Type = 4 }},
		{"no quantity", "quantity: ", func(e *reckoner.Event) { e.Written.Quantity = nil }},
		{"quantity 0", "quantity: ", func(e *reckoner.Event) { e.Written.Quantity = &reckoner.Quantity{} }},
		{"quantity below 0", "quantity: ", func(e *reckoner.Event) { e.Written.Quantity = quantity(reckoner.Thousandths(-1)) }},
		{"level below 0", "quantity: ", func(e *reckoner.Event) {
			e.Meter.Type, e.Limit, e.Written.Quantity = reckoner.Total, nil, quantity(reckoner.Thousandths(-1))
		}},
		{"quantity over the most", "quantity: ", func(e *reckoner.Event) { e.Written.Quantity = over(reckoner.MaxEvent()) }},
		{"limit below 0", "limit: ", func(e *reckoner.Event) { e.Limit = quantity(reckoner.Thousandths(-1)) }},
		{"limit of a level", "limit: ", func(e *reckoner.Event) { e.Meter.Type = reckoner.Total }},
		{"limit of a peak", "limit: ", func(e *reckoner.Event) { e.Meter.Type = reckoner.Rate }},
		{"limit without a subscription", "limit: ", func(e *reckoner.Event) { e.SubscriptionID = "" }},
		{"usage with a target", "usage_id: ", func(e *reckoner.Event) { e.Written.UsageID = "u-0" }},
		{"no time of use", "usage_time: ", func(e *reckoner.Event) { e.UsageTime = time.Time{} }},
		{"time of use late", "usage_time: ", func(e *reckoner.Event) { e.UsageTime = late }},
		{"no period", "period: ", func(e *reckoner.Event) { e.Period = reckoner.Period{} }},
		{"period ends late", "period: ", func(e *reckoner.Event) { e.Period.End = late }},
		{"period starts early", "period: ", func(e *reckoner.Event) { e.Period.Start = early }},
		{"period over", "period: ", func(e *reckoner.Event) { e.Period.End = e.UsageTime }},
		{"period not begun", "period: ", func(e *reckoner.Event) { e.Period.Start = e.UsageTime.Add(1) }},
		{"revert of nothing", "usage_id: ", func(e *reckoner.Event) { *e = *revert(); e.Written.UsageID = "" }},
		{"revert of a long id", "usage_id: ", func(e *reckoner.Event) { *e = *revert(); e.Written.UsageID = huge }},
		{"revert of a UUID in upper case", "usage_id: ", func(e *reckoner.Event) { *e = *revert(); e.Written.UsageID = strings.ToUpper(account) }},
		{"revert of 0", "quantity: ", func(e *reckoner.Event) { *e = *revert(); e.Written.Quantity = &reckoner.Quantity{} }},
		{"revert of less than 0", "quantity: ", func(e *reckoner.Event) { *e = *revert(); e.Written.Quantity = quantity(reckoner.Units(-1)) }},
		{"revert of too much", "quantity: ", func(e *reckoner.Event) { *e = *revert(); e.Written.Quantity = over(reckoner.MaxEvent()) }},
	} {
		e := usage()
		c.change(e)
		err := e.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.reason) {
			t.Errorf("%s: %v; want a reason that begins with %q", c.name, err, c.reason)
		} else if len(err.Error()) > 500 {
			t.Errorf("%s: a reason of %d bytes", c.name, len(err.Error()))
		}
	}
}

// over returns q and a thousandth.
func over(q reckoner.Quantity) *reckoner.Quantity {
	more, err := q.Add(reckoner.Thousandths(1))
	if err != nil {
		panic(err)
	}
	return &more
}
