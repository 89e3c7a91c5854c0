package clickhouse

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// view is a view of the contract with its columns, and the rows that a plain fold of entries gives for it.
type view struct {
	name, columns string
	want          func(entries []ledger.Entry) []string
}

var views = []view{
	{"account_totals", "account_id, meter, meter_type, quantity, events, reverts, first_use, last_use",
		folded(ofAccount, func(f fold) []any { return []any{f.quantity, f.events, f.reverts, nano(f.first), nano(f.last)} })},
	{"account_period_totals", "account_id, meter, meter_type, period_start, period_end, quantity, events, reverts",
		folded(ofAccountPeriod, func(f fold) []any { return []any{f.quantity, f.events, f.reverts} })},
	{"account_usage", "account_id, meter, meter_type, bucket, quantity, events",
		folded(ofAccountBucket, func(f fold) []any { return []any{f.quantity, f.events} })},
	{"subscription_totals", "account_id, subscription_id, meter, meter_type, period_start, period_end, quantity, events, reverts",
		folded(ofSubscriptionPeriod, func(f fold) []any { return []any{f.quantity, f.events, f.reverts} })},
	{"subscription_usage", "account_id, subscription_id, meter, meter_type, period_start, period_end, bucket, quantity, events",
		folded(ofSubscriptionBucket, func(f fold) []any { return []any{f.quantity, f.events} })},
	{"account_digests", "account_id, period_start, entries, digest", digests},
}

func ofAccount(e *ledger.Entry) []any { return []any{e.AccountID, e.Meter, e.MeterType} }

func ofAccountPeriod(e *ledger.Entry) []any {
	return append(ofAccount(e), nano(e.Period.Start), nano(e.Period.End))
}

func ofAccountBucket(e *ledger.Entry) []any {
	return append(ofAccount(e), e.Bucket.Format(time.DateTime))
}

func ofSubscriptionPeriod(e *ledger.Entry) []any {
	return []any{e.AccountID, e.SubscriptionID, e.Meter, e.MeterType, nano(e.Period.Start), nano(e.Period.End)}
}

func ofSubscriptionBucket(e *ledger.Entry) []any {
	return append(ofSubscriptionPeriod(e), e.Bucket.Format(time.DateTime))
}

// fold is what one group of entries comes to.
type fold struct {
	quantity        reckoner.Quantity
	events, reverts int
	first, last     time.Time
}

// folded groups entries and folds each group by its meter type. It says again, as plainly as it can, what design and
// views promise, and shares no code with them.
func folded(group func(*ledger.Entry) []any, show func(fold) []any) func([]ledger.Entry) []string {
	return func(entries []ledger.Entry) []string {
		groups := map[string][]ledger.Entry{}
		for i := range entries {
			key := line(group(&entries[i])...)
			groups[key] = append(groups[key], entries[i])
		}
		var lines []string
		for key, members := range groups {
			lines = append(lines, line(key, line(show(foldGroup(members))...)))
		}
		slices.Sort(lines)
		return lines
	}
}

func foldGroup(entries []ledger.Entry) fold {
	var f fold
	levels := map[string]ledger.Entry{} // the newest reading of each subscription
	for _, e := range entries {
		if e.Kind == reckoner.Revert {
			f.reverts++
		} else {
			if f.events == 0 || e.UsageTime.Before(f.first) {
				f.first = e.UsageTime
			}
			if f.events == 0 || e.UsageTime.After(f.last) {
				f.last = e.UsageTime
			}
			f.events++
		}
		switch e.MeterType {
		case reckoner.Interval:
			f.quantity = mustAdd(f.quantity, e.Quantity)
		case reckoner.Rate:
			if e.Quantity.Cmp(f.quantity) > 0 {
				f.quantity = e.Quantity
			}
		case reckoner.Total:
			old, read := levels[e.SubscriptionID]
			if !read || e.UsageTime.After(old.UsageTime) || e.UsageTime.Equal(old.UsageTime) && e.Position.Cmp(old.Position) > 0 {
				levels[e.SubscriptionID] = e
			}
		}
	}
	for _, e := range levels {
		f.quantity = mustAdd(f.quantity, e.Quantity)
	}
	return f
}

func digests(entries []ledger.Entry) []string {
	type group struct {
		account string
		start   time.Time
	}
	counts, sums := map[group]int{}, map[group]uint64{}
	for _, e := range entries {
		g := group{e.AccountID, e.Period.Start}
		counts[g]++
		sums[g] += ledger.EntryDigest(e.Kind, e.Quantity, e.EventID)
	}
	var lines []string
	for g := range counts {
		lines = append(lines, line(g.account, nano(g.start), counts[g], sums[g]))
	}
	slices.Sort(lines)
	return lines
}

func line(values ...any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, "\t")
}

// nano formats a time as ClickHouse shows a DateTime64(9).
func nano(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000000") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sum(t fataler, a, b reckoner.Quantity) reckoner.Quantity {
	q, err := a.Add(b)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func mustAdd(a, b reckoner.Quantity) reckoner.Quantity {
	q, err := a.Add(b)
	if err != nil {
		panic(err)
	}
	return q
}
