package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
)

// usageHistory is usages of subscriptions, some taken back, beside what is none of them, and what has to be seen of it.
type usageHistory struct {
	batch   ledger.Batch
	records []ledger.UsageRecord // of entries, the ones taken back in full included
	refused []ledger.UsageRecord
}

func drawUsages(prefix string) *rapid.Generator[*usageHistory] {
	return rapid.Custom(func(t *rapid.T) *usageHistory {
		h := &usageHistory{}
		start := time.Date(2026, 4, 30, 23, 59, 59, 999_999_998, time.UTC) // a table partition ends amid them
		next := int64(0)
		position := func() reckoner.Position {
			next++
			return reckoner.Position{Log: 1, Partition: int32(next % 3), Offset: next}
		}
		for i := range rapid.IntRange(0, 30).Draw(t, "usages") {
			e := usageAt(0, reckoner.Thousandths(rapid.Int64Range(1, 9).Draw(t, "quantity")), start.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "use"))))
			e.Position = position()
			e.AccountID = prefix + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "account")
			e.OrganizationID = prefix + rapid.SampledFrom([]string{"org1", "org2"}).Draw(t, "org")
			e.SubscriptionID = rapid.SampledFrom([]string{"", prefix + "sub_A", prefix + "SUB_b"}).Draw(t, "subscription")
			e.EventID = fmt.Sprintf("%sUsg%02d", prefix, i)
			e.ReceivedAt = start.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "receipt")))
			if rapid.IntRange(0, 9).Draw(t, "refused") == 0 {
				h.refuse(e)
				continue
			}
			h.count(t, e, position)
		}
		return h
	})
}

func (h *usageHistory) refuse(e ledger.Entry) {
	h.batch.Refusals = append(h.batch.Refusals, ledger.Refusal{
		Position: e.Position, AccountID: e.AccountID, OrganizationID: e.OrganizationID, SubscriptionID: e.SubscriptionID, EventID: e.EventID,
		Kind: e.Kind, Outcome: reckoner.LimitExceeded, UsageTime: e.UsageTime, ReceivedAt: e.ReceivedAt, Rules: 1,
	})
	again := h.batch.Refusals[len(h.batch.Refusals)-1]
	again.Position.Offset += 1000
	again.Outcome = reckoner.Duplicate
	h.batch.Refusals = append(h.batch.Refusals, again)
	if e.SubscriptionID != "" {
		e.Outcome, e.Quantity = reckoner.LimitExceeded, reckoner.Quantity{}
		h.refused = append(h.refused, recordOf(e))
	}
}

func (h *usageHistory) count(t *rapid.T, e ledger.Entry, position func() reckoner.Position) {
	record := recordOf(e)
	h.batch.Entries = append(h.batch.Entries, e)
	if how := rapid.IntRange(0, 5).Draw(t, "revert"); how < 2 {
		r := revert(e, position(), how == 1 && e.Quantity.Cmp(reckoner.Thousandths(2)) > 0)
		r.EventID = e.EventID // the ids of reverts are their own
		r.ReceivedAt = e.ReceivedAt.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "reverted")) * 24 * time.Hour)
		h.batch.Entries = append(h.batch.Entries, r)
		record.Reverted, record.RevertedAt = r.Quantity.Neg(), r.ReceivedAt
	}
	if e.SubscriptionID != "" {
		h.records = append(h.records, record)
	}
}

func recordOf(e ledger.Entry) ledger.UsageRecord {
	return ledger.UsageRecord{
		Position: e.Position, AccountID: e.AccountID, OrganizationID: e.OrganizationID, SubscriptionID: e.SubscriptionID, EventID: e.EventID,
		Outcome: e.Outcome, Quantity: e.Quantity, UsageTime: e.UsageTime, ReceivedAt: e.ReceivedAt,
	}
}

