package ingest

import (
	"strings"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// FuzzParseUsage: a body is no JSON, or its fields are wrong, or it is a usage that the log can hold.
func FuzzParseUsage(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"subscriptionId":"s","quantity":1.5}`, `{"id":"a","subscriptionId":"s","quantity":1e-3,"usageTime":"2026-06-15T12:00:00+0200","acceptPartialQuantity":true}`,
		`{"quantity":"1"}`, `{"quantity":1,"quantity":1}`, `{"quantity":1e999999999}`, `{"usageTime":"2026-06-15 12:00:00,5+02"}`, `null`, `[`,
	} {
		f.Add([]byte(seed))
	}
	l := DefaultLimits()
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parseUsage(body, &l)
		if err != nil {
			if reckoner.CodeOf(err) != reckoner.Invalid || problemStatus(err) != 400 {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if m.check().err() != nil {
			return
		}
		if m.quantity.Sign() <= 0 || m.quantity.Cmp(reckoner.MaxEvent()) > 0 || m.subscription == "" || len(m.id) > reckoner.MaxIDBytes {
			t.Fatalf("%q: %+v", body, m)
		}
		// What is echoed reads as what was meant.
		text, err := appendUsage(nil, "/usages/x", &ledger.UsageRecord{EventID: m.id, SubscriptionID: m.subscription, Quantity: m.quantity})
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseUsage(text, &l)
		if err != nil || again.subscription != m.subscription || again.quantity != m.quantity || again.id != m.id {
			t.Fatalf("%q: echoed as %s, %v", body, text, err)
		}
	})
}

// FuzzUsageList: a query is refused with the fields that are wrong, or asks for something that a ledger can answer.
func FuzzUsageList(f *testing.F) {
	for _, seed := range []string{
		"filter=subscriptionId:a,b;id:!x;usageTime:2026-06-15..;createdTime:..2026-06-15T12:00:00+02:00;quantity:1..2,5&sort=-createdTime,id&limit=7&offset=3&q=x",
		"filter=id:a,!b", "filter=quantity:..", "sort=-", "filter=:;:", "filter=updatedTime:2026-06-15T12:00:00 02:00", "limit=%31", "filter=quantity:1...2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := usageQuery(raw)
		if err != nil {
			if s := problemStatus(err); s != 400 && s != 422 {
				t.Fatalf("%q: %d %v", raw, s, err)
			}
			return
		}
		if q.Limit < 0 || q.Limit > pageLimitMax || len(q.Sort) == 0 {
			t.Fatalf("%q: %+v", raw, q)
		}
		for _, filter := range []*ledger.TextFilter{q.IDs, q.Subscriptions} {
			if filter != nil && (len(filter.Values) == 0 || strings.Contains(strings.Join(filter.Values, ""), ";")) {
				t.Fatalf("%q: %+v", raw, filter)
			}
		}
		for _, filter := range []*ledger.TimeFilter{q.UsageTime, q.CreatedTime, q.UpdatedTime} {
			if filter == nil {
				continue
			}
			for _, r := range filter.Ranges {
				for _, at := range []time.Time{r.From, r.To} {
					if !at.IsZero() && (at.Before(reckoner.MinTime) || at.After(reckoner.MaxTime)) {
						t.Fatalf("%q: %+v", raw, r)
					}
				}
			}
		}
	})
}

// FuzzParseISO: what RFC 3339 takes, and Go reads, is read the same.
func FuzzParseISO(f *testing.F) {
	for _, seed := range []string{"2026-06-15T12:00:00Z", "2026-06-15 12:00+02", "2026-06-15T12:00:00,5-0530", "2026-06-15", "0001-01-01T00:00:00Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, why := parseISO(text)
		if want, ok := parseTime(text); ok && (why != "" || !got.Equal(want)) {
			t.Fatalf("%q: %s %s, want %s", text, got, why, want)
		}
		if why == "" && len(text) < len("2026-06-15T12:00Z") {
			t.Fatalf("%q is taken for %s", text, got)
		}
	})
}
