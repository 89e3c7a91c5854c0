package report

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
)

const accountID = "9c1e0000-0000-4000-8000-000000000003"

// party begins every document: whose usage is reported, and five meters.
const party = `
organizations: [{id: 6f0d0000-0000-4000-8000-000000000001}]
accounts: [{id: ` + accountID + `, organization: 6f0d0000-0000-4000-8000-000000000001}]
meters:
  - {name: api_calls, unit: calls, type: interval}
  - {name: egress, unit: GB, type: interval}
  - {name: storage, unit: GB, type: total}
  - {name: seats, unit: seats, type: total}
  - {name: connections, unit: connections, type: rate}
`

// termsOf reads the terms of a document's only installation, through the catalog's own reader.
func termsOf(t testing.TB, document string) *Terms {
	t.Helper()
	document = strings.ReplaceAll(party+document, "ACCOUNT", accountID)
	c, err := catalog.Parse("test.yaml", []byte(document))
	if err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	for in := range c.Installations() {
		terms, err := TermsOf(c, MetersOf(c), in)
		if err != nil {
			t.Fatal(err)
		}
		return terms
	}
	t.Fatal("no installation")
	return nil
}

// use is one event that counts, as the ledger has it. A revert counts at the time of what it reverts.
type use struct {
	subscription, meter string
	at                  time.Time
	quantity            reckoner.Quantity
}

// usage is a ledger by the letter: events in the order of the log.
type usage []use

// readings folds the events of each slice, one by one, as the ledger's query is to.
func (u usage) readings(t testing.TB, terms *Terms, part Part) []Reading {
	t.Helper()
	edges := terms.Edges(part)
	windows := []reckoner.Period{{End: edges[0]}}
	for i := 1; i < len(edges); i++ {
		windows = append(windows, reckoner.Period{Start: edges[i-1], End: edges[i]})
	}
	var out []Reading
	for _, w := range windows {
		by := make(map[line]int)
		newest := make(map[line]time.Time)
		for _, e := range u {
			l := line{e.subscription, measure{e.meter, terms.Meters[e.meter].Type}}
			if !w.Contains(e.at) || w.Start.IsZero() && l.kind != reckoner.Total {
				continue
			}
			i, ok := by[l]
			if !ok {
				by[l], newest[l] = len(out), e.at
				out = append(out, Reading{SubscriptionID: l.subscription, Meter: l.meter, MeterType: l.kind, Slice: w, Quantity: e.quantity})
				continue
			}
			switch r := &out[i]; l.kind {
			case reckoner.Interval:
				r.Quantity = plus(t, r.Quantity, e.quantity)
			case reckoner.Total:
				if !e.at.Before(newest[l]) {
					r.Quantity, newest[l] = e.quantity, e.at
				}
			case reckoner.Rate:
				if e.quantity.Cmp(r.Quantity) > 0 {
					r.Quantity = e.quantity
				}
			}
		}
	}
	return out
}

func plus(t testing.TB, a, b reckoner.Quantity) reckoner.Quantity {
	t.Helper()
	sum, err := a.Add(b)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// statement makes the statement of the part that holds at, as of moment.
func (u usage) statement(t testing.TB, terms *Terms, at, moment time.Time) *Statement {
	t.Helper()
	part := terms.Calendar().At(at)
	s, err := Make(Input{Terms: terms, Part: part, Readings: u.readings(t, terms, part), Moment: moment})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// used reads lines of "subscription meter time quantity"; "-" is no subscription.
func used(t testing.TB, lines string) usage {
	t.Helper()
	var all usage
	for text := range strings.Lines(lines) {
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		q, err := reckoner.ParseQuantity(f[3])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, use{strings.TrimPrefix(f[0], "-"), f[1], instant(t, f[2]), q})
	}
	return all
}

func matches(pattern string, b []byte) bool { return regexp.MustCompile(pattern).Match(b) }
