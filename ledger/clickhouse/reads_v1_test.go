package clickhouse

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
)

// changes of the clock, by zone: two where an hour is left out or comes twice, one by half an hour, and a zone of quarters.
var changes = map[string][]time.Time{
	"Europe/Berlin":       {time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)},
	"America/St_Johns":    {time.Date(2026, 3, 8, 5, 30, 0, 0, time.UTC), time.Date(2006, 10, 29, 2, 31, 0, 0, time.UTC)},
	"Australia/Lord_Howe": {time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC), time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC)},
	"Asia/Kathmandu":      {time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
	"UTC":                 {time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
}

// drawHistory draws events of one account around a change of the clock.
func drawHistory(t *rapid.T, prefix string, near time.Time) *history {
	h := &history{prefix: prefix}
	open := map[string]ledger.Entry{}
	running := map[ledger.TotalKey]ledger.Total{}
	for offset := range rapid.Int64Range(1, 30).Draw(t, "events") {
		p := reckoner.Position{Log: uint32(1 + offset/20), Partition: 2, Offset: offset, Index: int32(offset % 2)}
		e := h.drawUsage(t, p)
		e.AccountID = prefix
		e.UsageTime = near.Add(time.Duration(rapid.IntRange(-200, 200).Draw(t, "minutes")) * 7 * time.Minute)
		e.Bucket, e.Period = reckoner.BucketOf(e.UsageTime), cycleOf(e.SubscriptionID).At(e.UsageTime)
		if ids := sortedKeys(open); len(ids) > 0 && rapid.IntRange(0, 3).Draw(t, "revert") == 0 {
			id := rapid.SampledFrom(ids).Draw(t, "of")
			e = revert(open[id], p, rapid.Bool().Draw(t, "in part"))
			delete(open, id)
		} else if e.MeterType == reckoner.Interval {
			open[e.EventID] = e
		}
		h.entries = append(h.entries, e)
		key := ledger.TotalKey{AccountID: e.AccountID, SubscriptionID: e.SubscriptionID, Meter: e.Meter, MeterType: e.MeterType,
			Period: e.Period, Bucket: e.Bucket}
		running[key] = add(t, running[key], key, e)
		h.totals = append(h.totals, running[key])
	}
	return h
}

// cycleOf gives sub_b periods that end inside a bucket.
func cycleOf(subscription string) reckoner.Cycle {
	if subscription == "sub_b" {
		return reckoner.Cycle{Anchor: time.Date(2026, 1, 1, 23, 50, 0, 0, time.UTC), Every: reckoner.Day}
	}
	return reckoner.Cycle{}
}

// usageLines folds entries by window and meter, as plainly as it can; window tells which one an entry is in, if any.
func usageLines(entries []ledger.Entry, s ledger.Subject, meter string, window func(*ledger.Entry) (reckoner.Period, bool)) []string {
	type key struct {
		start, end int64
		meter      string
		typ        reckoner.MeterType
	}
	groups := map[key][]ledger.Entry{}
	for _, e := range entries {
		w, ok := window(&e)
		if !ok || meter != "" && e.Meter != meter || s.SubscriptionID != "" && e.SubscriptionID != s.SubscriptionID {
			continue
		}
		k := key{w.Start.UnixNano(), w.End.UnixNano(), e.Meter, e.MeterType}
		groups[k] = append(groups[k], e)
	}
	var lines []string
	for k, members := range groups {
		f := foldGroup(members)
		lines = append(lines, line(k.start, k.end, k.meter, k.typ, f.quantity, f.events, f.reverts))
	}
	slices.Sort(lines)
	return lines
}

func rowLines(rows []ledger.UsageRow) []string {
	var lines []string
	for _, r := range rows {
		lines = append(lines, line(r.Window.Start.UnixNano(), r.Window.End.UnixNano(), r.Meter, r.MeterType, r.Quantity, r.Events, r.Reverts))
	}
	slices.Sort(lines)
	return lines
}

// asOf is the last event of a subject.
func asOf(entries []ledger.Entry, s ledger.Subject) *reckoner.Position {
	var last *reckoner.Position
	for _, e := range entries {
		if s.SubscriptionID == "" || e.SubscriptionID == s.SubscriptionID {
			last = &e.Position
		}
	}
	return last
}

// pages reads until there is no more, and holds that the order of the rows is that of the cursor.
func pages(t fataler, limit int, read func(after *ledger.UsageCursor) (ledger.UsagePage, error)) ([]ledger.UsageRow, *reckoner.Position) {
	var all []ledger.UsageRow
	var after *ledger.UsageCursor
	for {
		page, err := read(after)
		if err != nil {
			t.Fatalf("%v", err)
		}
		all = append(all, page.Rows...)
		if len(page.Rows) < limit {
			return all, page.AsOf
		}
		last := all[len(all)-1]
		after = &ledger.UsageCursor{Window: last.Window, Meter: last.Meter, MeterType: last.MeterType}
	}
}

// Windows and periods give what a plain fold of the entries gives, around changes of the clock, for accounts and
// subscriptions, all meters or one, in one page or in many.
func TestWindowsEqualAFoldOfTheEntries(t *testing.T) {
	l := openLedger(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		name := rapid.SampledFrom(sortedKeys(changes)).Draw(rt, "zone")
		zone, err := time.LoadLocation(name)
		if err != nil {
			rt.Fatal(err)
		}
		near := rapid.SampledFrom(changes[name]).Draw(rt, "near")
		h := drawHistory(rt, fmt.Sprintf("%08d-w", run), near)
		h.write(rt, l)
		from := reckoner.BucketOf(near).Add(time.Duration(rapid.IntRange(-100, 20).Draw(rt, "from")) * reckoner.Bucket)
		to := from.Add(time.Duration(rapid.IntRange(1, 200).Draw(rt, "buckets")) * reckoner.Bucket)
		meter := rapid.SampledFrom([]string{"", "credit", "storage"}).Draw(rt, "meter")
		limit := rapid.SampledFrom([]int{1, 3, 10_000}).Draw(rt, "limit")
		for _, subscription := range []string{"", "sub_a", "sub_b", "sub_none"} {
			s := ledger.Subject{AccountID: h.prefix, SubscriptionID: subscription}
			for _, width := range []ledger.Width{ledger.ByBucket, ledger.ByHour, ledger.ByDay} {
				edges, _ := ledger.Windows(from, to, width, zone, 10_000)
				got, at := pages(rt, limit, func(after *ledger.UsageCursor) (ledger.UsagePage, error) {
					return l.Windows(context.Background(), ledger.WindowQuery{Subject: s, Meter: meter, Edges: edges, Limit: limit, After: after})
				})
				want := usageLines(h.entries, s, meter, func(e *ledger.Entry) (reckoner.Period, bool) { return windowOf(edges, e.Bucket) })
				if diff := cmp.Diff(want, rowLines(got)); diff != "" {
					rt.Fatalf("width %d of %q, %s to %s (-fold +got):\n%s", width, subscription, from, to, diff)
				}
				if diff := cmp.Diff(asOf(h.entries, s), at); diff != "" {
					rt.Fatalf("as of (-last event +got):\n%s", diff)
				}
			}
			got, at := pages(rt, limit, func(after *ledger.UsageCursor) (ledger.UsagePage, error) {
				return l.Periods(context.Background(), ledger.PeriodQuery{Subject: s, Meter: meter, From: from, To: to, Limit: limit, After: after})
			})
			want := usageLines(h.entries, s, meter, func(e *ledger.Entry) (reckoner.Period, bool) {
				return e.Period, e.Period.Start.Before(to) && e.Period.End.After(from)
			})
			if diff := cmp.Diff(want, rowLines(got)); diff != "" {
				rt.Fatalf("periods of %q (-fold +got):\n%s", subscription, diff)
			}
			if diff := cmp.Diff(asOf(h.entries, s), at); diff != "" {
				rt.Fatalf("as of (-last event +got):\n%s", diff)
			}
		}
		checkUsed(rt, l, h, near)
	})
}