func drawUsageList(prefix string) *rapid.Generator[ledger.UsageList] {
	return rapid.Custom(func(t *rapid.T) ledger.UsageList {
		q := ledger.UsageList{Organizations: []string{prefix + "org1", prefix + "org2"}, Limit: 1000}
		start := time.Date(2026, 4, 30, 23, 59, 59, 999_999_998, time.UTC)
		is := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 0 }
		texts := func(of ...string) *ledger.TextFilter {
			values := rapid.SliceOfN(rapid.SampledFrom(of), 1, 3).Draw(t, "values")
			return &ledger.TextFilter{Values: values, Not: rapid.Bool().Draw(t, "not")}
		}
		at := func() time.Time {
			if rapid.Bool().Draw(t, "open") {
				return time.Time{}
			}
			return start.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "at")))
		}
		times := func() *ledger.TimeFilter {
			f := &ledger.TimeFilter{Not: rapid.Bool().Draw(t, "not")}
			for range rapid.IntRange(1, 2).Draw(t, "ranges") {
				f.Ranges = append(f.Ranges, ledger.TimeRange{From: at(), To: at()})
			}
			return f
		}
		if is("organization") {
			q.Organizations = q.Organizations[:rapid.IntRange(0, 1).Draw(t, "organizations")]
		}
		if is("ids") {
			q.IDs = texts(prefix+"Usg00", prefix+"Usg01", "nobody's", "' OR 1 = 1 --\\")
		}
		if is("subscriptions") {
			q.Subscriptions = texts(prefix+"sub_A", prefix+"SUB_b", "")
		}
		if is("text") {
			q.Text = rapid.SampledFrom([]string{"usg0", "sub_a", "SUB", "%", "_", "\\"}).Draw(t, "text")
		}
		if is("usage time") {
			q.UsageTime = times()
		}
		if is("created") {
			q.CreatedTime = times()
		}
		if is("updated") {
			q.UpdatedTime = times()
		}
		if is("quantity") {
			bound := func() *reckoner.Quantity {
				if rapid.Bool().Draw(t, "open") {
					return nil
				}
				return new(reckoner.Thousandths(rapid.Int64Range(0, 10).Draw(t, "bound")))
			}
			q.Quantity = &ledger.QuantityFilter{Ranges: []ledger.QuantityRange{{From: bound(), To: bound()}}, Not: rapid.Bool().Draw(t, "not")}
		}
		q.Sort = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ledger.UsageSort {
			return ledger.UsageSort{Field: rapid.SampledFrom([]ledger.UsageField{ledger.UsageID, ledger.UsageSubscription, ledger.UsageQuantity,
				ledger.UsageTime, ledger.UsageCreated, ledger.UsageUpdated}).Draw(t, "field"), Desc: rapid.Bool().Draw(t, "desc")}
		}), 0, 3).Draw(t, "sort")
		return q
	})
}

// keeps is what a list means.
func keeps(q *ledger.UsageList, r *ledger.UsageRecord) bool {
	net, _ := r.Net()
	text := func(f *ledger.TextFilter, v string) bool { return f == nil || slices.Contains(f.Values, v) != f.Not }
	times := func(f *ledger.TimeFilter, v time.Time) bool {
		return f == nil || slices.ContainsFunc(f.Ranges, func(r ledger.TimeRange) bool {
			return (r.From.IsZero() || !v.Before(r.From)) && (r.To.IsZero() || !v.After(r.To))
		}) != f.Not
	}
	quantity := q.Quantity == nil || slices.ContainsFunc(q.Quantity.Ranges, func(r ledger.QuantityRange) bool {
		return (r.From == nil || net.Cmp(*r.From) >= 0) && (r.To == nil || net.Cmp(*r.To) <= 0)
	}) != q.Quantity.Not
	part := func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(q.Text)) }
	return !net.IsZero() && (q.Organizations == nil || slices.Contains(q.Organizations, r.OrganizationID)) && text(q.IDs, r.EventID) &&
		text(q.Subscriptions, r.SubscriptionID) && times(q.UsageTime, r.UsageTime) && times(q.CreatedTime, r.ReceivedAt) &&
		times(q.UpdatedTime, r.UpdatedAt()) && quantity && (part(r.EventID) || part(r.SubscriptionID))
}

