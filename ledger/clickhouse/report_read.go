package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// reportRow scans the columns of reports_columns.sql.
type reportRow struct {
	report        ledger.Report
	asOf          reckoner.Position
	lag           int64
	status        uint8
	code          int32
	figures       []byte
	sentAt        *time.Time
	subscriptions []string
	starts, ends  []time.Time
}

func (s *reportRow) scan(rows driver.Rows) (ledger.Report, error) {
	*s = reportRow{}
	r := &s.report
	err := rows.Scan(&r.InstallationID, &r.Target, &r.AccountID, &r.Timestamp, &r.Reporter, &r.Moment, &r.Day.Start, &r.Day.End,
		&r.Period.Start, &r.Period.End, &s.asOf.Log, &s.asOf.Partition, &s.asOf.Offset, &s.asOf.Index, &s.lag, &r.Stale, &r.Rules,
		&r.Inputs, &s.subscriptions, &s.starts, &s.ends, &r.State, &r.Payload, &s.figures, &r.Attempt, &s.sentAt, &s.status, &s.code,
		&r.Response, &r.Error, &r.Revision)
	if err != nil {
		return ledger.Report{}, fmt.Errorf("read report: %w", err)
	}
	if s.asOf.Log > 0 {
		asOf := s.asOf
		r.AsOf = &asOf
	}
	if s.sentAt != nil {
		r.SentAt = *s.sentAt
	}
	r.Lag, r.Status, r.Code = time.Duration(s.lag), ledger.ReportStatus(s.status), int(s.code)
	copy(r.Figures[:], s.figures)
	r.Inputs, r.State, r.Payload = someBytes(r.Inputs), someBytes(r.State), someBytes(r.Payload)
	if len(s.starts) != len(s.subscriptions) || len(s.ends) != len(s.subscriptions) {
		return *r, fmt.Errorf("read the report of installation %q at %s: the columns of its scope have %d, %d and %d elements", r.InstallationID,
			r.Timestamp.Format(time.RFC3339Nano), len(s.subscriptions), len(s.starts), len(s.ends))
	}
	for i, id := range s.subscriptions {
		r.Scope = append(r.Scope, ledger.ReportScope{SubscriptionID: id, Period: reckoner.Period{Start: s.starts[i], End: s.ends[i]}})
	}
	return *r, nil
}

// someBytes is nil for none.
func someBytes(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// Reports implements ledger.ReportReader.
func (l *Ledger) Reports(ctx context.Context, q ledger.ReportQuery) iter.Seq2[ledger.Report, error] {
	return func(yield func(ledger.Report, error) bool) {
		text, err := reportQuery("reports_list", q)
		if err != nil {
			yield(ledger.Report{}, err)
			return
		}
		since := q.Since
		if cut := since.Truncate(time.Millisecond); cut.Before(since) {
			since = cut.Add(time.Millisecond)
		}
		var row reportRow
		for r, err := range stream(ctx, l, text, row.scan, ch.Named("installation_id", q.InstallationID),
			ch.Named("eod_from", nanos(q.EODFrom, reckoner.MinTime)), ch.Named("eod_to", nanos(q.EODTo, reckoner.MaxTime)),
			ch.Named("made_since", max(q.EODFrom.Add(-madeBefore).UnixMilli(), 0)), ch.Named("since", max(since.UnixMilli(), 0))) {
			if err != nil {
				err = fmt.Errorf("read reports: %w", err)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
