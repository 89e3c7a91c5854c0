package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner/ledger"
)

// reportQueries are the texts of queries/reports_*.sql. They hold only those conditions that a read has; every value is a
// parameter.
var reportQueries = template.Must(template.New("").ParseFS(queryFiles, "queries/reports_*.sql"))

func reportQuery(name string, of any) (string, error) {
	var b strings.Builder
	if err := reportQueries.ExecuteTemplate(&b, name+".sql", of); err != nil {
		return "", fmt.Errorf("query %s: %w", name, err)
	}
	return strings.TrimSpace(b.String()), nil
}

// syncReports makes what was stored before visible to the reads that follow, whichever replica they go to.
func (l *Ledger) syncReports(ctx context.Context) error { return l.sync(ctx, "sync_reports") }

// recent bounds reads of reports by when they were made. Timestamps only rise, so where an installation has a report that was
// made since, its newest one is among those; only for those that have none are all reports read, however many years of them.
type recent struct{ Recent bool }

// lastSince is how old the newest report of an installation may be to be found without reading all of them.
const lastSince = 72 * time.Hour

// LastTimestamps implements ledger.ReportStore.
func (l *Ledger) LastTimestamps(ctx context.Context, installationIDs []string) (map[string]time.Time, error) {
	last, reported, err := l.timestamps(ctx, "reports_last", recent{true}, installationIDs, ch.Named("made_since", max(time.Now().Add(-lastSince).UnixMilli(), 0)))
	if err != nil {
		return nil, err
	}
	if left := without(installationIDs, reported); len(left) > 0 {
		all, _, err := l.timestamps(ctx, "reports_last", recent{}, left)
		if err != nil {
			return nil, err
		}
		maps.Copy(last, all)
	}
	return last, nil
}

// without returns the ids that are not among others.
func without(ids []string, others map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return others[id] })
}

// Claimed implements ledger.ReportStore.
func (l *Ledger) Claimed(ctx context.Context, installationIDs []string, reporter string) (map[string]time.Time, error) {
	claimed, _, err := l.timestamps(ctx, "reports_claimed", nil, installationIDs, ch.Named("reporter", reporter))
	return claimed, err
}

// timestamps reads a time of each installation, and which of them have a report.
func (l *Ledger) timestamps(ctx context.Context, name string, of any, installationIDs []string, args ...any) (map[string]time.Time, map[string]bool, error) {
	text, err := reportQuery(name, of)
	if err != nil {
		return nil, nil, err
	}
	if err := l.syncReports(ctx); err != nil {
		return nil, nil, err
	}
	type row struct {
		id       string
		last     time.Time
		reported bool
	}
	scan := func(rows driver.Rows) (r row, err error) { return r, rows.Scan(&r.id, &r.last, &r.reported) }
	found, reported := make(map[string]time.Time, len(installationIDs)), make(map[string]bool, len(installationIDs))
	for part := range parameterParts(installationIDs, textSize) {
		for r, err := range stream(ctx, l, text, scan, append(slices.Clone(args), ch.Named("installation_ids", part))...) {
			if err != nil {
				return nil, nil, fmt.Errorf("read the timestamps of reports: %w", err)
			}
			found[r.id] = r.last
			if r.reported {
				reported[r.id] = true
			}
		}
	}
	return found, reported, nil
}

// Claim implements ledger.ReportStore.
func (l *Ledger) Claim(ctx context.Context, claims []ledger.ReportClaim) error {
	for _, c := range claims {
		if err := checkReport(&ledger.Report{InstallationID: c.InstallationID, Reporter: c.Reporter, Timestamp: c.Timestamp}); err != nil {
			return ledger.MarkPermanent(fmt.Errorf("claim: %w", err))
		}
	}
	return insert(ctx, l, l.tables.claims, claims)
}

// WriteReports implements ledger.ReportStore.
func (l *Ledger) WriteReports(ctx context.Context, reports []ledger.Report) error {
	for i := range reports {
		if err := checkReport(&reports[i]); err != nil {
			return ledger.MarkPermanent(err)
		}
	}
	return insertByMonth(ctx, l, l.tables.reports, reports, func(r *ledger.Report) time.Time { return r.Timestamp })
}

// madeBefore is how long before the end of its part a report may have been made: a part is no longer than a day, and none is
// reported before it begins. A day more is for nothing but care.
const madeBefore = 48 * time.Hour

// History implements ledger.ReportStore. It first looks for the keys, in columns that are small, and then reads their rows.
func (l *Ledger) History(ctx context.Context, installationIDs []string, since time.Time) ([]ledger.Report, error) {
	if err := l.syncReports(ctx); err != nil {
		return nil, err
	}
	keys, whole, err := l.newest(ctx, recent{true}, installationIDs, since)
	if err != nil {
		return nil, err
	}
	if left := without(installationIDs, whole); len(left) > 0 {
		older, _, err := l.newest(ctx, recent{}, left, since)
		if err != nil {
			return nil, err
		}
		keys = append(keys, older...)
	}
	return l.reportsOf(ctx, keys, false)
}