func compareUsages(keys []ledger.UsageSort) func(a, b ledger.UsageRecord) int {
	return func(a, b ledger.UsageRecord) int {
		an, _ := a.Net()
		bn, _ := b.Net()
		for _, k := range keys {
			c := []int{
				ledger.UsageID: cmp.Compare(a.EventID, b.EventID), ledger.UsageSubscription: cmp.Compare(a.SubscriptionID, b.SubscriptionID),
				ledger.UsageQuantity: an.Cmp(bn), ledger.UsageTime: a.UsageTime.Compare(b.UsageTime),
				ledger.UsageCreated: a.ReceivedAt.Compare(b.ReceivedAt), ledger.UsageUpdated: a.UpdatedAt().Compare(b.UpdatedAt()),
			}[k.Field]
			if k.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		p, q := a.Position, b.Position
		return cmp.Or(cmp.Compare(p.Log, q.Log), cmp.Compare(p.Partition, q.Partition), cmp.Compare(p.Offset, q.Offset), cmp.Compare(p.Index, q.Index))
	}
}

// What a list shows is what Go selects of what was written, in its order, in pages of any size, also when every row was
// written twice.
func TestListUsagesSelectsAndOrders(t *testing.T) {
	l := openLedger(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		prefix := fmt.Sprint("run", run, "-")
		h := drawUsages(prefix).Draw(t, "usages")
		for range 2 {
			if err := l.Write(context.Background(), &h.batch); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			q := drawUsageList(prefix).Draw(t, "list")
			var want []ledger.UsageRecord
			for _, r := range h.records {
				if keeps(&q, &r) {
					want = append(want, r)
				}
			}
			slices.SortFunc(want, compareUsages(q.Sort))
			q.Limit = rapid.IntRange(1, 40).Draw(t, "limit")
			var got []ledger.UsageRecord
			for {
				page, total, err := l.ListUsages(context.Background(), q)
				if err != nil {
					t.Fatal(err)
				}
				if total != uint64(len(want)) || len(page) > q.Limit {
					t.Fatalf("%d of %d on a page of %d, want %d in all", len(page), total, q.Limit, len(want))
				}
				if len(page) == 0 {
					break
				}
				got, q.Offset = append(got, page...), q.Offset+uint64(len(page))
			}
			if diff := gocmp.Diff(want, got, compareRows); diff != "" {
				t.Fatalf("%+v (-want +got):\n%s", q, diff)
			}
		}
		findEach(t, l, h)
	})
}

// findEach looks every usage up by its id, among all accounts and among those that it may see.
func findEach(t *rapid.T, l *Ledger, h *usageHistory) {
	for find, records := range map[string][]ledger.UsageRecord{"usages": h.records, "refused": h.refused} {
		for i, r := range records {
			if i == 4 { // each is three reads
				break
			}
			for name, c := range map[string]struct {
				q    ledger.UsageLookup
				want []ledger.UsageRecord
			}{
				"anywhere":     {ledger.UsageLookup{ID: r.EventID}, []ledger.UsageRecord{r}},
				"its own":      {ledger.UsageLookup{ID: r.EventID, AccountID: r.AccountID, Organizations: []string{"x", r.OrganizationID}}, []ledger.UsageRecord{r}},
				"another's":    {ledger.UsageLookup{ID: r.EventID, Organizations: []string{"x"}}, nil},
				"nobody's":     {ledger.UsageLookup{ID: r.EventID, Organizations: []string{}}, nil},
				"another acct": {ledger.UsageLookup{ID: r.EventID, AccountID: "x"}, nil},
			} {
				read := l.FindUsages
				if find == "refused" {
					read = l.FindRefused
				}
				got, err := read(context.Background(), c.q)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(c.want, got, compareRows); diff != "" {
					t.Fatalf("%s, %s (-want +got):\n%s", find, name, diff)
				}
			}
		}
	}
}

// One id in two accounts is two usages.
func TestFindUsagesOfTwoAccounts(t *testing.T) {
	l := openLedger(t)
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	var b ledger.Batch
	for i, account := range []string{accounts[1], accounts[0]} {
		e := usageAt(int64(i), reckoner.Units(1), at)
		e.AccountID, e.EventID, e.SubscriptionID = account, "same", "sub"
		b.Entries = append(b.Entries, e)
	}
	b.Entries = append(b.Entries, revert(b.Entries[0], reckoner.Position{Log: 1, Offset: 9}, false))
	if err := l.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	got, err := l.FindUsages(t.Context(), ledger.UsageLookup{ID: "same"})
	if err != nil || len(got) != 2 || got[0].AccountID != accounts[0] || !got[0].Reverted.IsZero() || got[1].Reverted != reckoner.Units(1) {
		t.Errorf("%+v, %v", got, err)
	}
}

