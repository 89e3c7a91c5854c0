package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"reckoner"
	"reckoner/ledger/clickhouse"
	"reckoner/ledger/report/accounts"
)

// StatementOptions say which statement is written, and how.
type StatementOptions struct {
	AccountID      string
	SubscriptionID string // empty: all
	Period         string // see accounts.ParseWhen
	Format         string // table, json or csv
}

// Statement is the command `statement`: it writes what an account used in a billing period, and what that costs. The catalog
// comes from its topic, the figures from the ledger.
func Statement(ctx context.Context, p *Process, out io.Writer, o StatementOptions) error {
	write, err := statementFormat(o.Format)
	if err != nil {
		return err
	}
	when, err := accounts.ParseWhen(o.Period)
	if err != nil {
		return fmt.Errorf("--period %q: %s", o.Period, accounts.WhenHelp)
	}
	_, reader, err := p.catalogReader(ctx)
	if err != nil {
		return err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.Settings.ClickHouse.QueryTimeout)
	defer cancel()
	if err := l.CheckSchema(ctx); err != nil {
		return named(err)
	}
	d, err := accounts.Read(ctx, l, &accounts.Query{
		Catalog: reader.Current(), AccountID: o.AccountID, SubscriptionID: o.SubscriptionID, When: when, Now: time.Now(),
	})
	switch {
	case err == nil:
		return write(d, out)
	case reckoner.CodeOf(err) == reckoner.NotFound && o.SubscriptionID != "":
		return fmt.Errorf("%w; without --subscription all are shown, and `reckoner catalog get subscriptions` lists those that there are", err)
	case reckoner.CodeOf(err) == reckoner.NotFound:
		return fmt.Errorf("%w; accounts go by their id, and `reckoner catalog get accounts` lists those that the catalog has", err)
	default:
		return err
	}
}

// statementFormat returns how a document is written.
func statementFormat(name string) (func(*accounts.Document, io.Writer) error, error) {
	formats := map[string]func(*accounts.Document, io.Writer) error{
		"table": (*accounts.Document).WriteTable, "csv": (*accounts.Document).WriteCSV,
		"json": func(d *accounts.Document, out io.Writer) error {
			b, err := d.JSON()
			if err != nil {
				return err
			}
			_, err = out.Write(append(b, '\n'))
			return err
		},
	}
	if write, ok := formats[name]; ok {
		return write, nil
	}
	return nil, fmt.Errorf("unknown format %q: want table, json or csv", name)
}

// named says how ClickHouse is named, where it cannot be reached.
func named(err error) error {
	if _, network := errors.AsType[net.Error](err); network {
		return fmt.Errorf("%w; name ClickHouse with --clickhouse (setting clickhouse.url)", err)
	}
	return err
}
