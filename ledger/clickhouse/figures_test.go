package clickhouse

import (
	stdcmp "cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
	"reckoner/ledger"
)

// cycles that usage of the tests is in: two of them have periods that end inside a bucket. A subscription whose anchor was
// changed has usage in more than one.
var figureCycles = []reckoner.Cycle{
	{}, {Anchor: time.Date(2026, 1, 1, 23, 50, 0, 1, time.UTC), Every: reckoner.Day}, {Anchor: time.Date(2026, 1, 1, 0, 7, 30, 123_900_000, time.UTC), Every: reckoner.Week},
}

// drawUsed draws what one partition decided of some accounts over four days.
func drawUsed(t *rapid.T, prefix string) *history {
	h := &history{prefix: prefix}
	open := map[string]ledger.Entry{}
	running := map[ledger.TotalKey]ledger.Total{}
	for offset := range rapid.Int64Range(1, 40).Draw(t, "events") {
		p := reckoner.Position{Log: uint32(1 + offset/25), Partition: 2, Offset: offset, Index: int32(offset % 2)}
		e := h.drawUsage(t, p)
		e.UsageTime = time.Date(2026, 1, 30, 23, 53, 0, 5, time.UTC).Add(time.Duration(rapid.IntRange(0, 4*24*60).Draw(t, "minute")) * time.Minute)
		if rapid.Bool().Draw(t, "near the bounds") {
			e.UsageTime = time.Date(2026, 1, 31, 23, 45, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(-1, 30).Draw(t, "minute")) * time.Minute)
		}
		e.Bucket = reckoner.BucketOf(e.UsageTime)
		e.Period = rapid.SampledFrom(figureCycles).Draw(t, "cycle").At(e.UsageTime)
		if rapid.IntRange(0, 9).Draw(t, "huge") == 0 {
			e.Quantity = reckoner.Units(1 << 62)
		}
		if ids := sortedKeys(open); len(ids) > 0 && rapid.IntRange(0, 3).Draw(t, "revert") == 0 {
			id := rapid.SampledFrom(ids).Draw(t, "of")
			e = revert(open[id], p, false)
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

// drawEdges draws a period, cut where buckets begin.
func drawEdges(t *rapid.T) []time.Time {
	from := rapid.SampledFrom(figureCycles).Draw(t, "cycle").At(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(-1, 3).Draw(t, "day")))
	edges := []time.Time{from.Start, from.End}
	for range rapid.IntRange(0, 4).Draw(t, "edges") {
		at := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 4*96).Draw(t, "edge")) * reckoner.Bucket)
		if at.After(from.Start) && at.Before(from.End) {
			edges = append(edges, at)
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	return slices.CompactFunc(edges, time.Time.Equal)
}

// sliceOf says of an entry which slice of a query it is in: false for one that does not count.
func sliceOf(e *ledger.Entry, q *ledger.FiguresQuery) (reckoner.Period, bool) {
	at := e.Bucket
	if e.Period.Start.After(at) {
		at = e.Period.Start
	}
	switch {
	case e.AccountID != q.AccountID || !slices.Contains(q.SubscriptionIDs, e.SubscriptionID), !at.Before(q.Edges[len(q.Edges)-1]):
		return reckoner.Period{}, false
	case at.Before(q.Edges[0]):
		return reckoner.Period{End: q.Edges[0]}, e.MeterType == reckoner.Total
	}
	return windowOf(q.Edges, at)
}

// naive folds entries as plainly as it can.
func naive(entries []ledger.Entry, q *ledger.FiguresQuery, until *reckoner.Position) (lines []string, asOf *reckoner.Position) {
	type key struct {
		start, end time.Time
		sub, meter string
		kind       reckoner.MeterType
	}
	groups := map[key][]ledger.Entry{}
	for i := range entries {
		e := &entries[i]
		s, ok := sliceOf(e, q)
		if !ok || until != nil && e.Position.Cmp(*until) > 0 {
			continue
		}
		k := key{s.Start, s.End, e.SubscriptionID, e.Meter, e.MeterType}
		groups[k] = append(groups[k], *e)
		if asOf == nil || e.Position.Cmp(*asOf) > 0 {
			asOf = &e.Position
		}
	}
	for k, members := range groups {
		lines = append(lines, line(nano(k.start), nano(k.end), k.sub, k.meter, k.kind, foldGroup(members).quantity))
	}
	slices.Sort(lines)
	return lines, asOf
}

func figureLines(f ledger.Figures) (lines []string) {
	for _, r := range f.Rows {
		lines = append(lines, line(nano(r.Slice.Start), nano(r.Slice.End), r.SubscriptionID, r.Meter, r.MeterType, r.Quantity))
	}
	slices.Sort(lines)
	return lines
}

