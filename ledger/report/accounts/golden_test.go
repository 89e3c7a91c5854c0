package accounts

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"reckoner"
)

// shop is an account with all that a statement can hold: two subscriptions of one period, of which one has a limit, a third
// one by the calendar month, and meters of every type. sub_gone is in the ledger only.
const shop = `
organizations: [{id: 6f0d0000-0000-4000-8000-000000000001, name: acme}]
accounts: [{id: 9c1e0000-0000-4000-8000-000000000001, organization: 6f0d0000-0000-4000-8000-000000000001}, {id: 9c1e0000-0000-4000-8000-000000000002, organization: 6f0d0000-0000-4000-8000-000000000001}]
meters: [{name: calls, unit: calls}, {name: storage, unit: GB, type: total}, {name: seats, unit: seats, type: rate}]
plans:
- id: pro
  prices: [{meter: calls, unit_price: "0.0025", included: "1000"}, {meter: storage, unit_price: "0.10"}]
  discounts: [{name: "launch, \"spring\"", amount: "0.50"}]
- {id: team, prices: [{meter: seats, unit_price: "12.345", included: "2"}], discounts: [{name: partner, amount: "100"}]}
subscriptions:
- {id: sub_a, account: 9c1e0000-0000-4000-8000-000000000001, plan: pro, meter: calls, limit: "5000.5", period: {anchor: 2026-01-10T00:00:00Z}}
- {id: sub_b, account: 9c1e0000-0000-4000-8000-000000000001, plan: pro, meter: calls, period: {anchor: 2026-03-10T00:00:00Z}}
- {id: sub_team, account: 9c1e0000-0000-4000-8000-000000000001, plan: team, meter: seats}
`

func noon() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC) }

// used is what the account of shop used.
func used() *world {
	at := func(month time.Month, day, hour int) time.Time {
		return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC)
	}
	units := reckoner.Units
	return &world{totals: []total{
		{"sub_a", "calls", reckoner.Interval, at(6, 9, 23), units(4000), 1}, // of the period before
		{"sub_a", "calls", reckoner.Interval, at(6, 10, 0), units(1200), 2},
		{"sub_a", "calls", reckoner.Interval, at(6, 15, 11), reckoner.Thousandths(1002), 3}, // 0.502505: half a cent is not lost, nor won
		{"sub_a", "storage", reckoner.Total, at(5, 1, 0), units(7), 4},                      // carries over
		{"sub_b", "calls", reckoner.Interval, at(6, 12, 0), units(30), 5},
		{"sub_b", "storage", reckoner.Total, at(6, 11, 0), reckoner.Thousandths(2550), 6},
		{"sub_team", "seats", reckoner.Rate, at(6, 2, 0), units(3), 7},
		{"sub_team", "seats", reckoner.Rate, at(6, 3, 0), units(2), 8},
		{"sub_gone", "calls", reckoner.Interval, at(6, 1, 0), units(11), 9},
		{"", "credit", reckoner.Interval, at(6, 14, 0), must(reckoner.ParseQuantity("9223372036854775807000.001")), 12},
		{"", "removed", reckoner.Interval, at(5, 14, 0), units(5), 11},
	}}
}

func document(t testing.TB, w *world, period, subscription string) *Document {
	t.Helper()
	when, err := ParseWhen(period)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Read(t.Context(), w, &Query{Catalog: parse(t, shop), AccountID: owner, SubscriptionID: subscription, When: when, Now: noon()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestFormats holds what goes out to the byte.
func TestFormats(t *testing.T) {
	for name, d := range map[string]*Document{
		"current":      document(t, used(), "current", ""),
		"may":          document(t, used(), "2026-05", ""),
		"subscription": document(t, used(), "2026-06-09T23:59:59.999999999Z", "sub_a"),
		"nothing":      document(t, new(world), "previous", ""),
	} {
		b, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", string(b)+"\n")
		var table, file strings.Builder
		if err := d.WriteTable(&table); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", table.String())
		if err := d.WriteCSV(&file); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".csv", file.String())
	}
}

// Whatever names there are, a CSV reader gives them back, and a table stays in its width and on its lines.
func TestNamesStayInTheirPlace(t *testing.T) {
	w := used()
	name := strings.Repeat("é", 80) + "\r\n\x1b[2J\"a\",b"
	w.totals = append(w.totals, total{name, name, reckoner.Interval, noon(), must(reckoner.ParseQuantity("123456789012345678901234567890.123")), 20})
	d := document(t, w, "current", "")
	var table, file strings.Builder
	if err := d.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(table.String(), "\r\x1b") || !strings.Contains(table.String(), "123456789012345678901234567890.123") {
		t.Errorf("the table:\n%q", table.String())
	}
	for line := range strings.Lines(table.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > tableWidth {
			t.Errorf("a line of %d: %s", n, line)
		}
	}
	if err := d.WriteCSV(&file); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(file.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(name, "\r\n", "\n") // which is what encoding/csv reads
	found := false
	for _, row := range rows {
		found = found || row[4] == csvBySubscription && row[5] == want && row[7] == want && row[10] == "123456789012345678901234567890.123"
	}
	if !found {
		t.Errorf("no line of %q in\n%s", want, file.String())
	}
}
