package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"text/template"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// usageQueries are the texts of queries/usages_*.sql. They hold only those conditions that a read has, so that ClickHouse
// sees which index helps; every value is a parameter.
var usageQueries = template.Must(template.New("").Funcs(template.FuncMap{"order": orderUsages}).ParseFS(queryFiles, "queries/usages_*.sql"))

// usageColumns are what a field is sorted by. `reverted_at` is NULL without a revert.
var usageColumns = [...]string{
	ledger.UsageID: "u.event_id", ledger.UsageSubscription: "u.subscription_id", ledger.UsageQuantity: "u.quantity + effect",
	ledger.UsageTime: "u.usage_time", ledger.UsageCreated: "u.received_at", ledger.UsageUpdated: "ifNull(reverted_at, u.received_at)",
}

// orderUsages renders an order that leaves nothing open.
func orderUsages(keys []ledger.UsageSort) (string, error) {
	var b strings.Builder
	for _, k := range keys {
		if int(k.Field) >= len(usageColumns) {
			return "", fmt.Errorf("sort by an unknown field %d", k.Field)
		}
		b.WriteString(usageColumns[k.Field])
		if k.Desc {
			b.WriteString(" DESC")
		}
		b.WriteString(", ")
	}
	return b.String() + "u.`log`, u.`partition`, u.`offset`, u.`index`", nil
}

// scope is whose usages a read may see.
type scope struct{ Restricted bool }

type usageLookup struct {
	ledger.UsageLookup
	scope
}

type usageList struct {
	ledger.UsageList
	scope
}

func usageQuery(name string, of any) (string, error) {
	var b strings.Builder
	if err := usageQueries.ExecuteTemplate(&b, name+".sql", of); err != nil {
		return "", fmt.Errorf("query %s: %w", name, err)
	}
	return strings.TrimSpace(b.String()), nil
}

// FindUsages implements ledger.UsageReader.
func (l *Ledger) FindUsages(ctx context.Context, q ledger.UsageLookup) ([]ledger.UsageRecord, error) {
	return l.findUsages(ctx, "usages_find", q)
}

// FindRefused implements ledger.UsageReader.
func (l *Ledger) FindRefused(ctx context.Context, q ledger.UsageLookup) ([]ledger.UsageRecord, error) {
	return l.findUsages(ctx, "usages_refused", q)
}

func (l *Ledger) findUsages(ctx context.Context, name string, q ledger.UsageLookup) ([]ledger.UsageRecord, error) {
	text, err := usageQuery(name, usageLookup{q, scope{q.Organizations != nil}})
	if err != nil {
		return nil, err
	}
	found, err := l.readUsages(ctx, text, ch.Named("id", q.ID), ch.Named("account_id", q.AccountID), ch.Named("organizations", q.Organizations))
	if err != nil {
		return nil, fmt.Errorf("read the usage %q: %w", q.ID, err)
	}
	return found, nil
}

// ListUsages implements ledger.UsageReader.
func (l *Ledger) ListUsages(ctx context.Context, q ledger.UsageList) ([]ledger.UsageRecord, uint64, error) {
	of := usageList{q, scope{q.Organizations != nil}}
	count, err := usageQuery("usages_count", of)
	if err != nil {
		return nil, 0, err
	}
	list, err := usageQuery("usages_list", of)
	if err != nil {
		return nil, 0, err
	}
	args := usageArgs(&q)
	var total uint64
	if err := l.conn.QueryRow(ctx, count, args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count usages: %w", explain(err))
	}
	if q.Limit <= 0 || q.Offset >= total {
		return nil, total, nil
	}
	page, err := l.readUsages(ctx, list, args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list usages: %w", err)
	}
	return page, total, nil
}

// usageArgs are the parameters of a list, those of filters that it does not have included: a server ignores them.
func usageArgs(q *ledger.UsageList) []any {
	args := []any{
		ch.Named("organizations", q.Organizations), ch.Named("text", q.Text), ch.Named("limit", uint64(q.Limit)), ch.Named("offset", q.Offset),
	}
	if f := q.IDs; f != nil {
		args = append(args, ch.Named("ids", f.Values))
	}
	if f := q.Subscriptions; f != nil {
		args = append(args, ch.Named("subscriptions", f.Values))
	}
	args = append(args, timeArgs("created", q.CreatedTime)...)
	args = append(args, timeArgs("usage", q.UsageTime)...)
	args = append(args, timeArgs("updated", q.UpdatedTime)...)
	if f := q.Quantity; f != nil {
		from, to := make([]string, len(f.Ranges)), make([]string, len(f.Ranges))
		for i, r := range f.Ranges {
			from[i], to[i] = quantityBound(r.From, "-"), quantityBound(r.To, "")
		}
		args = append(args, ch.Named("quantity_from", from), ch.Named("quantity_to", to))
	}
	return args
}

// quantityBound is the text of a bound; without one it is the furthest that a column holds.
func quantityBound(q *reckoner.Quantity, sign string) string {
	if q == nil {
		return sign + strings.Repeat("9", 35) + ".999"
	}
	return q.String()
}

func timeArgs(name string, f *ledger.TimeFilter) []any {
	if f == nil {
		return nil
	}
	from, to := make([]int64, len(f.Ranges)), make([]int64, len(f.Ranges))
	least, greatest := reckoner.MaxTime.UnixNano(), reckoner.MinTime.UnixNano()
	for i, r := range f.Ranges {
		from[i], to[i] = nanos(r.From, reckoner.MinTime), nanos(r.To, reckoner.MaxTime)
		least, greatest = min(least, from[i]), max(greatest, to[i])
	}
	return []any{
		ch.Named(name+"_from", from), ch.Named(name+"_to", to), ch.Named(name+"_least", least), ch.Named(name+"_greatest", greatest),
	}
}

func (l *Ledger) readUsages(ctx context.Context, sql string, args ...any) ([]ledger.UsageRecord, error) {
	var all []ledger.UsageRecord
	for r, err := range stream(ctx, l, sql, scanUsage, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// scanUsage scans the columns of usages_*.sql.
func scanUsage(rows driver.Rows) (ledger.UsageRecord, error) {
	var r ledger.UsageRecord
	var outcome uint8
	var quantity, reverted string
	var revertedAt *time.Time
	err := rows.Scan(&r.Position.Log, &r.Position.Partition, &r.Position.Offset, &r.Position.Index, &r.AccountID, &r.OrganizationID,
		&r.SubscriptionID, &r.EventID, &outcome, &quantity, &reverted, &r.UsageTime, &r.ReceivedAt, &revertedAt)
	if err != nil {
		return r, fmt.Errorf("read usage: %w", err)
	}
	r.Outcome = reckoner.Outcome(outcome)
	if r.Quantity, err = reckoner.ParseQuantity(quantity); err != nil {
		return r, fmt.Errorf("read usage %s: %w", r.Position, err)
	}
	if r.Reverted, err = reckoner.ParseQuantity(reverted); err != nil {
		return r, fmt.Errorf("read usage %s: %w", r.Position, err)
	}
	if revertedAt != nil {
		r.RevertedAt = *revertedAt
	}
	return r, nil
}
