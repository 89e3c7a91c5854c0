package clickhouse

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"reckoner/ledger"
)

// Write implements ledger.Writer. Entries and refusals go in side by side, then the totals, then the checkpoints: a
// checkpoint is never stored before what it speaks for.
func (l *Ledger) Write(ctx context.Context, b *ledger.Batch) error {
	events, eventsCtx := errgroup.WithContext(ctx)
	events.Go(func() error {
		return insertByMonth(eventsCtx, l, l.tables.entries, b.Entries, func(r *ledger.Entry) time.Time { return r.ReceivedAt })
	})
	events.Go(func() error {
		return insertByMonth(eventsCtx, l, l.tables.refusals, b.Refusals, func(r *ledger.Refusal) time.Time { return r.ReceivedAt })
	})
	if err := events.Wait(); err != nil {
		return err
	}
	if err := insert(ctx, l, l.tables.totals, b.Totals); err != nil {
		return err
	}
	return insert(ctx, l, l.tables.checkpoints, b.Checkpoints)
}

func insert[T any](ctx context.Context, l *Ledger, t *table[T], rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	start := time.Now()
	err := t.send(ctx, l, rows)
	l.metrics.inserted(t.name, len(rows), start, err)
	if _, encode := errors.AsType[encodeError](err); encode {
		return ledger.MarkPermanent(err)
	}
	return classify(err)
}

// insertByMonth inserts rows of a table that is partitioned by month, in one insert unless they span more months than
// one insert may.
func insertByMonth[T any](ctx context.Context, l *Ledger, t *table[T], rows []T, at func(*T) time.Time) error {
	for _, part := range splitByMonth(rows, at, partitionsMax) {
		if err := insert(ctx, l, t, part); err != nil {
			return err
		}
	}
	return nil
}

// splitByMonth returns rows in as few parts as hold at most limit months each.
func splitByMonth[T any](rows []T, at func(*T) time.Time, limit int) [][]T {
	type month struct {
		year int
		time.Month
	}
	monthOf := func(r *T) month {
		t := at(r).UTC()
		return month{t.Year(), t.Month()}
	}
	part := map[month]int{} // in order of appearance: limit months to a part
	for i := range rows {
		m := monthOf(&rows[i])
		if _, seen := part[m]; !seen {
			part[m] = len(part) / limit
		}
	}
	if len(part) <= limit {
		return [][]T{rows}
	}
	parts := make([][]T, (len(part)+limit-1)/limit)
	for i := range rows {
		p := part[monthOf(&rows[i])]
		parts[p] = append(parts[p], rows[i])
	}
	return parts
}
