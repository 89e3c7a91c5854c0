package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
)

// table is how rows of type T become columns of one table. It owns the buffers that they pass through.
type table[T any] struct {
	name    string
	insert  string
	columns []column[T]
	wire    []ch.ColumnNameAndType
}

// column takes its values out of the rows and appends them in one call. wire is the type under which they travel over
// HTTP; the server casts it to the table's own. Over the native protocol the table's own is used.
type column[T any] struct {
	name, wire string
	fill       func(dst driver.BatchColumn, rows []T) error
}

func newTable[T any](name, insert string, columns ...column[T]) *table[T] {
	t := &table[T]{name: name, insert: insert, columns: columns}
	for _, c := range columns {
		t.wire = append(t.wire, ch.ColumnNameAndType{Name: c.name, Type: c.wire})
	}
	return t
}

// partitionsMax is how many months one insert may span: ClickHouse's own default, set so that no profile changes it.
const partitionsMax = 100

// insertSettings are those of every insert. A batch is durable when its insert returns, so it is never left to the
// server's queue; and a retry is never to be taken for a repetition, because rows are idempotent by key.
func insertSettings() ch.Settings {
	return ch.Settings{"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": partitionsMax}
}

// send inserts rows in one statement.
func (t *table[T]) send(ctx context.Context, conn driver.Conn, rows []T) error {
	ctx = ch.Context(ctx, ch.WithSettings(insertSettings()), ch.WithColumnNamesAndTypes(t.wire))
	batch, err := conn.PrepareBatch(ctx, t.insert)
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

// encodeError is a value that clickhouse-go could not encode.
type encodeError struct{ error }

func (e encodeError) Unwrap() error { return e.error }

// buffers hands out slices of V, emptied, and keeps what they grew to.
type buffers[V any] struct{ pool sync.Pool }

func (b *buffers[V]) use(n int, f func([]V) error) error {
	p, _ := b.pool.Get().(*[]V)
	if p == nil {
		p = new([]V)
	}
	*p = slices.Grow((*p)[:0], n)
	err := f((*p)[:n])
	clear((*p)[:n]) // so that it keeps no text alive
	b.pool.Put(p)
	return err
}

// scratch is one buffer a type of value: columns are filled one after the other, so they share it.
type scratch struct {
	texts    buffers[string]
	optional buffers[*string]
	times    buffers[time.Time]
	maybe    buffers[*time.Time]
	bytes    buffers[[]byte]
	enums    buffers[int8]
	i32      buffers[int32]
	i64      buffers[int64]
	u32      buffers[uint32]
	u64      buffers[uint64]
	bools    buffers[bool]
}

func plain[T, V any](b *buffers[V], name, wire string, get func(*T) V) column[T] {
	return column[T]{name, wire, func(dst driver.BatchColumn, rows []T) error {
		return b.use(len(rows), func(values []V) error {
			for i := range rows {
				values[i] = get(&rows[i])
			}
			return dst.Append(values)
		})
	}}
}

func text[T any](s *scratch, name string, get func(*T) string) column[T] {
	return plain(&s.texts, name, "String", get)
}

// enum refuses what is not between first and last: the server would store a number without a name, and fail to read
// it back.
func enum[T any, E ~uint8](s *scratch, name string, first, last E, get func(*T) E) column[T] {
	return column[T]{name, "Int8", func(dst driver.BatchColumn, rows []T) error {
		return s.enums.use(len(rows), func(values []int8) error {
			for i := range rows {
				v := get(&rows[i])
				if v < first || v > last {
					return fmt.Errorf("row %d: %d is unknown", i, v)
				}
				values[i] = int8(v)
			}
			return dst.Append(values)
		})
	}}
}

func u32[T any](s *scratch, name string, get func(*T) uint32) column[T] {
	return plain(&s.u32, name, "UInt32", get)
}

func u64[T any](s *scratch, name string, get func(*T) uint64) column[T] {
	return plain(&s.u64, name, "UInt64", get)
}

func i32[T any](s *scratch, name string, get func(*T) int32) column[T] {
	return plain(&s.i32, name, "Int32", get)
}

func i64[T any](s *scratch, name string, get func(*T) int64) column[T] {
	return plain(&s.i64, name, "Int64", get)
}

func instant[T any](s *scratch, name string, get func(*T) time.Time) column[T] {
	return plain(&s.times, name, "DateTime64(9, 'UTC')", get)
}

// second is a time of whole seconds.
func second[T any](s *scratch, name string, get func(*T) time.Time) column[T] {
	return plain(&s.times, name, "DateTime64(0, 'UTC')", get)
}

// maybeInstant is NULL for the zero time.
func maybeInstant[T any](s *scratch, name string, get func(*T) *time.Time) column[T] {
	return plain(&s.maybe, name, "Nullable(DateTime64(9, 'UTC'))", func(r *T) *time.Time {
		if t := get(r); !t.IsZero() {
			return t
		}
		return nil
	})
}

func fingerprint[T any](s *scratch, name string, get func(*T) *reckoner.Fingerprint) column[T] {
	return plain(&s.bytes, name, "FixedString(16)", func(r *T) []byte { return get(r)[:] })
}

// quantity travels as text: exact, and far cheaper than the big integers behind decimal.Decimal.
func quantity[T any](s *scratch, name string, get func(*T) reckoner.Quantity) column[T] {
	return column[T]{name, "String", func(dst driver.BatchColumn, rows []T) error {
		return s.texts.use(len(rows), func(texts []string) error {
			cut(texts, func(b []byte, i int) []byte { return get(&rows[i]).Append(b) })
			return dst.Append(texts)
		})
	}}
}

// maybeQuantity is NULL for nil.
func maybeQuantity[T any](s *scratch, name string, get func(*T) *reckoner.Quantity) column[T] {
	return column[T]{name, "Nullable(String)", func(dst driver.BatchColumn, rows []T) error {
		return s.texts.use(len(rows), func(texts []string) error {
			cut(texts, func(b []byte, i int) []byte {
				if q := get(&rows[i]); q != nil {
					return q.Append(b)
				}
				return b
			})
			return s.optional.use(len(rows), func(values []*string) error {
				for i := range rows {
					if texts[i] != "" { // no quantity's text is empty
						values[i] = &texts[i]
					}
				}
				return dst.Append(values)
			})
		})
	}}
}

// cut fills texts with pieces of one string, of which add appends the i-th: one allocation instead of many.
func cut(texts []string, add func(b []byte, i int) []byte) {
	ends := make([]int, len(texts))
	arena := make([]byte, 0, 8*len(texts))
	for i := range texts {
		arena = add(arena, i)
		ends[i] = len(arena)
	}
	all, start := string(arena), 0
	for i, end := range ends {
		texts[i], start = all[start:end], end
	}
}

// list is an array a row, of one part of each element of a list.
func list[T, E, V any](name, wire string, elements func(*T) []E, part func(E) V) column[T] {
	return column[T]{name, wire, func(dst driver.BatchColumn, rows []T) error {
		var values []V
		for i := range rows {
			values = values[:0]
			for _, e := range elements(&rows[i]) {
				values = append(values, part(e))
			}
			if err := dst.AppendRow(values); err != nil {
				return err
			}
		}
		return nil
	}}
}
