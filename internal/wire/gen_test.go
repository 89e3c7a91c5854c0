package wire_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reckoner"
)

const account = "9c1e0b5e-57a5-4c4d-9d3e-1f2a3b4c5d6e"

// usage is a valid usage with every field set; revert a revert with every field of one.
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

func revert() *reckoner.Event {
	amount := reckoner.Units(1)
	return &reckoner.Event{
		Rules: 1, Kind: reckoner.Revert, ID: "r-1", AccountID: account,
		Written:    reckoner.Written{UsageID: "u-1", Quantity: &amount, Source: "support"},
		ReceivedAt: time.Date(2026, 2, 17, 12, 0, 0, 0, time.UTC),
	}
}

func verdict() *reckoner.Verdict {
	return &reckoner.Verdict{
		ReplyTo: "ingest-1", AccountID: account, Kind: reckoner.Revert, ID: "r-1", Outcome: reckoner.Duplicate,
		First: reckoner.Reverted, Quantity: reckoner.Thousandths(-12500),
		Position: reckoner.Position{Log: 2, Partition: 3, Offset: 1 << 40, Index: 5},
	}
}

func text() *rapid.Generator[string] { return rapid.StringN(0, 12, 48) }

func ids() *rapid.Generator[string] {
	return rapid.Map(rapid.StringN(1, 12, 48), reckoner.CanonicalID)
}

// instants draws times that can be stored, down to the nanosecond.
func instants() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(1, reckoner.MaxTime.UnixNano()-1), func(n int64) time.Time { return time.Unix(0, n).UTC() })
}

func optionalInstants() *rapid.Generator[time.Time] {
	return rapid.OneOf(rapid.Just(time.Time{}), rapid.Just(reckoner.MinTime), instants())
}

// amounts draws quantities from least thousandths up to the most that an event may carry.
func amounts(least int64) *rapid.Generator[reckoner.Quantity] {
	return rapid.OneOf(
		rapid.Just(reckoner.MaxEvent()),
		rapid.Map(rapid.Int64Range(least, 1<<62), reckoner.Thousandths),
		rapid.Map(rapid.Int64Range(1, 1<<62), reckoner.Units),
	)
}

func labels(t *rapid.T) []reckoner.Label {
	var out []reckoner.Label
	keys := rapid.SliceOfNDistinct(text(), 0, 4, rapid.ID[string]).Draw(t, "metadata keys")
	slices.Sort(keys)
	for i, key := range keys {
		out = append(out, reckoner.Label{
			Key: key, Value: text().Draw(t, fmt.Sprintf("value %d", i)), JSON: rapid.Bool().Draw(t, fmt.Sprintf("json %d", i)),
		})
	}
	return out
}

// events draws valid events: what ingest may write.
func events() *rapid.Generator[*reckoner.Event] {
	return rapid.Custom(func(t *rapid.T) *reckoner.Event {
		e := &reckoner.Event{
			Rules: 1, ID: ids().Draw(t, "id"), AccountID: account,
			Written: reckoner.Written{
				Type: text().Draw(t, "written type"), Source: text().Draw(t, "source"), Subscription: text().Draw(t, "written subscription"),
				AcceptPartial: rapid.Bool().Draw(t, "partial"), UsageTime: optionalInstants().Draw(t, "written time"),
			},
			Description: text().Draw(t, "description"), UserID: text().Draw(t, "user"), CustomerID: text().Draw(t, "customer"), Metadata: labels(t),
			OrganizationID: text().Draw(t, "organization"), ProjectID: text().Draw(t, "project"), Type: text().Draw(t, "type"),
			SubscriptionID: text().Draw(t, "subscription"), ReceivedAt: instants().Draw(t, "received"),
			UpdatedAt: optionalInstants().Draw(t, "updated"), ReplyTo: text().Draw(t, "reply"),
		}
		if rapid.Bool().Draw(t, "a revert") {
			e.Kind = reckoner.Revert
			e.Written.UsageID = ids().Draw(t, "usage id")
			e.Written.Quantity = rapid.Ptr(amounts(1), true).Draw(t, "amount")
			return e
		}
		e.Kind = reckoner.Usage
		e.Meter = reckoner.Meter{
			Name: rapid.StringN(1, 12, 48).Draw(t, "meter"),
			Type: rapid.SampledFrom([]reckoner.MeterType{reckoner.Interval, reckoner.Total, reckoner.Rate}).Draw(t, "meter type"),
		}
		least := int64(0)
		if e.Meter.Type == reckoner.Interval {
			least = 1
			if e.SubscriptionID != "" {
				e.Limit = rapid.Ptr(amounts(0), true).Draw(t, "limit")
			}
		}
		amount := amounts(least).Draw(t, "quantity")
		e.Written.Quantity = &amount
		// Before the last instant, because the period's end is later and must be storable too.
		e.UsageTime = instants().Filter(func(at time.Time) bool { return at.Before(reckoner.MaxTime.Add(-1)) }).Draw(t, "used")
		e.Period = reckoner.Period{
			Start: time.Unix(0, rapid.Int64Range(0, e.UsageTime.UnixNano()).Draw(t, "start")).UTC(),
			End:   time.Unix(0, rapid.Int64Range(e.UsageTime.UnixNano()+1, reckoner.MaxTime.UnixNano()-1).Draw(t, "end")).UTC(),
		}
		return e
	})
}

// TestGeneratedEventsAreValid keeps the generator honest.
func TestGeneratedEventsAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if e := events().Draw(t, "event"); e.Validate() != nil {
			t.Fatalf("%v: %+v", e.Validate(), e)
		}
	})
}
