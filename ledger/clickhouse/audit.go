package clickhouse

import (
	"context"
	"fmt"
	"iter"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner/ledger"
)

// Audit implements ledger.Auditor.
func (l *Ledger) Audit(ctx context.Context, log uint32, partition int32, below int64) (ledger.Checkpoint, error) {
	c := ledger.Checkpoint{Log: log, Partition: partition, Next: below}
	err := l.conn.QueryRow(ctx, l.queries.audit, restoreArgs(log, partition, below)...).
		Scan(&c.Entries, &c.Refusals, &c.EntriesDigest, &c.RefusalsDigest)
	if err != nil {
		return ledger.Checkpoint{}, fmt.Errorf("audit %d/%d below %d: %w", log, partition, below, explain(err))
	}
	return c, nil
}

// Totals implements ledger.Auditor.
func (l *Ledger) Totals(ctx context.Context, log uint32, partition int32) iter.Seq2[ledger.Total, error] {
	return stream(ctx, l, l.queries.totals, scanTotal, ch.Named("log", log), ch.Named("partition", partition))
}

// Strays implements ledger.Auditor.
func (l *Ledger) Strays(ctx context.Context, log uint32, ends []int64) iter.Seq2[ledger.Stray, error] {
	scan := func(rows driver.Rows) (s ledger.Stray, err error) {
		p := &s.Position
		if err = rows.Scan(&s.Table, &p.Log, &p.Partition, &p.Offset, &p.Index, &s.What); err != nil {
			err = fmt.Errorf("read stray row: %w", err)
		}
		return s, err
	}
	return stream(ctx, l, l.queries.strays, scan, ch.Named("log", log), ch.Named("ends", ends))
}

// Accounts implements ledger.Balancer. Both tables are read in the order of accounts, so that it costs what it returns.
func (l *Ledger) Accounts(ctx context.Context, log uint32, partition int32, after string, limit int) ([]string, error) {
	all, err := l.texts(ctx, l.queries.accounts, ch.Named("log", log), ch.Named("partition", partition),
		ch.Named("after", after), ch.Named("limit", uint64(max(limit, 0))))
	if err != nil {
		return nil, fmt.Errorf("list accounts of %d/%d: %w", log, partition, err)
	}
	return all, nil
}

// Unbalanced implements ledger.Balancer.
func (l *Ledger) Unbalanced(ctx context.Context, log uint32, partition int32, below int64, accounts []string) ([]string, error) {
	if len(accounts) == 0 {
		return nil, nil
	}
	args := append(restoreArgs(log, partition, below), ch.Named("accounts", accounts))
	all, err := l.texts(ctx, l.queries.unbalanced, args...)
	if err != nil {
		return nil, fmt.Errorf("balance %d accounts of %d/%d: %w", len(accounts), log, partition, err)
	}
	return all, nil
}

// texts returns the only column of a query.
func (l *Ledger) texts(ctx context.Context, sql string, args ...any) (all []string, err error) {
	scan := func(rows driver.Rows) (s string, err error) { return s, rows.Scan(&s) }
	for s, err := range stream(ctx, l, sql, scan, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
