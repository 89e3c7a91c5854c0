package clickhouse

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
)

// column takes its values out of the rows.
//
// Over HTTP, encode appends them to a block as they are on the wire, as values of the type wire: that of the table, or
// one that the server casts to it for next to nothing. Over the native protocol, fill gives them to the driver in one
// call, and the type is the table's.
type column[T any] struct {
	name, wire string
	encode     func(to *proto.Buffer, rows []T) error
	fill       func(dst driver.BatchColumn, rows []T) error
}

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

// scratch is one buffer a type of value, for the driver: columns are filled one after the other, so they share it.
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

// plain is a column whose values the driver takes as they are; put writes one as it is on the wire.
func plain[T, V any](b *buffers[V], name, wire string, put func(*proto.Buffer, V), get func(*T) V) column[T] {
	return column[T]{
		name: name, wire: wire,
		encode: func(to *proto.Buffer, rows []T) error {
			for i := range rows {
				put(to, get(&rows[i]))
			}
			return nil
		},
		fill: func(dst driver.BatchColumn, rows []T) error {
			return b.use(len(rows), func(values []V) error {
				for i := range rows {
					values[i] = get(&rows[i])
				}
				return dst.Append(values)
			})
		},
	}
}

func text[T any](s *scratch, name string, get func(*T) string) column[T] {
	return plain(&s.texts, name, "String", (*proto.Buffer).PutString, get)
}

func u32[T any](s *scratch, name string, get func(*T) uint32) column[T] {
	return plain(&s.u32, name, "UInt32", (*proto.Buffer).PutUInt32, get)
}

func u64[T any](s *scratch, name string, get func(*T) uint64) column[T] {
	return plain(&s.u64, name, "UInt64", (*proto.Buffer).PutUInt64, get)
}

func i32[T any](s *scratch, name string, get func(*T) int32) column[T] {
	return plain(&s.i32, name, "Int32", (*proto.Buffer).PutInt32, get)
}

func i64[T any](s *scratch, name string, get func(*T) int64) column[T] {
	return plain(&s.i64, name, "Int64", (*proto.Buffer).PutInt64, get)
}

func boolean[T any](s *scratch, name string, get func(*T) bool) column[T] {
	return plain(&s.bools, name, "Bool", (*proto.Buffer).PutBool, get)
}

// raw is bytes as they are. None and empty are the same.
func raw[T any](s *scratch, name string, get func(*T) []byte) column[T] {
	put := func(to *proto.Buffer, b []byte) { to.PutLen(len(b)); to.PutRaw(b) }
	return plain(&s.bytes, name, "String", put, func(r *T) []byte {
		if b := get(r); b != nil {
			return b
		}
		return []byte{}
	})
}

// fixed is bytes of one length, that of the wire's type.
func fixed[T any](s *scratch, name, wire string, get func(*T) []byte) column[T] {
	return plain(&s.bytes, name, wire, (*proto.Buffer).PutRaw, get)
}

func fingerprint[T any](s *scratch, name string, get func(*T) *reckoner.Fingerprint) column[T] {
	return fixed(s, name, "FixedString(16)", func(r *T) []byte { return get(r)[:] })
}

// enum refuses what is not between first and last: the server would store a number without a name, and fail to read
// it back.
func enum[T any, E ~uint8](s *scratch, name string, first, last E, get func(*T) E) column[T] {
	known := func(i int, v E) error {
		if v < first || v > last {
			return fmt.Errorf("row %d: %d is unknown", i, v)
		}
		return nil
	}
	return column[T]{
		name: name, wire: "Int8",
		encode: func(to *proto.Buffer, rows []T) error {
			for i := range rows {
				v := get(&rows[i])
				if err := known(i, v); err != nil {
					return err
				}
				to.PutInt8(int8(v))
			}
			return nil
		},
		fill: func(dst driver.BatchColumn, rows []T) error {
			return s.enums.use(len(rows), func(values []int8) error {
				for i := range rows {
					v := get(&rows[i])
					if err := known(i, v); err != nil {
						return err
					}
					values[i] = int8(v)
				}
				return dst.Append(values)
			})
		},
	}
}

// list is an array a row, of one part of each element of a list.
func list[T, E, V any](name, wire string, put func(*proto.Buffer, V), elements func(*T) []E, part func(E) V) column[T] {
	return column[T]{
		name: name, wire: "Array(" + wire + ")",
		encode: func(to *proto.Buffer, rows []T) error {
			end := uint64(0)
			for i := range rows {
				end += uint64(len(elements(&rows[i])))
				to.PutUInt64(end)
			}
			for i := range rows {
				for _, e := range elements(&rows[i]) {
					put(to, part(e))
				}
			}
			return nil
		},
		fill: func(dst driver.BatchColumn, rows []T) error {
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
		},
	}
}
