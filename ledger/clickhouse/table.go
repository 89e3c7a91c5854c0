package clickhouse

import (
	"context"
	"fmt"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// table is how rows of type T become columns of one table.
type table[T any] struct {
	name    string
	insert  string
	columns []column[T]
}

func newTable[T any](name, insert string, columns ...column[T]) *table[T] {
	return &table[T]{name, insert, columns}
}

// partitionsMax is how many months one insert may span: ClickHouse's own default, set so that no profile changes it.
const partitionsMax = 100

// indexedRows is how many rows an insert has to have for the skip indexes of its part to be worth their files. Each index is two
// files to sync, of twenty in all, and a part of a granule or two is read as fast without. The merges make them.
const indexedRows = 4096

// insertSettings are those of every insert. A batch is durable when its insert returns, so it is never left to the
// server's queue; and a retry is never to be taken for a repetition, because rows are idempotent by key. For the same
// reason rows of one key within an insert are left to the merges, as those of two inserts are: there are next to none,
// and to look for them is a fifth of what the server does.
func insertSettings(rows int) ch.Settings {
	indexes := 0
	if rows >= indexedRows {
		indexes = 1
	}
	return ch.Settings{
		"async_insert": 0, "insert_deduplicate": 0, "optimize_on_insert": 0, "materialize_skip_indexes_on_insert": indexes,
		"max_partitions_per_insert_block": partitionsMax,
	}
}

// send inserts rows in one statement.
func (t *table[T]) send(ctx context.Context, l *Ledger, rows []T) error {
	if l.blocks == nil {
		return t.sendColumns(ctx, l.conn, rows)
	}
	body := newBody(t, rows, l.blocks)
	defer body.end()
	err := l.conn.InsertFormat(ch.Context(ctx, ch.WithSettings(insertSettings(len(rows)))), "Native", t.insert, body)
	if failed := body.failed(); failed != nil {
		return fmt.Errorf("insert into %s, %w", t.name, failed)
	}
	if err != nil {
		return fmt.Errorf("insert %d rows into %s: %w", len(rows), t.name, err)
	}
	return nil
}

// sendColumns is send over the native protocol, whose blocks are the driver's own.
func (t *table[T]) sendColumns(ctx context.Context, conn driver.Conn, rows []T) error {
	batch, err := conn.PrepareBatch(ch.Context(ctx, ch.WithSettings(insertSettings(len(rows)))), t.insert)
	if err != nil {
		return fmt.Errorf("insert into %s: %w", t.name, err)
	}
	defer batch.Close()
	for i, c := range t.columns {
		if err := c.fill(batch.Column(i), rows); err != nil {
			return fmt.Errorf("insert into %s, column %s: %w", t.name, c.name, encodeError{err})
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert %d rows into %s: %w", len(rows), t.name, err)
	}
	return nil
}

// encodeError is a value that cannot be encoded.
type encodeError struct{ error }

func (e encodeError) Unwrap() error { return e.error }
