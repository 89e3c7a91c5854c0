package clickhouse

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
)

// Every view gives what a plain fold of the entries gives, for the three meter types, while the totals were written as
// absolute values, out of order, some of them twice, by two owners.
func TestViewsEqualAFoldOfTheEntries(t *testing.T) {
	l := openLedger(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		h := history{prefix: fmt.Sprintf("%08d-", run)}
		h.draw(rt)
		h.write(rt, l)
		if run%10 == 0 {
			optimize(rt, l, "totals", "entries")
		}
		for _, v := range views {
			got := queryTSV(rt, l, fmt.Sprintf("SELECT %s FROM %s WHERE startsWith(account_id, '%s')", v.columns, v.name, h.prefix))
			if diff := cmp.Diff(v.want(h.entries), got); diff != "" {
				rt.Fatalf("%s (-fold +view):\n%s", v.name, diff)
			}
		}
	})
}

// history is what one partition decided: entries, and each value that a total had.
type history struct {
	prefix  string
	entries []ledger.Entry
	totals  []ledger.Total
}

func (h *history) draw(t *rapid.T) {
	open := map[string]ledger.Entry{} // usages that can be reverted
	running := map[ledger.TotalKey]ledger.Total{}
	for offset := range rapid.Int64Range(1, 25).Draw(t, "events") {
		p := reckoner.Position{Log: uint32(1 + offset/20), Partition: 2, Offset: offset, Index: int32(offset % 2)}
		e := h.drawUsage(t, p)
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
}

var meters = map[reckoner.MeterType]string{reckoner.Interval: "credit", reckoner.Total: "storage", reckoner.Rate: "seats"}

func (h *history) drawUsage(t *rapid.T, p reckoner.Position) ledger.Entry {
	typ := rapid.SampledFrom([]reckoner.MeterType{reckoner.Interval, reckoner.Total, reckoner.Rate}).Draw(t, "meter type")
	use := time.Date(2026, 1, 31, 23, 40, 0, 5, time.UTC).Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "time")) * 7 * time.Minute)
	period := reckoner.Cycle{}.At(use)
	subscription := rapid.SampledFrom([]string{"", "sub_a", "sub_b"}).Draw(t, "subscription")
	if subscription == "sub_b" { // a period that ends inside a bucket
		period = reckoner.Cycle{Anchor: time.Date(2026, 1, 1, 23, 50, 0, 0, time.UTC), Every: reckoner.Day}.At(use)
	}
	return ledger.Entry{
		Position: p, AccountID: h.prefix + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "account"), SubscriptionID: subscription,
		Meter: meters[typ], MeterType: typ, EventID: fmt.Sprint("e", p.Offset), Kind: reckoner.Usage, Outcome: reckoner.Applied,
		Quantity: reckoner.Thousandths(rapid.Int64Range(0, 5000).Draw(t, "quantity")), Period: period,
		Bucket: reckoner.BucketOf(use), UsageTime: use, ReceivedAt: use, Rules: 1,
	}
}

func revert(usage ledger.Entry, p reckoner.Position, inPart bool) ledger.Entry {
	e := usage
	e.Position, e.Kind, e.Outcome = p, reckoner.Revert, reckoner.Reverted
	e.EventID, e.UsageID = fmt.Sprint("r", p.Offset), usage.EventID
	e.Quantity = usage.Quantity.Neg()
	if inPart {
		_, lo := usage.Quantity.Words()
		e.Quantity = reckoner.Thousandths(int64(lo / 2)).Neg()
	}
	return e
}

// add is one step of the totals, absolute values as of the entry's position.
func add(t *rapid.T, total ledger.Total, key ledger.TotalKey, e ledger.Entry) ledger.Total {
	first := total.Events == 0
	total.TotalKey, total.Position = key, e.Position
	if e.Kind == reckoner.Revert {
		total.Reverts++
		total.Quantity = sum(t, total.Quantity, e.Quantity)
		return total
	}
	newest := first || !e.UsageTime.Before(total.LastUse)
	switch {
	case e.MeterType == reckoner.Interval:
		total.Quantity = sum(t, total.Quantity, e.Quantity)
	case e.MeterType == reckoner.Total && newest, e.MeterType == reckoner.Rate && e.Quantity.Cmp(total.Quantity) > 0:
		total.Quantity = e.Quantity
	}
	if newest {
		total.LastUse, total.Reading = e.UsageTime, e.Position
	}
	if first || e.UsageTime.Before(total.FirstUse) {
		total.FirstUse = e.UsageTime
	}
	total.Events++
	return total
}

func (h *history) write(t *rapid.T, l *Ledger) {
	order := rapid.Permutation(h.totals).Draw(t, "order")
	cut := rapid.IntRange(0, len(order)).Draw(t, "cut")
	for _, b := range []ledger.Batch{{Entries: h.entries, Totals: order[:cut]}, {Entries: h.entries[:1], Totals: order[cut:]}, {Totals: order[:cut/2]}} {
		if err := l.Write(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
	}
}

// queryTSV returns the rows as sorted lines.
func queryTSV(t fataler, l *Ledger, sql string) []string {
	lines := strings.Split(strings.TrimSuffix(queryFormat(t, l, "TSV", sql), "\n"), "\n")
	slices.Sort(lines)
	return lines
}

func queryFormat(t fataler, l *Ledger, format, sql string) string {
	r, err := l.conn.QueryFormat(context.Background(), format, sql)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return string(b)
}