// Figures of the totals, figures of the entries at their position, and a plain fold are the same: with periods that end
// inside buckets, anchors that changed, levels that carry over, usage without a subscription, and several queries of an account.
func TestFiguresEqualAFoldOfTheEntries(t *testing.T) {
	l := openLedger(t)
	ctx := context.Background()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		h := drawUsed(rt, fmt.Sprintf("%08d-f", run))
		h.write(rt, l)
		var queries []ledger.FiguresQuery
		for range rapid.IntRange(1, 5).Draw(rt, "queries") {
			queries = append(queries, ledger.FiguresQuery{
				AccountID: h.prefix + rapid.SampledFrom([]string{"a", "b", "none"}).Draw(rt, "account"), Edges: drawEdges(rt),
				SubscriptionIDs: rapid.SliceOfN(rapid.SampledFrom([]string{"", "sub_a", "sub_b", "sub_none"}), 0, 5).Draw(rt, "subscriptions"),
			})
		}
		figures, err := l.Figures(ctx, queries)
		if err != nil {
			rt.Fatal(err)
		}
		for i := range queries {
			queries[i].AsOf = figures[i].AsOf
		}
		proven, err := l.FiguresAt(ctx, queries)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(figures, proven, compareRows); diff != "" {
			rt.Fatalf("(-totals +entries at their position):\n%s", diff)
		}
		for i := range queries {
			until := rapid.SampledFrom(h.entries).Draw(rt, "until").Position
			queries[i].AsOf = &until
		}
		earlier, err := l.FiguresAt(ctx, queries)
		if err != nil {
			rt.Fatal(err)
		}
		for i, q := range queries {
			for what, got := range map[string]ledger.Figures{"now": figures[i], "at an earlier position": earlier[i]} {
				until := q.AsOf
				if what == "now" {
					until = nil
				}
				want, asOf := naive(h.entries, &q, until)
				if diff := cmp.Diff(want, figureLines(got)); diff != "" {
					rt.Fatalf("query %d, %s (-fold +figures):\n%s", i, what, diff)
				}
				if diff := cmp.Diff(asOf, got.AsOf); diff != "" {
					rt.Fatalf("query %d, %s: as of (-fold +figures):\n%s", i, what, diff)
				}
			}
			checkBehind(rt, l, h.entries, &q)
		}
		want := map[string]map[string]time.Time{}
		for _, total := range h.totals {
			if want[total.AccountID] == nil {
				want[total.AccountID] = map[string]time.Time{}
			}
			if total.Bucket.After(want[total.AccountID][total.SubscriptionID]) {
				want[total.AccountID][total.SubscriptionID] = total.Bucket
			}
		}
		used, err := l.SubscriptionsUsed(ctx, append(slices.Collect(maps.Keys(want)), h.prefix+"none"))
		if diff := cmp.Diff(want, used); err != nil || diff != "" {
			rt.Fatalf("subscriptions used: %v (-totals +ledger):\n%s", err, diff)
		}
	})
}

// checkBehind holds that the entries behind figures are those that are folded, of a level from before only the newest reading.
func checkBehind(t *rapid.T, l *Ledger, entries []ledger.Entry, q *ledger.FiguresQuery) {
	var want []ledger.Entry
	newest := map[string]int{}
	for _, e := range entries {
		s, ok := sliceOf(&e, q)
		if !ok || e.Position.Cmp(*q.AsOf) > 0 {
			continue
		}
		if !s.Start.IsZero() {
			want = append(want, e)
			continue
		}
		level := line(e.SubscriptionID, e.Meter)
		at, known := newest[level]
		switch {
		case !known:
			newest[level] = len(want)
			want = append(want, e)
		case !e.UsageTime.Before(want[at].UsageTime):
			want[at] = e
		}
	}
	slices.SortFunc(want, func(a, b ledger.Entry) int {
		return stdcmp.Or(stdcmp.Compare(a.SubscriptionID, b.SubscriptionID), stdcmp.Compare(a.Meter, b.Meter), a.Position.Cmp(b.Position))
	})
	if diff := cmp.Diff(want, collect(t, l.Behind(context.Background(), *q)), compareRows); diff != "" {
		t.Fatalf("behind (-fold +read):\n%s", diff)
	}
}

// More queries than one statement takes are several, and each has its own answer. None of them is lost at a cut.
func TestFiguresOfManyQueries(t *testing.T) {
	l := openLedger(t)
	use := time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	var b ledger.Batch
	var queries []ledger.FiguresQuery
	for i := range 4000 {
		e := usageAt(int64(i), reckoner.Units(int64(i+1)), use)
		e.AccountID, e.SubscriptionID = fmt.Sprintf("00000000-0000-4000-8000-%012d", i), fmt.Sprintf("it's \\ sub_%06d", i)
		b.Entries = append(b.Entries, e)
		b.Totals = append(b.Totals, totalOf(&e))
		queries = append(queries, ledger.FiguresQuery{AccountID: e.AccountID, SubscriptionIDs: []string{e.SubscriptionID}, Edges: []time.Time{
			march.Add(time.Duration(i)), march.AddDate(0, 0, 4), march.AddDate(0, 0, 5), march.AddDate(0, 1, 0).Add(time.Duration(i)),
		}})
	}
	if err := l.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	statements, p := 1, newFigureParameters(false)
	for i := range queries {
		if n := figuresSize(&queries[i]); p.bytes+n > figuresBytes {
			statements, p = statements+1, newFigureParameters(false)
		}
		p.add(i, &queries[i])
	}
	if statements < 2 {
		t.Fatal("all queries are one statement: ask more")
	}
	figures, err := l.Figures(t.Context(), queries)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range figures {
		want := ledger.Figures{AsOf: &b.Entries[i].Position, Rows: []ledger.Figure{{SubscriptionID: b.Entries[i].SubscriptionID, Meter: "credit", MeterType: reckoner.Interval,
			Slice: reckoner.Period{Start: march.AddDate(0, 0, 4), End: march.AddDate(0, 0, 5)}, Quantity: reckoner.Units(int64(i + 1))}}}
		if diff := cmp.Diff(want, f, compareRows); diff != "" {
			t.Fatalf("query %d:\n%s", i, diff)
		}
	}
}

