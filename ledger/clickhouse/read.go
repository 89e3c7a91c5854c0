package clickhouse

import (
	"context"
	"fmt"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"reckoner"
	"reckoner/ledger"
)

// Transactions implements ledger.Reader.
func (l *Ledger) Transactions(ctx context.Context, q ledger.TransactionQuery) ([]ledger.Transaction, error) {
	if q.Limit < 1 {
		return nil, nil
	}
	after := ledger.TransactionCursor{UsageTime: reckoner.MinTime}
	if q.After != nil {
		after = *q.After
	}
	var row entryRow
	var page []ledger.Transaction
	for e, err := range stream(ctx, l, l.queries.transactions, row.scan,
		ch.Named("account_id", q.AccountID), ch.Named("limit", uint64(q.Limit)),
		ch.Named("from", nanos(q.From, reckoner.MinTime)), ch.Named("to", nanos(q.To, reckoner.MaxTime)),
		ch.Named("after", q.After != nil), ch.Named("after_time", nanos(after.UsageTime, reckoner.MinTime)),
		ch.Named("after_log", after.Position.Log), ch.Named("after_offset", after.Position.Offset),
		ch.Named("after_index", after.Position.Index)) {
		if err != nil {
			return nil, fmt.Errorf("read transactions of %s: %w", q.AccountID, err)
		}
		page = append(page, ledger.Transaction{Entry: e})
	}
	return page, l.addUsageSources(ctx, q.AccountID, page)
}

// addUsageSources looks the reverted usages of a page up, all in one query.
func (l *Ledger) addUsageSources(ctx context.Context, accountID string, page []ledger.Transaction) error {
	var ids []string
	for i := range page {
		if page[i].Kind == reckoner.Revert {
			ids = append(ids, page[i].UsageID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := l.conn.Query(ctx, l.queries.usageSources, ch.Named("account_id", accountID), ch.Named("usage_ids", ids))
	if err != nil {
		return fmt.Errorf("read the sources of reverted usages of %s: %w", accountID, explain(err))
	}
	defer rows.Close()
	sources := make(map[string]string, len(ids))
	for rows.Next() {
		var id, source string
		if err := rows.Scan(&id, &source); err != nil {
			return fmt.Errorf("read the sources of reverted usages of %s: %w", accountID, err)
		}
		sources[id] = source
	}
	for i := range page {
		if page[i].Kind == reckoner.Revert {
			page[i].UsageSource = sources[page[i].UsageID]
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the sources of reverted usages of %s: %w", accountID, explain(err))
	}
	return nil
}

// Debited implements ledger.Reader.
func (l *Ledger) Debited(ctx context.Context, accountID, typ string) (reckoner.Quantity, error) {
	var text string
	err := l.conn.QueryRow(ctx, l.queries.debited, ch.Named("account_id", accountID), ch.Named("type", typ)).Scan(&text)
	if err != nil {
		return reckoner.Quantity{}, fmt.Errorf("read total debited of %s: %w", accountID, explain(err))
	}
	return reckoner.ParseQuantity(text)
}

// nanos clamps a bound to what a row can hold, so that it always fits an int64.
func nanos(t, fallback time.Time) int64 {
	switch {
	case t.IsZero():
		return fallback.UnixNano()
	case t.Before(reckoner.MinTime):
		return reckoner.MinTime.UnixNano() - 1
	case t.After(reckoner.MaxTime):
		return reckoner.MaxTime.UnixNano()
	default:
		return t.UnixNano()
	}
}
