package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// v1Queries are the texts of queries/v1_*.sql. They hold only those conditions that a read has, so that ClickHouse sees
// which index helps; every value is a parameter.
//
// A read of totals names the position that it is exact at. So it looks at all totals of its subject in one SELECT, those
// that are not asked for too: they come out as one row, in slot -1. And a page begins with the last row of the page before,
// so that one with nothing more has a position, too.
var v1Queries = template.Must(template.New("").ParseFS(queryFiles, "queries/v1_*.sql"))

func v1Query(name string, of any) (string, error) {
	var b strings.Builder
	if err := v1Queries.ExecuteTemplate(&b, name+".sql", of); err != nil {
		return "", fmt.Errorf("query %s: %w", name, err)
	}
	return strings.TrimSpace(b.String()), nil
}

// Windows implements ledger.AccountReader.
func (l *Ledger) Windows(ctx context.Context, q ledger.WindowQuery) (ledger.UsagePage, error) {
	if len(q.Edges) < 2 {
		return ledger.UsagePage{}, fmt.Errorf("read usage of %s: %d edges make no window", q.AccountID, len(q.Edges))
	}
	text, err := v1Query("v1_windows", q)
	if err != nil {
		return ledger.UsagePage{}, err
	}
	slots := make([]int64, len(q.Edges))
	for i, edge := range q.Edges {
		slots[i] = slotOf(edge)
	}
	if last := q.Edges[len(q.Edges)-1]; !last.Equal(reckoner.BucketOf(last)) {
		slots[len(slots)-1]++ // the end of a period: some of its bucket counts
	}
	starts, steps, counts := runs(slots[:len(slots)-1])
	args := append(subjectArgs(q.Subject, q.Meter, q.Limit), ch.Named("from", slots[0]), ch.Named("to", slots[len(slots)-1]),
		ch.Named("starts", starts), ch.Named("steps", steps), ch.Named("counts", counts))
	if p := q.Period; p != nil {
		args = append(args, ch.Named("period_start", p.Start.UnixNano()), ch.Named("period_end", p.End.UnixNano()))
	}
	if a := q.After; a != nil {
		args = append(args, ch.Named("after_start", slotOf(a.Window.Start)), ch.Named("after_meter", a.Meter), ch.Named("after_type", a.MeterType.String()))
	}
	return l.usagePage(ctx, q.AccountID, text, args, q.Limit, q.After, func(start, _ int64) reckoner.Period {
		i, _ := slices.BinarySearch(slots, start)
		return reckoner.Period{Start: q.Edges[i], End: q.Edges[i+1]}
	})
}

// Periods implements ledger.AccountReader.
func (l *Ledger) Periods(ctx context.Context, q ledger.PeriodQuery) (ledger.UsagePage, error) {
	text, err := v1Query("v1_periods", q)
	if err != nil {
		return ledger.UsagePage{}, err
	}
	args := append(subjectArgs(q.Subject, q.Meter, q.Limit), ch.Named("from", nanos(q.From, reckoner.MinTime)), ch.Named("to", nanos(q.To, reckoner.MaxTime)))
	if a := q.After; a != nil {
		args = append(args, ch.Named("after_start", a.Window.Start.UnixNano()), ch.Named("after_end", a.Window.End.UnixNano()),
			ch.Named("after_meter", a.Meter), ch.Named("after_type", a.MeterType.String()))
	}
	return l.usagePage(ctx, q.AccountID, text, args, q.Limit, q.After, func(start, end int64) reckoner.Period {
		return reckoner.Period{Start: time.Unix(0, start).UTC(), End: time.Unix(0, end).UTC()}
	})
}

// slotOf numbers buckets from 1970.
func slotOf(t time.Time) int64 { return t.Unix() / int64(reckoner.Bucket/time.Second) }

// runs writes rising numbers as rows of equal steps: windows of a year of days are a handful of runs, and a parameter
// stays short.
func runs(numbers []int64) (starts, steps, counts []int64) {
	for i := 0; i < len(numbers); {
		step, n := int64(1), int64(1)
		if i+1 < len(numbers) {
			step = numbers[i+1] - numbers[i]
		}
		for ; i+int(n) < len(numbers) && numbers[i+int(n)]-numbers[i+int(n)-1] == step; n++ {
		}
		starts, steps, counts = append(starts, numbers[i]), append(steps, step), append(counts, n)
		i += int(n)
	}
	return starts, steps, counts
}

func subjectArgs(s ledger.Subject, meter string, limit int) []any {
	return []any{
		ch.Named("account_id", s.AccountID), ch.Named("subscription_id", s.SubscriptionID), ch.Named("meter", meter),
		ch.Named("limit", uint64(limit)+2), // beside what is not asked for, and the last row of the page before
	}
}

// usagePage reads the rows of v1_windows.sql and v1_periods.sql.
func (l *Ledger) usagePage(
	ctx context.Context, accountID, text string, args []any, limit int, after *ledger.UsageCursor, window func(start, end int64) reckoner.Period,
) (ledger.UsagePage, error) {
	var page ledger.UsagePage
	scan := func(rows driver.Rows) (row ledger.UsageRow, err error) {
		var start, end int64
		var meterType, quantity string
		var asOf reckoner.Position
		err = rows.Scan(&start, &end, &row.Meter, &meterType, &quantity, &row.Events, &row.Reverts,
			&asOf.Log, &asOf.Partition, &asOf.Offset, &asOf.Index)
		if err != nil {
			return row, err
		}
		page.AsOf = &asOf
		if start < 0 {
			return row, nil
		}
		row.Window = window(start, end)
		var err2 error
		row.MeterType, err = reckoner.ParseMeterType(meterType)
		row.Quantity, err2 = reckoner.ParseQuantity(quantity)
		return row, errors.Join(err, err2)
	}
	for row, err := range stream(ctx, l, text, scan, args...) {
		if err != nil {
			return ledger.UsagePage{}, fmt.Errorf("read usage of %s: %w", accountID, err)
		}
		before := after != nil && after.Meter == row.Meter && after.MeterType == row.MeterType &&
			after.Window.Start.Equal(row.Window.Start) && after.Window.End.Equal(row.Window.End)
		if row.MeterType != 0 && !before && len(page.Rows) < limit {
			page.Rows = append(page.Rows, row)
		}
	}
	return page, nil
}

// Used implements ledger.AccountReader.
func (l *Ledger) Used(ctx context.Context, accountID string, subscriptionIDs []string, at time.Time) (ledger.PeriodsUsed, error) {
	var used ledger.PeriodsUsed
	text, err := v1Query("v1_used", nil)
	if err != nil {
		return used, err
	}
	scan := func(rows driver.Rows) (row ledger.PeriodUsed, err error) {
		var quantity string
		var asOf reckoner.Position
		err = rows.Scan(&row.SubscriptionID, &row.Meter, &row.Period.Start, &row.Period.End, &quantity,
			&asOf.Log, &asOf.Partition, &asOf.Offset, &asOf.Index)
		if err != nil {
			return row, err
		}
		used.AsOf = &asOf
		row.Quantity, err = reckoner.ParseQuantity(quantity)
		return row, err
	}
	args := []any{ch.Named("account_id", accountID), ch.Named("subscription_ids", subscriptionIDs), ch.Named("at", at.UnixNano())}
	for row, err := range stream(ctx, l, text, scan, args...) {
		if err != nil {
			return ledger.PeriodsUsed{}, fmt.Errorf("read what subscriptions of %s have used: %w", accountID, err)
		}
		used.Rows = append(used.Rows, row)
	}
	return used, nil
}
