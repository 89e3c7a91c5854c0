package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"slices"

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

// WholeEntries implements ledger.Auditor. Rows are streamed: memory is bounded by a few blocks.
func (l *Ledger) WholeEntries(ctx context.Context, log uint32, partition int32, below int64) iter.Seq2[ledger.Entry, error] {
	return stream(ctx, l, l.queries.wholeEntries, unpacked(wholeEntry), restoreArgs(log, partition, below)...)
}

// WholeRefusals implements ledger.Auditor.
func (l *Ledger) WholeRefusals(ctx context.Context, log uint32, partition int32, below int64) iter.Seq2[ledger.Refusal, error] {
	return stream(ctx, l, l.queries.wholeRefusals, unpacked(wholeRefusal), restoreArgs(log, partition, below)...)
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

// sliceRows bounds the rows that are read to find a slice of accounts: DISTINCT and LIMIT BY would read to the end.
const sliceRows = 50_000

// Accounts implements ledger.Balancer. Both tables are read in the order of accounts, and no further than sliceRows.
func (l *Ledger) Accounts(ctx context.Context, log uint32, partition int32, after string, limit int) ([]string, error) {
	var all []string
	end := "" // of the table that was read less far
	for _, sql := range []string{l.queries.accountsOfEntries, l.queries.accountsOfTotals} {
		accounts, cut, err := l.accountsOf(ctx, sql, log, partition, after)
		if err != nil {
			return nil, fmt.Errorf("list accounts of %d/%d: %w", log, partition, err)
		}
		if last := len(accounts) - 1; cut && (end == "" || accounts[last] < end) {
			end = accounts[last]
		}
		all = append(all, accounts...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if i, found := slices.BinarySearch(all, end); end != "" && found {
		all = all[:i+1]
	}
	return all[:min(len(all), limit)], nil
}

// accountsOf reports also whether the table may have more.
func (l *Ledger) accountsOf(ctx context.Context, sql string, log uint32, partition int32, after string) (all []string, cut bool, err error) {
	var read uint64
	scan := func(rows driver.Rows) (s string, err error) {
		var n uint64
		err = rows.Scan(&s, &n)
		read += n
		return s, err
	}
	for s, err := range stream(ctx, l, sql, scan, ch.Named("log", log), ch.Named("partition", partition),
		ch.Named("after", after), ch.Named("limit", uint64(l.sliceRows))) {
		if err != nil {
			return nil, false, err
		}
		all = append(all, s)
	}
	return all, read >= uint64(l.sliceRows), nil
}

// Unbalanced implements ledger.Balancer.
func (l *Ledger) Unbalanced(ctx context.Context, log uint32, partition int32, below int64, accounts []string) ([]string, error) {
	if len(accounts) == 0 {
		return nil, nil
	}
	var all []string
	scan := func(rows driver.Rows) (s string, err error) { return s, rows.Scan(&s) }
	for s, err := range stream(ctx, l, l.queries.unbalanced, scan, append(restoreArgs(log, partition, below), ch.Named("accounts", accounts))...) {
		if err != nil {
			return nil, fmt.Errorf("balance %d accounts of %d/%d: %w", len(accounts), log, partition, err)
		}
		all = append(all, s)
	}
	return all, nil
}
