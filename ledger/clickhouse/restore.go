package clickhouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// Checkpoint implements ledger.Restorer. On a cluster it first waits until every replica holds what was acknowledged,
// so that the reads of the restore that follows are of that state or a newer one.
func (l *Ledger) Checkpoint(ctx context.Context, log uint32, partition int32) (ledger.Checkpoint, bool, error) {
	if err := l.syncReplicas(ctx); err != nil {
		return ledger.Checkpoint{}, false, err
	}
	c := ledger.Checkpoint{Log: log, Partition: partition}
	var next uint64
	err := l.conn.QueryRow(ctx, l.queries.checkpoint, ch.Named("log", log), ch.Named("partition", partition)).
		Scan(&next, &c.Entries, &c.Refusals, &c.EntriesDigest, &c.RefusalsDigest, &c.Rules, &c.RecordHash)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ledger.Checkpoint{}, false, nil
	case err != nil:
		return ledger.Checkpoint{}, false, fmt.Errorf("read checkpoint %d/%d: %w", log, partition, explain(err))
	}
	c.Next = int64(next)
	return c, true, nil
}

var _ ledger.Watcher = (*Ledger)(nil)

// Checkpoints implements ledger.Watcher. It is one small query that waits for no replica.
func (l *Ledger) Checkpoints(ctx context.Context, log uint32) (all []ledger.Checkpoint, err error) {
	scan := func(rows driver.Rows) (ledger.Checkpoint, error) {
		c := ledger.Checkpoint{Log: log}
		var next uint64
		err := rows.Scan(&c.Partition, &next, &c.Entries, &c.Refusals, &c.EntriesDigest, &c.RefusalsDigest, &c.Rules, &c.RecordHash)
		c.Next = int64(next)
		return c, err
	}
	sql, err := query("checkpoints")
	if err != nil {
		return nil, err
	}
	for c, err := range stream(ctx, l, sql, scan, ch.Named("log", log)) {
		if err != nil {
			return nil, fmt.Errorf("read the checkpoints of log %d: %w", log, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// Entries implements ledger.Restorer. Rows are streamed: memory is bounded by a few blocks.
func (l *Ledger) Entries(ctx context.Context, log uint32, partition int32, below int64, after *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return stream(ctx, l, l.queries.restoreEntries, unpacked(restoredEntry), afterArgs(restoreArgs(log, partition, below), after)...)
}

// Refusals implements ledger.Restorer.
func (l *Ledger) Refusals(ctx context.Context, log uint32, partition int32, below int64, after *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return stream(ctx, l, l.queries.restoreRefusals, unpacked(restoredRefusal), afterArgs(restoreArgs(log, partition, below), after)...)
}

// EarlierEntries implements ledger.Restorer.
func (l *Ledger) EarlierEntries(ctx context.Context, log ledger.Log, partition int32, after *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return stream(ctx, l, l.queries.earlierEntries, unpacked(restoredEntry), afterArgs(earlierArgs(log, partition), after)...)
}

// EarlierRefusals implements ledger.Restorer.
func (l *Ledger) EarlierRefusals(ctx context.Context, log ledger.Log, partition int32, after *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return stream(ctx, l, l.queries.earlierRefusals, unpacked(restoredRefusal), afterArgs(earlierArgs(log, partition), after)...)
}

func earlierArgs(log ledger.Log, partition int32) []any {
	return []any{ch.Named("log", log.Number), ch.Named("partitions", uint32(log.Partitions)), ch.Named("partition", uint32(partition))}
}

func restoreArgs(log uint32, partition int32, below int64) []any {
	return []any{ch.Named("log", log), ch.Named("partition", partition), ch.Named("below", below)}
}

// afterArgs adds a place; nil is the one before every row.
func afterArgs(args []any, after *ledger.Place) []any {
	if after == nil {
		after = &ledger.Place{Position: reckoner.Position{Offset: -1}}
	}
	p := after.Position
	return append(args, ch.Named("after", after.AccountID), ch.Named("after_log", p.Log),
		ch.Named("after_offset", p.Offset), ch.Named("after_index", p.Index))
}

func (l *Ledger) syncReplicas(ctx context.Context) error { return l.sync(ctx, "sync_replicas") }

// sync waits, on a cluster, until every replica of some tables holds what was acknowledged.
func (l *Ledger) sync(ctx context.Context, name string) error {
	if l.schema.cluster == "" {
		return nil
	}
	text, err := query(name)
	if err != nil {
		return err
	}
	return l.run(ctx, migration{name: name, text: text})
}

// stream yields the rows of a query as they arrive and ends after the first error that is not about one row. A consumer
// that stops early cancels the query.
func stream[T any](ctx context.Context, l *Ledger, sql string, scan func(driver.Rows) (T, error), args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		ctx, cancel := context.WithCancel(ctx)
		rows, err := l.conn.Query(ctx, sql, args...)
		if err != nil {
			cancel()
			yield(none, explain(err))
			return
		}
		defer rows.Close()
		defer cancel() // before Close, which else reads the rest
		for rows.Next() {
			v, err := scan(rows)
			if err == nil {
				err = ctx.Err() // blocks that were read ahead outlive the context
			}
			_, damaged := errors.AsType[*ledger.RowError](err)
			if !yield(v, err) || err != nil && !damaged {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, explain(err))
		}
	}
}