// The texts that the server is given are compared with checked-in snapshots.
func TestUsageQueriesMatchTheirSnapshots(t *testing.T) {
	one, times := &ledger.TextFilter{Values: []string{"a"}}, &ledger.TimeFilter{Ranges: make([]ledger.TimeRange, 1)}
	full := ledger.UsageList{Organizations: []string{"o"}, IDs: one, Subscriptions: one, UsageTime: times, CreatedTime: times, UpdatedTime: times,
		Quantity: &ledger.QuantityFilter{}, Text: "t", Sort: []ledger.UsageSort{{Field: ledger.UsageQuantity, Desc: true}, {Field: ledger.UsageUpdated}}}
	negated := full
	negated.IDs, negated.Subscriptions = &ledger.TextFilter{Not: true}, &ledger.TextFilter{Not: true}
	negated.UsageTime, negated.CreatedTime, negated.UpdatedTime = &ledger.TimeFilter{Not: true}, &ledger.TimeFilter{Not: true}, &ledger.TimeFilter{Not: true}
	negated.Quantity = &ledger.QuantityFilter{Not: true}
	var b strings.Builder
	for _, c := range []struct {
		of, name string
		with     any
	}{
		{"a list without a filter", "usages_list", usageList{}},
		{"a list with every filter", "usages_list", usageList{full, scope{true}}},
		{"a list with every filter negated", "usages_list", usageList{negated, scope{true}}},
		{"the number of a list", "usages_count", usageList{}},
		{"a lookup", "usages_find", usageLookup{}},
		{"a lookup with everything", "usages_find", usageLookup{ledger.UsageLookup{AccountID: "a"}, scope{true}}},
		{"a lookup of what was refused", "usages_refused", usageLookup{}},
		{"a lookup of what was refused, with everything", "usages_refused", usageLookup{ledger.UsageLookup{AccountID: "a"}, scope{true}}},
	} {
		text, err := usageQuery(c.name, c.with)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "-- %s\n%s;\n\n", c.of, text)
	}
	compareSnapshot(t, "usages.sql", b.String())
}

// A lookup by id reads the blocks that a skip index names, under FINAL too, and no others.
func TestLookupsUseTheirIndexes(t *testing.T) {
	l := openLedger(t)
	var b ledger.Batch
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for i := range int64(20_000) { // ten blocks of the index, of both tables
		e := usageAt(i, reckoner.Units(1), at)
		e.SubscriptionID = fmt.Sprint("sub_", i/1000)
		e.AccountID = fmt.Sprintf("00000000-0000-4000-8000-%012d", i/2) // so that the sorting key does not help
		if i%2 == 1 {
			e = revert(b.Entries[i-1], e.Position, false)
		}
		b.Entries = append(b.Entries, e)
		b.Refusals = append(b.Refusals, ledger.Refusal{Position: e.Position, AccountID: e.AccountID, EventID: e.EventID, Kind: reckoner.Usage,
			SubscriptionID: e.SubscriptionID, Outcome: reckoner.LimitExceeded, UsageTime: at, ReceivedAt: at})
	}
	if err := l.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	explain := func(name string, of any, args ...string) string {
		t.Helper()
		text, err := usageQuery(name, of)
		if err != nil {
			t.Fatal(err)
		}
		return queryFormat(t, l, "TSVRaw", "EXPLAIN indexes = 1 "+strings.NewReplacer(args...).Replace(text))
	}
	for name, c := range map[string]struct {
		plan    string
		indexes []string
	}{
		"by id":           {explain("usages_find", usageLookup{}, "{id:String}", "'e4000'"), []string{"event_id_bloom", "usage_id_bloom"}},
		"refused":         {explain("usages_refused", usageLookup{}, "{id:String}", "'e4000'"), []string{"event_id_bloom"}},
		"of subscription": {explain("usages_count", usageList{UsageList: ledger.UsageList{Subscriptions: &ledger.TextFilter{}}}, "{subscriptions:Array(String)}", "['sub_7']"), []string{"subscription_id_bloom"}},
	} {
		for _, index := range c.indexes {
			var granules, all int
			_, after, found := strings.Cut(c.plan, "Name: "+index)
			if found {
				_, after, _ = strings.Cut(after, "Granules: ")
				_, _ = fmt.Sscanf(after, "%d/%d", &granules, &all)
			}
			if all < 9 || granules > 3 {
				t.Errorf("%s: %s leaves %d of %d blocks:\n%s", name, index, granules, all, c.plan)
			}
		}
	}
}
