package clickhouse

import (
	"context"
	"fmt"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// UsedSubscriptions implements ledger.StatementReader. It needs no FINAL: every version of a total is of the same
// subscription.
func (l *Ledger) UsedSubscriptions(ctx context.Context, accountID string, limit int) ([]string, error) {
	text, err := v1Query("v1_subscriptions", nil)
	if err != nil {
		return nil, err
	}
	scan := func(rows driver.Rows) (id string, err error) {
		err = rows.Scan(&id)
		return id, err
	}
	var ids []string
	for id, err := range stream(ctx, l, text, scan, ch.Named("account_id", accountID), ch.Named("limit", uint64(limit))) {
		if err != nil {
			return nil, fmt.Errorf("list the subscriptions of which %s has totals: %w", accountID, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// SubscriptionsUsed implements ledger.FiguresReader. It needs no FINAL either.
func (l *Ledger) SubscriptionsUsed(ctx context.Context, accountIDs []string) (map[string]map[string]time.Time, error) {
	if err := l.sync(ctx, "sync_totals"); err != nil {
		return nil, err
	}
	text, err := query("figures_used")
	if err != nil {
		return nil, err
	}
	type row struct {
		account, subscription string
		last                  time.Time
	}
	scan := func(rows driver.Rows) (r row, err error) { return r, rows.Scan(&r.account, &r.subscription, &r.last) }
	used := make(map[string]map[string]time.Time, len(accountIDs))
	for part := range parameterParts(accountIDs, textSize) {
		for r, err := range stream(ctx, l, text, scan, ch.Named("account_ids", part)) {
			if err != nil {
				return nil, fmt.Errorf("list the subscriptions of which %d accounts have totals: %w", len(accountIDs), err)
			}
			if used[r.account] == nil {
				used[r.account] = make(map[string]time.Time)
			}
			used[r.account][r.subscription] = r.last.UTC()
		}
	}
	return used, nil
}