// recorder keeps how much of a URL the parameters of the largest request took.
type recorder struct {
	http.RoundTripper
	all, greatest int
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	all, greatest := 0, 0
	for name, values := range request.URL.Query() {
		if n := len(url.QueryEscape(values[0])); strings.HasPrefix(name, "param_") {
			all, greatest = all+n, max(greatest, n)
		}
	}
	r.all, r.greatest = max(r.all, all), max(r.greatest, greatest)
	return r.RoundTripper.RoundTrip(request)
}

// No more of parameters goes into a URL than a server takes, whatever the ids are; and figuresSize says no less than goes there.
func TestFiguresFitAURL(t *testing.T) {
	recorded := &recorder{RoundTripper: chdbtest.Open(t, chdb.Options{Dir: t.TempDir()}).Transport()}
	l, err := Open(Options{URL: "http://default@engine", Transport: recorded})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := l.Migrate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for name, ids := range map[string][]string{"plain": {"sub_0000001"}, "strange": {"", "it's \\ 'é'\t\n\x00", "\\\\''", "sub_1"}} {
		var queries []ledger.FiguresQuery
		size := 0
		for i := range 3000 {
			q := ledger.FiguresQuery{AccountID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), SubscriptionIDs: ids,
				Edges: []time.Time{march, march.Add(1), march.Add(2), march.Add(time.Duration(i + 3))}, AsOf: &reckoner.Position{Log: 1 << 30, Offset: 1 << 62, Index: 1 << 30}}
			queries = append(queries, q)
			if size+figuresSize(&q) <= figuresBytes {
				size += figuresSize(&q)
			}
		}
		recorded.all, recorded.greatest = 0, 0
		if _, err := l.Figures(t.Context(), queries); err != nil {
			t.Fatal(err)
		}
		if recorded.all > size || recorded.all > figuresBytes || recorded.greatest > parameterBytes+100 {
			t.Errorf("%s: %d bytes in a URL, %d of one parameter; %d were estimated", name, recorded.all, recorded.greatest, size)
		}
		t.Logf("%s: %d bytes in a URL, %d of one parameter; %d were estimated, %d a query", name, recorded.all, recorded.greatest, size, figuresSize(&queries[0]))
	}
}

func totalOf(e *ledger.Entry) ledger.Total {
	return ledger.Total{TotalKey: ledger.TotalKey{AccountID: e.AccountID, SubscriptionID: e.SubscriptionID, Meter: e.Meter, MeterType: e.MeterType,
		Period: e.Period, Bucket: e.Bucket}, Quantity: e.Quantity, Events: 1, FirstUse: e.UsageTime, LastUse: e.UsageTime, Reading: e.Position, Position: e.Position}
}

func TestFiguresOfNothing(t *testing.T) {
	l := openLedger(t)
	edges := []time.Time{march, march.AddDate(0, 1, 0)}
	queries := []ledger.FiguresQuery{
		{AccountID: "nobody", SubscriptionIDs: []string{"", "sub"}, Edges: edges, AsOf: &reckoner.Position{Log: 1}},
		{AccountID: accounts[0], Edges: edges, AsOf: &reckoner.Position{Log: 1}}, {AccountID: accounts[0], SubscriptionIDs: []string{""}, Edges: edges},
	}
	for name, read := range map[string]func(context.Context, []ledger.FiguresQuery) ([]ledger.Figures, error){"Figures": l.Figures, "FiguresAt": l.FiguresAt} {
		got, err := read(t.Context(), queries)
		if diff := cmp.Diff(make([]ledger.Figures, 3), got, compareRows); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		if got, err := read(t.Context(), nil); len(got) != 0 || err != nil {
			t.Errorf("%s of nothing: %v, %v", name, got, err)
		}
		for _, edges := range [][]time.Time{nil, {march}, {march, march}, {march, march.Add(-1)}} {
			queries[1].Edges = edges
			if _, err := read(t.Context(), queries); err == nil || !strings.Contains(err.Error(), "edge") {
				t.Errorf("%s with the edges %v: %v", name, edges, err)
			}
			queries[1].Edges = queries[0].Edges
		}
	}
}
