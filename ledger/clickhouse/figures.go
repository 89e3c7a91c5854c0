package clickhouse

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"text/template"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// figureQueries are the texts of queries/figures*.sql. They read the totals or the entries, and hold as many parameters as
// the lists of queries need; every value is a parameter. A query's position is the greatest of its rows', from the SELECT
// that they came from.
var figureQueries = template.Must(template.New("").ParseFS(queryFiles, "queries/figures*.sql", "queries/v1_*.sql"))

// Figures implements ledger.FiguresReader. Queries whose parameters would make more than 768 KiB of a URL, as about 2,500
// plain ones do, are several SELECTs; one query never is, so its AsOf is exact.
func (l *Ledger) Figures(ctx context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	if err := l.sync(ctx, "sync_totals"); err != nil {
		return nil, err
	}
	return l.figures(ctx, queries, false)
}

// FiguresAt implements ledger.FiguresReader.
func (l *Ledger) FiguresAt(ctx context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	if err := l.syncReplicas(ctx); err != nil {
		return nil, err
	}
	return l.figures(ctx, queries, true)
}

func (l *Ledger) figures(ctx context.Context, queries []ledger.FiguresQuery, entries bool) ([]ledger.Figures, error) {
	answers := make([]ledger.Figures, len(queries))
	p := newFigureParameters(entries)
	for i := range queries {
		q := &queries[i]
		if err := checkFigures(q); err != nil {
			return nil, err
		}
		if len(q.SubscriptionIDs) == 0 || entries && q.AsOf == nil {
			continue
		}
		if n := figuresSize(q); len(p.asked) > 0 && p.bytes+n > figuresBytes {
			if err := l.readFigures(ctx, queries, p, answers); err != nil {
				return nil, err
			}
			p = newFigureParameters(entries)
		}
		p.add(i, q)
	}
	if len(p.asked) == 0 {
		return answers, nil
	}
	return answers, l.readFigures(ctx, queries, p, answers)
}