func windowOf(edges []time.Time, bucket time.Time) (reckoner.Period, bool) {
	for i := range len(edges) - 1 {
		if w := (reckoner.Period{Start: edges[i], End: edges[i+1]}); w.Contains(bucket) {
			return w, true
		}
	}
	return reckoner.Period{}, false
}

// checkUsed holds what limits are held against, and windows of one billing period, against a fold.
func checkUsed(t *rapid.T, l *Ledger, h *history, at time.Time) {
	used, err := l.Used(context.Background(), h.prefix, []string{"sub_b", "sub_none"}, at)
	if err != nil {
		t.Fatal(err)
	}
	period := cycleOf("sub_b").At(at)
	sub := ledger.Subject{AccountID: h.prefix, SubscriptionID: "sub_b"}
	in := func(e *ledger.Entry) (reckoner.Period, bool) { return e.Period, e.Period == period }
	var got []string
	for _, r := range used.Rows {
		got = append(got, line(r.SubscriptionID, r.Meter, r.Period, r.Quantity))
	}
	var want []string
	sum, found := reckoner.Quantity{}, false
	for _, e := range h.entries {
		if e.SubscriptionID == "sub_b" && e.MeterType == reckoner.Interval && e.Period == period {
			sum, found = mustAdd(sum, e.Quantity), true
		}
	}
	if found {
		want = append(want, line("sub_b", "credit", period, sum))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("used (-fold +got):\n%s", diff)
	}
	if len(used.Rows) > 0 {
		if diff := cmp.Diff(asOf(h.entries, sub), used.AsOf); diff != "" {
			t.Fatalf("used as of (-last event +got):\n%s", diff)
		}
	}
	// The period ends inside a bucket: what of that bucket belongs to the next period stays out.
	edges, _ := ledger.Windows(reckoner.BucketOf(period.Start), reckoner.BucketOf(period.End).Add(reckoner.Bucket), ledger.ByBucket, time.UTC, 1000)
	edges[0], edges[len(edges)-1] = period.Start, period.End
	page, err := l.Windows(context.Background(), ledger.WindowQuery{Subject: sub, Edges: edges, Period: &period, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	wanted := usageLines(h.entries, sub, "", func(e *ledger.Entry) (reckoner.Period, bool) {
		w, _ := windowOf(edges, e.UsageTime)
		_, ok := in(e)
		return w, ok
	})
	if diff := cmp.Diff(wanted, rowLines(page.Rows)); diff != "" {
		t.Fatalf("windows of a period (-fold +got):\n%s", diff)
	}
}

func TestWindowsOfNothing(t *testing.T) {
	l := openLedger(t)
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, id := range []string{"nobody", "' OR 1 = 1 --\\", "\t\n\x00'"} {
		s := ledger.Subject{AccountID: id, SubscriptionID: id}
		page, err := l.Windows(t.Context(), ledger.WindowQuery{Subject: s, Meter: id, Edges: []time.Time{from, from.Add(time.Hour)}, Limit: 10,
			After: &ledger.UsageCursor{Window: reckoner.Period{Start: from}, Meter: id, MeterType: reckoner.Rate}})
		if err != nil || page.AsOf != nil || page.Rows != nil {
			t.Errorf("windows of %q: %+v, %v", id, page, err)
		}
		page, err = l.Periods(t.Context(), ledger.PeriodQuery{Subject: s, Meter: id, From: from, To: from.Add(time.Hour), Limit: 10,
			After: &ledger.UsageCursor{Window: reckoner.Period{Start: from, End: from}, Meter: id, MeterType: reckoner.Rate}})
		if err != nil || page.AsOf != nil || page.Rows != nil {
			t.Errorf("periods of %q: %+v, %v", id, page, err)
		}
		used, err := l.Used(t.Context(), id, []string{id}, from)
		if err != nil || used.AsOf != nil || used.Rows != nil {
			t.Errorf("used of %q: %+v, %v", id, used, err)
		}
		story, err := l.Story(t.Context(), ledger.StoryQuery{AccountID: id, EventID: id, Limit: 10})
		if err != nil || len(story) != 0 {
			t.Errorf("story of %q: %+v, %v", id, story, err)
		}
		if p, ok, err := l.Decided(t.Context(), id); err != nil || ok {
			t.Errorf("decided of %q: %s, %t, %v", id, p, ok, err)
		}
	}
	if _, err := l.Windows(t.Context(), ledger.WindowQuery{Subject: ledger.Subject{AccountID: "a"}, Edges: []time.Time{from}, Limit: 1}); err == nil {
		t.Error("one edge makes a window")
	}
}

func TestRunsTellTheNumbers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		set := rapid.SliceOfNDistinct(rapid.Int64Range(0, 60), 1, 40, rapid.ID[int64]).Draw(rt, "numbers")
		slices.Sort(set)
		starts, steps, counts := runs(set)
		var back []int64
		for i, start := range starts {
			for n := range counts[i] {
				back = append(back, start+n*steps[i])
			}
		}
		if diff := cmp.Diff(set, back); diff != "" {
			rt.Fatal(diff)
		}
	})
	days := make([]int64, 0, 365)
	for d := range int64(365) {
		days = append(days, d*96)
	}
	if starts, _, _ := runs(days); len(starts) != 1 {
		t.Errorf("a year of equal days is %d runs", len(starts))
	}
}

