package clickhouse

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
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
		text, err := reportQuery("reports_list", reportRows{ReportQuery: q})
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
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// standing is how an installation stands, without the report itself.
type standing struct {
	last       reportKey
	acceptedAt time.Time
	failing    uint64
}

// summaryBatch is how many reports a summary reads at a time.
const summaryBatch = 1000

// ReportSummaries implements ledger.ReportReader.
func (l *Ledger) ReportSummaries(ctx context.Context) iter.Seq2[ledger.ReportSummary, error] {
	return func(yield func(ledger.ReportSummary, error) bool) {
		standings, err := l.standings(ctx)
		if err != nil {
			yield(ledger.ReportSummary{}, err)
			return
		}
		for part := range slices.Chunk(standings, summaryBatch) {
			keys := make([]reportKey, len(part))
			for i := range part {
				keys[i] = part[i].last
			}
			reports, err := l.reportsOf(ctx, keys, true)
			if err != nil {
				yield(ledger.ReportSummary{}, err)
				return
			}
			for i, s := range part {
				if !yield(ledger.ReportSummary{InstallationID: s.last.installation, Last: reports[i], AcceptedAt: s.acceptedAt, Failing: s.failing}, nil) {
					return
				}
			}
		}
	}
}

// standings returns how the installations stand, by id.
func (l *Ledger) standings(ctx context.Context) (all []standing, err error) {
	text, err := reportQuery("reports_standing", nil)
	if err != nil {
		return nil, err
	}
	scan := func(rows driver.Rows) (s standing, err error) {
		var at time.Time
		err = rows.Scan(&s.last.installation, &at, &s.last.reporter, &s.acceptedAt, &s.failing)
		s.last.timestamp = at.UnixMilli()
		if s.acceptedAt.Unix() == 0 { // none was: 1970 is how the server says so
			s.acceptedAt = time.Time{}
		}
		return s, err
	}
	for s, err := range stream(ctx, l, text, scan) {
		if err != nil {
			return nil, fmt.Errorf("read how reports stand: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// Carriers implements ledger.ReportReader. Like Figures it takes an entry for one of the instant that is the later one of its
// bucket and its period's start.
func (l *Ledger) Carriers(ctx context.Context, e *ledger.Entry) ([]ledger.ReportCarrier, error) {
	text, err := reportQuery("reports_carriers", nil)
	if err != nil {
		return nil, err
	}
	at := e.Bucket
	if e.Period.Start.After(at) {
		at = e.Period.Start
	}
	var keys []reportKey
	for k, err := range stream(ctx, l, text, scanReportKey, ch.Named("account_id", e.AccountID), ch.Named("subscription_id", e.SubscriptionID),
		ch.Named("at", nanos(at, reckoner.MinTime)), ch.Named("log", e.Position.Log), ch.Named("offset", e.Position.Offset), ch.Named("index", e.Position.Index)) {
		if err != nil {
			return nil, fmt.Errorf("read which reports carry the event %q: %w", e.EventID, err)
		}
		keys = append(keys, k)
	}
	reports, err := l.reportsOf(ctx, keys, false)
	if err != nil {
		return nil, err
	}
	var carriers []ledger.ReportCarrier
	for i := range reports {
		r := &reports[i]
		carriers = append(carriers, ledger.ReportCarrier{
			InstallationID: r.InstallationID, Target: r.Target, Timestamp: r.Timestamp, Day: r.Day, Period: r.Period, PayloadSHA256: sha256.Sum256(r.Payload),
		})
	}
	return carriers, nil
}