// Behind implements ledger.FiguresReader.
func (l *Ledger) Behind(ctx context.Context, q ledger.FiguresQuery) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		if err := checkFigures(&q); err != nil {
			yield(ledger.Entry{}, err)
			return
		}
		if q.AsOf == nil || len(q.SubscriptionIDs) == 0 {
			return
		}
		if err := l.syncReplicas(ctx); err != nil {
			yield(ledger.Entry{}, err)
			return
		}
		p := newFigureParameters(true)
		p.add(0, &q)
		text, args, err := p.render("figures_behind")
		if err != nil {
			yield(ledger.Entry{}, err)
			return
		}
		var row entryRow
		for e, err := range stream(ctx, l, text, row.scan, args...) {
			if err != nil {
				err = fmt.Errorf("read the entries behind the figures of %s: %w", q.AccountID, err)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func checkFigures(q *ledger.FiguresQuery) error {
	if len(q.Edges) < 2 {
		return fmt.Errorf("read figures of %s: %d edges make no slice", q.AccountID, len(q.Edges))
	}
	for i, edge := range q.Edges[1:] {
		if !edge.After(q.Edges[i]) {
			return fmt.Errorf("read figures of %s: the edge %s does not come after %s", q.AccountID, edge, q.Edges[i])
		}
	}
	return nil
}

// readFigures runs one SELECT and puts what it gives into the answers.
func (l *Ledger) readFigures(ctx context.Context, queries []ledger.FiguresQuery, p *figureParameters, answers []ledger.Figures) error {
	text, args, err := p.render("figures")
	if err != nil {
		return err
	}
	type row struct {
		query, slice uint32
		figure       ledger.Figure
		last         reckoner.Position // of the events that were folded
	}
	scan := func(rows driver.Rows) (r row, err error) {
		var meterType uint8
		var quantity string
		err = rows.Scan(&r.query, &r.slice, &r.figure.SubscriptionID, &r.figure.Meter, &meterType, &quantity, &r.last.Log, &r.last.Partition,
			&r.last.Offset, &r.last.Index)
		if err != nil {
			return r, err
		}
		r.figure.MeterType = reckoner.MeterType(meterType)
		r.figure.Quantity, err = reckoner.ParseQuantity(quantity)
		return r, err
	}
	for r, err := range stream(ctx, l, text, scan, args...) {
		if err == nil && (r.query < 1 || int(r.query) > len(p.asked)) {
			err = fmt.Errorf("the server answers query %d of %d", r.query, len(p.asked))
		}
		if err != nil {
			return fmt.Errorf("read figures of %d accounts: %w", len(p.asked), err)
		}
		at := p.asked[r.query-1]
		edges, answer := queries[at].Edges, &answers[at]
		r.figure.Slice.End = edges[0]
		if i := int(r.slice) - firstSlice; r.slice != beforeEdges {
			r.figure.Slice = reckoner.Period{Start: edges[i], End: edges[i+1]}
		}
		if answer.AsOf == nil || r.last.Cmp(*answer.AsOf) > 0 {
			answer.AsOf = &r.last
		}
		answer.Rows = append(answer.Rows, r.figure)
	}
	return nil
}

// figuresBytes bounds the parameters of one SELECT: see parameterBytes.
const figuresBytes = 768 << 10

// figuresSize is about what a query takes in a URL, never less.
func figuresSize(q *ledger.FiguresQuery) int {
	const number, position, edge = len("1000000."), len(".4294967295.9223372036854775807.2147483647"), len("-1000000000000000000.1000.~")
	n := encodedSize(q.AccountID)
	for _, id := range q.SubscriptionIDs {
		n += number + encodedSize(q.AccountID) + encodedSize(id) + position
	}
	return n + len(q.Edges)*(number+edge)
}

func encodedSize(id string) int { return base64.RawURLEncoding.EncodedLen(len(id)) + 1 }

// figureParameters are the queries of one SELECT as parameters: lists, each a text. (Of long arrays the server takes many
// times as long to plan the SELECT as to run it.) A query is known by its number from 1.
type figureParameters struct {
	Entries       bool
	asked         []int // where each query stands in the call
	bytes         int
	lists         map[string][]string
	earliest, end int64
}

func newFigureParameters(entries bool) *figureParameters {
	return &figureParameters{Entries: entries, lists: map[string][]string{}}
}

// What the time before the first edge is numbered, the time from the last edge on, and the first slice.
const beforeEdges, afterEdges, firstSlice = 0, 1, 2

func (p *figureParameters) add(at int, q *ledger.FiguresQuery) {
	p.asked = append(p.asked, at)
	p.bytes += figuresSize(q)
	n, account := len(p.asked), encodeID(q.AccountID)
	if accounts := p.lists["accounts"]; len(accounts) == 0 || accounts[len(accounts)-1] != account {
		p.lists["accounts"] = append(accounts, account)
	}
	ids := slices.Clone(q.SubscriptionIDs)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		record := fmt.Sprintf("%d.%s.%s", n, account, encodeID(id))
		if p.Entries {
			record += fmt.Sprintf(".%d.%d.%d", q.AsOf.Log, q.AsOf.Offset, q.AsOf.Index)
		}
		p.lists["subscriptions"] = append(p.lists["subscriptions"], record)
	}
	for i, edge := range q.Edges {
		slice := firstSlice + i
		if i == len(q.Edges)-1 {
			slice = afterEdges
		}
		p.lists["edges"] = append(p.lists["edges"], fmt.Sprintf("%d.%d.%d", n, nanos(edge, reckoner.MinTime), slice))
	}
	first, last := nanos(q.Edges[0], reckoner.MinTime), nanos(q.Edges[len(q.Edges)-1], reckoner.MaxTime)
	if n == 1 {
		p.earliest, p.end = first, last
	}
	p.earliest, p.end = min(p.earliest, first), max(p.end, last)
}

// encodeID writes an id so that it holds no separator, and that nothing of it is escaped in a URL.
func encodeID(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// List returns the SQL of a list: an array of its records. It is not constant for the server, which would else carry it
// through every step of its plan.
func (p *figureParameters) List(name string) (string, error) {
	var parts []string
	for i := range listParts(p.lists[name]) {
		parts = append(parts, fmt.Sprintf("{%s_%d:String}", name, i))
	}
	if len(parts) == 0 {
		return "", errors.New("no list " + name)
	}
	text := parts[0]
	if len(parts) > 1 {
		text = "concat(" + strings.Join(parts, ", '~', ") + ")"
	}
	return "splitByChar('~', materialize(" + text + "))", nil
}

// listParts yields the texts of a list, as many as it needs to be no greater than a parameter may be.
func listParts(records []string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		i := 0
		for part := range parameterParts(records, func(s string) int { return len(s) + 1 }) {
			if !yield(i, strings.Join(part, "~")) {
				return
			}
			i++
		}
	}
}

func (p *figureParameters) render(name string) (string, []any, error) {
	var b strings.Builder
	if err := figureQueries.ExecuteTemplate(&b, name+".sql", p); err != nil {
		return "", nil, fmt.Errorf("query %s: %w", name, err)
	}
	args := []any{ch.Named("earliest", p.earliest), ch.Named("latest", p.end)}
	for list, records := range p.lists {
		for i, text := range listParts(records) {
			args = append(args, ch.Named(fmt.Sprintf("%s_%d", list, i), text))
		}
	}
	return strings.TrimSpace(b.String()), args, nil
}