// A read of one account goes through the primary key; one of an event through an index, too.
func TestReadsOfOneAccountUseThePrimaryKey(t *testing.T) {
	l := openLedger(t)
	b := benchBatch(30_000, 1)
	if err := l.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	account, id := b.Entries[0].AccountID, b.Entries[0].EventID
	parameters := map[string]string{
		"account_id": account, "subscription_id": "sub_1", "meter": "credit", "event_id": id, "subscription_ids": "['sub_1']", "usage_ids": "['" + id + "']",
		"from": "1974000", "to": "1974100", "starts": "[1974000]", "steps": "[4]", "counts": "[25]", "at": "1777593600000000000", "limit": "10",
	}
	granules := regexp.MustCompile(`Granules: (\d+)/(\d+)`)
	for name, of := range map[string]any{
		"v1_windows": ledger.WindowQuery{}, "v1_periods": ledger.PeriodQuery{Subject: ledger.Subject{SubscriptionID: "sub_1"}}, "v1_used": nil,
		"v1_event_entries": ledger.StoryQuery{}, "v1_event_related": struct{ Reverts bool }{},
	} {
		text, err := v1Query(name, of)
		if err != nil {
			t.Fatal(err)
		}
		for parameter, value := range parameters {
			text = regexp.MustCompile(`\{`+parameter+`:([A-Za-z0-9()]+)\}`).ReplaceAllString(text, "CAST('"+strings.ReplaceAll(value, "'", "\\'")+"' AS $1)")
		}
		plan := queryFormat(t, l, "TSVRaw", "EXPLAIN indexes = 1 "+text)
		found := granules.FindAllStringSubmatch(plan, -1)
		if found == nil {
			t.Errorf("%s: no index in\n%s", name, plan)
			continue
		}
		read, _ := strconv.Atoi(found[len(found)-1][1])
		all, _ := strconv.Atoi(found[0][2])
		if read >= all {
			t.Errorf("%s reads %d of %d granules, want fewer\n%s", name, read, all, plan)
		}
	}
}