// newest returns the keys of the newest reports: of the parts that end after since, of all, and of those that were accepted;
// and the installations that have one of each of the last two.
func (l *Ledger) newest(ctx context.Context, of recent, installationIDs []string, since time.Time) (keys []reportKey, whole map[string]bool, err error) {
	text, err := reportQuery("reports_newest", of)
	if err != nil {
		return nil, nil, err
	}
	type row struct {
		key  reportKey
		what uint8 // 2: the newest that was accepted. Where there is one there is a newest of all, too
	}
	scan := func(rows driver.Rows) (r row, err error) {
		var at time.Time
		err = rows.Scan(&r.key.installation, &at, &r.key.reporter, &r.what)
		r.key.timestamp = at.UnixMilli()
		return r, err
	}
	var args []any
	if of.Recent {
		args = append(args, ch.Named("since", nanos(since, time.Unix(0, 0))), ch.Named("made_since", max(since.Add(-madeBefore).UnixMilli(), 0)))
	}
	whole = make(map[string]bool, len(installationIDs))
	for part := range parameterParts(installationIDs, textSize) {
		for r, err := range stream(ctx, l, text, scan, append(slices.Clone(args), ch.Named("installation_ids", part))...) {
			if err != nil {
				return nil, nil, fmt.Errorf("read the history of reports: %w", err)
			}
			keys = append(keys, r.key)
			if r.what == 2 {
				whole[r.key.installation] = true
			}
		}
	}
	return keys, whole, nil
}

// reportKey is what a report is kept by.
type reportKey struct {
	installation string
	timestamp    int64 // milliseconds
	reporter     string
}

func (k reportKey) compare(o reportKey) int {
	return cmp.Or(cmp.Compare(k.installation, o.installation), cmp.Compare(k.timestamp, o.timestamp), cmp.Compare(k.reporter, o.reporter))
}

func scanReportKey(rows driver.Rows) (k reportKey, err error) {
	var at time.Time
	err = rows.Scan(&k.installation, &at, &k.reporter)
	k.timestamp = at.UnixMilli()
	return k, err
}

// reportRows is which reports a read gives. A light one gives them without payload, inputs and state.
type reportRows struct {
	ledger.ReportQuery
	Light bool
}

// reportsOf reads the reports of some keys, by installation and timestamp, each once. A key that was seen is stored, so a report that is not found is
// one that another replica does not have yet.
func (l *Ledger) reportsOf(ctx context.Context, keys []reportKey, light bool) ([]ledger.Report, error) {
	slices.SortFunc(keys, reportKey.compare)
	keys = slices.Compact(keys)
	for again := false; ; again = true {
		reports, err := l.readReports(ctx, keys, light)
		if err != nil {
			return nil, fmt.Errorf("read reports: %w", err)
		}
		if len(reports) == len(keys) {
			return reports, nil
		}
		if again {
			return nil, fmt.Errorf("read reports: %d of %d are there: were rows of the table reports deleted just now?", len(reports), len(keys))
		}
		if err := l.syncReports(ctx); err != nil {
			return nil, err
		}
	}
}

func (l *Ledger) readReports(ctx context.Context, keys []reportKey, light bool) ([]ledger.Report, error) {
	text, err := reportQuery("reports_rows", reportRows{Light: light})
	if err != nil {
		return nil, err
	}
	wanted := make(map[reportKey]bool, len(keys))
	for _, k := range keys {
		wanted[k] = true
	}
	found := make([]ledger.Report, 0, len(keys))
	var row reportRow
	for part := range parameterParts(keys, func(k reportKey) int { return textSize(k.installation) }) {
		ids, timestamps := make([]string, len(part)), make([]int64, len(part))
		for i, k := range part {
			ids[i], timestamps[i] = k.installation, k.timestamp
		}
		for r, err := range stream(ctx, l, text, row.scan, ch.Named("installation_ids", ids), ch.Named("timestamps", timestamps)) {
			if err != nil {
				return nil, err
			}
			if k := (reportKey{r.InstallationID, r.Timestamp.UnixMilli(), r.Reporter}); wanted[k] {
				delete(wanted, k)
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b ledger.Report) int {
		return cmp.Or(cmp.Compare(a.InstallationID, b.InstallationID), a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.Reporter, b.Reporter))
	})
	return found, nil
}

// parameterBytes bounds one parameter of a query. Over HTTP parameters stand in the URL: a server takes 128 KiB of one
// (http_max_field_value_size) and 1 MiB of all (http_max_uri_size), unless it is set otherwise.
const parameterBytes = 96 << 10

// parameterParts cuts values into runs of which each fits a parameter, by the size that each takes there.
func parameterParts[T any](values []T, size func(T) int) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		start, bytes := 0, 0
		for i, v := range values {
			n := size(v)
			if i > start && bytes+n > parameterBytes {
				if !yield(values[start:i]) {
					return
				}
				start, bytes = i, 0
			}
			bytes += n
		}
		if start < len(values) {
			yield(values[start:])
		}
	}
}

// textSize is what a text takes as an element of an array in a URL: with its quotes, each sign of which is three, what escapes
// it, a comma and a space. An integer takes no more than an empty text and its digits.
func textSize(s string) int {
	escapes := 0
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '\'' || s[i] == '\\' {
			escapes += 9
		}
	}
	return len(url.QueryEscape(s)) + escapes + len("%27%27%2C+")
}
