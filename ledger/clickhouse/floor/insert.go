package floor

import (
	"context"
	"fmt"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	pb "reckoner/internal/wire/usagev1"
)

// Row is an event where it stands in the log.
type Row struct {
	Partition int32
	Offset    int64
	Event     *pb.Event
}

// column fills one column of the table `entries` in one call.
type column struct {
	name, wire string
	fill       func(to driver.BatchColumn, rows []Row) error
}

func of[V any](name, wire string, get func(*Row) V) column {
	return column{name, wire, func(to driver.BatchColumn, rows []Row) error {
		values := make([]V, len(rows))
		for i := range rows {
			values[i] = get(&rows[i])
		}
		return to.Append(values)
	}}
}

// labels is an array a row: clickhouse-go takes those one row at a time only.
func labels[V any](name, wire string, part func(*pb.Label) V) column {
	return column{name, wire, func(to driver.BatchColumn, rows []Row) error {
		var values []V
		for i := range rows {
			values = values[:0]
			for _, l := range rows[i].Event.Metadata {
				values = append(values, part(l))
			}
			if err := to.AppendRow(values); err != nil {
				return err
			}
		}
		return nil
	}}
}

// Types under which values travel. Quantities go as text, as the product's do: decimals cost clickhouse-go a big integer
// each.
const (
	text    = "String"
	instant = "DateTime64(9, 'UTC')"
)

// columns are those of `entries`, each from what an event says. No decision is behind them: every event is an entry
// that was applied. Where the product has a fingerprint, 16 bytes of the id stand, which compress as badly.
func columns() []column {
	at := func(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }
	return []column{
		of("log", "UInt32", func(*Row) uint32 { return 1 }),
		of("partition", "Int32", func(r *Row) int32 { return r.Partition }),
		of("offset", "Int64", func(r *Row) int64 { return r.Offset }),
		of("index", "Int32", func(*Row) int32 { return 0 }),
		of("account_id", text, func(r *Row) string { return r.Event.AccountId }),
		of("organization_id", text, func(r *Row) string { return r.Event.OrganizationId }),
		of("project_id", text, func(r *Row) string { return r.Event.ProjectId }),
		of("subscription_id", text, func(r *Row) string { return r.Event.SubscriptionId }),
		of("meter", text, func(r *Row) string { return r.Event.Meter }),
		of("meter_type", "Int8", func(r *Row) int8 { return int8(r.Event.MeterType) }),
		of("event_id", text, func(r *Row) string { return r.Event.Id }),
		of("kind", "Int8", func(r *Row) int8 { return int8(r.Event.Kind) }),
		of("type", text, func(r *Row) string { return r.Event.Type }),
		of("usage_id", text, func(r *Row) string { return r.Event.Written.GetUsageId() }),
		of("quantity", text, func(r *Row) string { return quantity(r.Event.Written.GetQuantity()) }),
		of("requested", "Nullable(String)", func(r *Row) *string {
			if r.Event.Written.GetQuantity() == nil {
				return nil
			}
			return new(quantity(r.Event.Written.GetQuantity()))
		}),
		of("outcome", "Int8", func(*Row) int8 { return int8(reckoner.Applied) }),
		of("period_start", instant, func(r *Row) time.Time { return at(r.Event.PeriodStart) }),
		of("period_end", instant, func(r *Row) time.Time { return at(r.Event.PeriodEnd) }),
		of("bucket", "DateTime64(0, 'UTC')", func(r *Row) time.Time { return at(r.Event.UsageTime).Truncate(15 * time.Minute) }),
		of("usage_time", instant, func(r *Row) time.Time { return at(r.Event.UsageTime) }),
		of("received_at", instant, func(r *Row) time.Time { return at(r.Event.ReceivedAt) }),
		of("updated_at", "Nullable(DateTime64(9, 'UTC'))", func(r *Row) *time.Time {
			if r.Event.UpdatedAt == nil {
				return nil
			}
			return new(at(*r.Event.UpdatedAt))
		}),
		of("source", text, func(r *Row) string { return r.Event.Written.GetSource() }),
		of("description", text, func(r *Row) string { return r.Event.Description }),
		of("user_id", text, func(r *Row) string { return r.Event.UserId }),
		of("customer_id", text, func(r *Row) string { return r.Event.CustomerId }),
		labels("metadata_keys", "Array(String)", func(l *pb.Label) string { return l.Key }),
		labels("metadata_values", "Array(String)", func(l *pb.Label) string { return l.Value }),
		labels("metadata_json", "Array(Bool)", func(l *pb.Label) bool { return l.Json }),
		of("usage_limit", "Nullable(String)", func(r *Row) *string { return nil }),
		of("fingerprint", "FixedString(16)", func(r *Row) []byte { return fingerprint(r.Event.Id) }),
		of("rules", "UInt32", func(r *Row) uint32 { return r.Event.Rules }),
	}
}

func quantity(q *pb.Quantity) string {
	if q == nil {
		return "0"
	}
	v, err := reckoner.QuantityFromWords(q.High, q.Low)
	if err != nil {
		return "0"
	}
	return v.String()
}

func fingerprint(id string) []byte {
	b := make([]byte, 16)
	copy(b, id)
	return b
}

// Inserter inserts into a table that has the columns of `entries`.
type Inserter struct {
	db      *DB
	insert  string
	columns []column
	wire    []ch.ColumnNameAndType
}

// NewInserter returns an inserter into a table, `database.table`.
func (d *DB) NewInserter(table string) *Inserter {
	i := &Inserter{db: d, columns: columns()}
	names := ""
	for n, c := range i.columns {
		if n > 0 {
			names += ", "
		}
		names += "`" + c.name + "`"
		i.wire = append(i.wire, ch.ColumnNameAndType{Name: c.name, Type: c.wire})
	}
	i.insert = "INSERT INTO " + table + " (" + names + ")"
	return i
}

// Insert inserts rows in one statement and returns when they are durable, as far as the table is. The server does as
// much for a row as it does for the product's.
func (i *Inserter) Insert(ctx context.Context, rows []Row) error {
	ctx = ch.Context(ctx, ch.WithSettings(ch.Settings{"async_insert": 0, "insert_deduplicate": 0, "optimize_on_insert": 0}), ch.WithColumnNamesAndTypes(i.wire))
	batch, err := i.db.conn.PrepareBatch(ctx, i.insert)
	if err != nil {
		return fmt.Errorf("prepare the insert: %w", err)
	}
	defer batch.Close()
	for n, c := range i.columns {
		if err := c.fill(batch.Column(n), rows); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert %d rows: %w", len(rows), err)
	}
	return nil
}
