// Package floor is what ClickHouse costs anyone who uses clickhouse-go well and does nothing else: the benchmark measures
// the product against it. The product never uses it.
package floor

import (
	"context"
	"errors"
	"fmt"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// DB is a server, reached with nothing of ours in between.
type DB struct{ conn driver.Conn }

// Open returns a server by its URL. It does not connect. Nothing is compressed unless the URL says so: the benchmark's
// server is on this machine, where the product compresses nothing either.
func Open(url string) (*DB, error) {
	opt, err := ch.ParseDSN(url)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	opt.DialTimeout, opt.ReadTimeout = 10*time.Second, 5*time.Minute
	conn, err := ch.Open(opt)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	return &DB{conn}, nil
}

// Close drops the connections.
func (d *DB) Close() error { return d.conn.Close() }

// Exec runs a statement.
func (d *DB) Exec(ctx context.Context, sql string) error {
	if err := d.conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%.120s: %w", sql, err)
	}
	return nil
}

// One scans the one row of a query.
func (d *DB) One(ctx context.Context, sql string, into ...any) error {
	if err := d.conn.QueryRow(ctx, sql).Scan(into...); err != nil {
		return fmt.Errorf("%.120s: %w", sql, err)
	}
	return nil
}

// Each scans every row of a query into the same places, and tells of each.
func (d *DB) Each(ctx context.Context, sql string, row func() error, into ...any) (err error) {
	rows, err := d.conn.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("%.120s: %w", sql, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := row(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Param is a parameter of a query.
type Param struct {
	Name  string
	Value any
}

// Drain runs a query, reads its blocks, and looks at none of the rows. It returns how many there were.
func (d *DB) Drain(ctx context.Context, sql string, params ...Param) (n int64, err error) {
	args := make([]any, len(params))
	for i, p := range params {
		args[i] = ch.Named(p.Name, p.Value)
	}
	rows, err := d.conn.Query(ctx, sql, args...)
	if err != nil {
		return 0, fmt.Errorf("%.120s: %w", sql, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}
