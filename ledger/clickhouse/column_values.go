package clickhouse

import (
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
)

// decimal is the type of every quantity in the tables.
const decimal = "Decimal(38, 3)"

// putQuantity writes the count of thousandths, low word first: what the server holds.
func putQuantity(to *proto.Buffer, q reckoner.Quantity) {
	high, low := q.Words()
	to.PutUInt64(low)
	to.PutInt64(high)
}

// quantity is given to the driver as text: exact, and far cheaper than the big integers behind decimal.Decimal.
func quantity[T any](s *scratch, name string, get func(*T) reckoner.Quantity) column[T] {
	return column[T]{
		name: name, wire: decimal,
		encode: func(to *proto.Buffer, rows []T) error {
			for i := range rows {
				putQuantity(to, get(&rows[i]))
			}
			return nil
		},
		fill: func(dst driver.BatchColumn, rows []T) error {
			return s.texts.use(len(rows), func(texts []string) error {
				cut(texts, func(b []byte, i int) []byte { return get(&rows[i]).Append(b) })
				return dst.Append(texts)
			})
		},
	}
}

// maybeQuantity is NULL for nil.
func maybeQuantity[T any](s *scratch, name string, get func(*T) *reckoner.Quantity) column[T] {
	return column[T]{
		name: name, wire: "Nullable(" + decimal + ")",
		encode: func(to *proto.Buffer, rows []T) error {
			putNulls(to, rows, func(r *T) bool { return get(r) == nil })
			for i := range rows {
				var value reckoner.Quantity
				if q := get(&rows[i]); q != nil {
					value = *q
				}
				putQuantity(to, value)
			}
			return nil
		},
		fill: func(dst driver.BatchColumn, rows []T) error {
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
		},
	}
}

// putNulls writes which rows have no value. A value follows for each of them all the same, and nobody looks at it.
func putNulls[T any](to *proto.Buffer, rows []T, none func(*T) bool) {
	for i := range rows {
		to.PutBool(none(&rows[i]))
	}
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

// nanoseconds is the type of times in the tables, where nothing else is said.
const nanoseconds = "DateTime64(9, 'UTC')"

// putInstant writes the nanoseconds since 1970.
func putInstant(to *proto.Buffer, t time.Time) { to.PutInt64(t.UnixNano()) }

// minSecond and maxSecond bound what nanoseconds since 1970 hold, and what the driver takes: 1900 to 2262.
const (
	minSecond = -2_208_988_800
	maxSecond = 9_223_372_036
)

// within refuses a time that would come back as another one.
func within(i int, t time.Time) error {
	if s := t.Unix(); s < minSecond || s >= maxSecond {
		return fmt.Errorf("row %d: the time %s is out of range", i, t.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

// moment is a time in a type of the server's.
func moment[T any](s *scratch, name, wire string, put func(*proto.Buffer, time.Time), get func(*T) time.Time) column[T] {
	c := plain(&s.times, name, wire, put, get)
	c.encode = func(to *proto.Buffer, rows []T) error {
		for i := range rows {
			t := get(&rows[i])
			if err := within(i, t); err != nil {
				return err
			}
			put(to, t)
		}
		return nil
	}
	return c
}

func instant[T any](s *scratch, name string, get func(*T) time.Time) column[T] {
	return moment(s, name, nanoseconds, putInstant, get)
}

// second is a time of whole seconds.
func second[T any](s *scratch, name string, get func(*T) time.Time) column[T] {
	return moment(s, name, "DateTime64(0, 'UTC')", func(to *proto.Buffer, t time.Time) { to.PutInt64(t.Unix()) }, get)
}

// milli is a time of whole milliseconds.
func milli[T any](s *scratch, name string, get func(*T) time.Time) column[T] {
	return moment(s, name, "DateTime64(3, 'UTC')", func(to *proto.Buffer, t time.Time) { to.PutInt64(t.UnixMilli()) }, get)
}

// maybeInstant is NULL for the zero time.
func maybeInstant[T any](s *scratch, name string, get func(*T) *time.Time) column[T] {
	return column[T]{
		name: name, wire: "Nullable(" + nanoseconds + ")",
		encode: func(to *proto.Buffer, rows []T) error {
			putNulls(to, rows, func(r *T) bool { return get(r).IsZero() })
			for i := range rows {
				t := *get(&rows[i])
				if t.IsZero() {
					to.PutInt64(0)
					continue
				}
				if err := within(i, t); err != nil {
					return err
				}
				putInstant(to, t)
			}
			return nil
		},
		fill: func(dst driver.BatchColumn, rows []T) error {
			return s.maybe.use(len(rows), func(values []*time.Time) error {
				for i := range rows {
					if t := get(&rows[i]); !t.IsZero() {
						values[i] = t
					}
				}
				return dst.Append(values)
			})
		},
	}
}
