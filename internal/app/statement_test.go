package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner/ledger/report/accounts"
)

// statement reads the account's statement over HTTP.
func (s *usagesSite) statement(query string) *accounts.Document {
	s.t.Helper()
	path := "/v1/accounts/" + usagesAccount + "/statement" + query
	r := s.request(http.MethodGet, path, "", "")
	d := new(accounts.Document)
	if err := json.Unmarshal([]byte(r.body), d); err != nil || r.status != http.StatusOK {
		s.t.Fatalf("%s: %d %s (%v)", path, r.status, r.body, err)
	}
	return d
}

// sheets writes statements in short: the period, and what was used by whom.
func sheets(d *accounts.Document) string {
	var b strings.Builder
	for _, st := range d.Statements {
		fmt.Fprintf(&b, "%s to %s:", st.Start[:len("2026-06-10")], st.End[:len("2026-06-10")])
		for _, u := range st.BySubscription {
			fmt.Fprintf(&b, " %s %s %s,", *u.SubscriptionID, u.Meter, u.Quantity)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestStatementOnTheRealEngines: what was answered is in the next statement, once, whatever becomes of the subscription in the
// catalog; and the position is that of the last event.
func TestStatementOnTheRealEngines(t *testing.T) {
	s := newUsagesSite(t, map[string]string{"a": "10", "b": ""})
	s.use("u1", "a", "1.5", at("2026-06-09T23:59:59.999999999Z"), "1.5")
	s.use("u2", "a", "2", at("2026-06-10T00:00:00Z"), "2")
	s.use("u3", "a", "9", partial, "8")
	s.use("u4", "b", "0.001", at("2026-06-12T22:10:00Z"), "0.001")
	s.use("v1", "level", "5.5", at("2026-05-13T10:00:00Z"), "5.5")
	s.use("v2", "level", "4", at("2026-06-13T09:00:00Z"), "4")
	s.delete("u2", "gone", http.StatusNoContent)

	for query, want := range map[string]string{
		"": "2026-06-01 to 2026-07-01: level storage 4,\n" +
			"2026-06-10 to 2026-07-10: a calls 8, b calls 0.001,\n",
		"?period=previous": "2026-05-01 to 2026-06-01: level storage 5.5,\n" +
			"2026-05-10 to 2026-06-10: a calls 1.5, b calls 0,\n",
		"?period=2026-05&subscription=a":              "2026-05-10 to 2026-06-10: a calls 1.5,\n",
		"?period=2026-06-10&subscription=a":           "2026-06-10 to 2026-07-10: a calls 8,\n",
		"?period=2026-04-30T12:00:00Z&subscription=b": "2026-04-10 to 2026-05-10: b calls 0,\n",
	} {
		if diff := cmp.Diff(want, sheets(s.statement(query))); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	last := s.query(`SELECT concat(toString(log), '/', toString(partition), '/', toString(offset), '.', toString(index)) FROM reckoner.usage_entries WHERE event_id = 'gone'`)
	if d := s.statement(""); d.AsOf.Position.String() != last || d.Statements[1].AsOf.String() != last {
		t.Errorf("as of %s and %s, want %s", d.AsOf.Position, d.Statements[1].AsOf, last)
	}

	s.subscribe(map[string]string{"b": ""}) // a is gone, and shown where usage without a subscription is
	want := "2026-06-01 to 2026-07-01: a calls 9.5, level storage 4,\n2026-06-10 to 2026-07-10: b calls 0.001,\n"
	d := s.statement("")
	if diff := cmp.Diff(want, sheets(d)); diff != "" || !d.Statements[0].Subscriptions[0].Gone {
		t.Errorf("%+v: %s", d.Statements[0].Subscriptions, diff)
	}
	if diff := cmp.Diff("2026-06-01 to 2026-07-01: a calls 9.5,\n", sheets(s.statement("?subscription=a"))); diff != "" {
		t.Error(diff)
	}

	s.set(time.Date(2026, 7, 10, 0, 0, 0, 0, time.UTC)) // the periods are over
	d = s.statement("?period=previous")
	if diff := cmp.Diff(want, sheets(d)); diff != "" || !d.Statements[0].Ended || !d.Statements[1].Ended {
		t.Errorf("%+v: %s", d, diff)
	}
	s.proven()
}

// The most subscriptions that one statement has are read in one query.
func TestStatementOfManySubscriptions(t *testing.T) {
	limits := map[string]string{}
	for i := range accounts.SubscriptionsMax - 1 { // and `level`
		limits[fmt.Sprintf("0b6f2c0e-7a52-4d1c-9b1c-%012d", i)] = ""
	}
	s := newUsagesSite(t, limits)
	s.use("u1", "0b6f2c0e-7a52-4d1c-9b1c-000000000007", "1.5", "", "1.5")
	d := s.statement("")
	if len(d.Statements) != 2 || len(d.Statements[1].Subscriptions) != len(limits) || d.Statements[1].Usage[0].Quantity.String() != "1.5" || d.Statements[1].AsOf == nil {
		t.Errorf("%d statements, %+v", len(d.Statements), d.Statements[len(d.Statements)-1].Usage)
	}
}
