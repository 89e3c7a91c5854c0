package clickhouse

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/ledger"
)

// The names, columns and types of the views are the contract with those who query them.
func TestViewsHaveTheColumnsOfTheContract(t *testing.T) {
	l := openLedger(t)
	got := queryFormat(t, l, "TSV", `SELECT concat(table, '.', name, ' ', type) FROM system.columns
		WHERE database = currentDatabase() AND table IN (SELECT name FROM system.tables WHERE engine = 'View' AND database = currentDatabase())
		ORDER BY table, position`)
	compareSnapshot(t, "views.txt", strings.ReplaceAll(got, "\\'", "'"))
}

// What people see of an entry and of a refusal, value by value.
func TestEventViewsShowTheRowsAsTheyAre(t *testing.T) {
	l := openLedger(t)
	use := time.Date(2026, 5, 1, 0, 0, 0, 1, time.UTC)
	half, one := reckoner.Thousandths(12500), reckoner.Units(1)
	usage := usageAt(1, half, use)
	usage.OrganizationID, usage.ProjectID, usage.SubscriptionID, usage.Source = "org", "project", "sub", "api"
	usage.Description, usage.UserID, usage.CustomerID, usage.UpdatedAt = "text", "user", "customer", use
	usage.Metadata = []reckoner.Label{{Key: "a", Value: "5"}, {Key: "b", Value: "5", JSON: true}}
	all := revert(usage, reckoner.Position{Log: 1, Partition: 3, Offset: 2}, false)
	all.Requested, all.UpdatedAt, all.Metadata = nil, time.Time{}, nil
	b := &ledger.Batch{
		Entries: []ledger.Entry{usage, all},
		Refusals: []ledger.Refusal{
			{Position: reckoner.Position{Log: 1, Offset: 3}, AccountID: accounts[0], EventID: "e3", Kind: reckoner.Usage, Meter: "credit",
				Type: "credit", Requested: &one, Outcome: reckoner.LimitExceeded, Reason: "over", UsageTime: use, ReceivedAt: use},
			{Position: reckoner.Position{Log: 1, Offset: 4}, Outcome: reckoner.Undecodable, Reason: "not an event", ReceivedAt: use},
		},
	}
	if err := l.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, view := range []string{"usage_entries", "usage_refusals"} {
		lines = append(lines, queryFormat(t, l, "Vertical", "SELECT * FROM "+view+" ORDER BY offset"))
	}
	compareSnapshot(t, "events.txt", strings.Join(lines, "\n"))
}

// Two parties that hold the same entries compute the same digest, whatever is in an id.
func TestDigestsOfSQLAreThoseOfGo(t *testing.T) {
	l := openLedger(t)
	var b ledger.Batch
	for i := range 300 {
		e := drawEntry(reckoner.Position{Log: 1, Offset: int64(i)}).Example(i)
		e.Period.Start = reckoner.MinTime.AddDate(0, i%2, 0)
		b.Entries = append(b.Entries, e)
	}
	if err := l.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	// A client's own way to show decimals must not change a digest.
	got := queryTSV(t, l, "SELECT account_id, period_start, entries, digest FROM account_digests SETTINGS output_format_decimal_trailing_zeros = 1")
	if diff := cmp.Diff(digests(b.Entries), got); diff != "" {
		t.Errorf("(-Go +SQL):\n%s", diff)
	}
}

// A filter on the account reaches the primary key through every view, so that one account costs what it holds.
func TestAccountFilterReachesThePrimaryKey(t *testing.T) {
	l := openLedger(t)
	b := benchBatch(30_000, 1)
	if err := l.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	granules := regexp.MustCompile(`Granules: (\d+)/(\d+)`)
	for _, view := range []string{"account_totals", "account_period_totals", "account_usage", "subscription_totals", "subscription_usage",
		"account_digests", "usage_entries"} {
		plan := queryFormat(t, l, "TSVRaw", fmt.Sprintf("EXPLAIN indexes = 1 SELECT * FROM %s WHERE account_id = '%s'", view, b.Entries[0].AccountID))
		found := granules.FindAllStringSubmatch(plan, -1)
		if found == nil {
			t.Errorf("%s: no index in\n%s", view, plan)
			continue
		}
		read, _ := strconv.Atoi(found[len(found)-1][1])
		all, _ := strconv.Atoi(found[0][2])
		if read >= all {
			t.Errorf("%s reads %d of %d granules, want fewer\n%s", view, read, all, plan)
		}
	}
}
