package clickhouse

import (
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"reckoner"
	"reckoner/ledger"
)

func reportsTable(s *scratch, q queries) *table[ledger.Report] {
	type row = ledger.Report
	scope := func(r *row) []ledger.ReportScope { return r.Scope }
	return newTable("reports", q.insertReports,
		text(s, "installation_id", func(r *row) string { return r.InstallationID }),
		text(s, "target", func(r *row) string { return r.Target }),
		text(s, "account_id", func(r *row) string { return r.AccountID }),
		milli(s, "timestamp", func(r *row) time.Time { return r.Timestamp }),
		text(s, "reporter", func(r *row) string { return r.Reporter }),
		instant(s, "moment", func(r *row) time.Time { return r.Moment }),
		instant(s, "day_start", func(r *row) time.Time { return r.Day.Start }),
		instant(s, "eod", func(r *row) time.Time { return r.Day.End }),
		instant(s, "period_start", func(r *row) time.Time { return r.Period.Start }),
		instant(s, "period_end", func(r *row) time.Time { return r.Period.End }),
		u32(s, "as_of_log", func(r *row) uint32 { return asOfColumns(r).Log }),
		i32(s, "as_of_partition", func(r *row) int32 { return asOfColumns(r).Partition }),
		i64(s, "as_of_offset", func(r *row) int64 { return asOfColumns(r).Offset }),
		i32(s, "as_of_index", func(r *row) int32 { return asOfColumns(r).Index }),
		i64(s, "lag_nanoseconds", func(r *row) int64 { return max(int64(r.Lag), -1) }),
		boolean(s, "stale", func(r *row) bool { return r.Stale }),
		u32(s, "rules", func(r *row) uint32 { return r.Rules }),
		raw(s, "inputs", func(r *row) []byte { return r.Inputs }),
		list("scope_subscriptions", "String", (*proto.Buffer).PutString, scope, func(e ledger.ReportScope) string { return e.SubscriptionID }),
		list("scope_starts", nanoseconds, putInstant, scope, func(e ledger.ReportScope) time.Time { return e.Start }),
		list("scope_ends", nanoseconds, putInstant, scope, func(e ledger.ReportScope) time.Time { return e.End }),
		raw(s, "state", func(r *row) []byte { return r.State }),
		raw(s, "payload", func(r *row) []byte { return r.Payload }),
		fixed(s, "figures", "FixedString(32)", func(r *row) []byte { return r.Figures[:] }),
		u32(s, "attempt", func(r *row) uint32 { return r.Attempt }),
		maybeInstant(s, "sent_at", func(r *row) *time.Time { return &r.SentAt }),
		enum(s, "status", ledger.ReportSending, ledger.ReportExpired, func(r *row) ledger.ReportStatus { return r.Status }),
		i32(s, "code", func(r *row) int32 { return int32(r.Code) }),
		text(s, "response", func(r *row) string { return r.Response }),
		text(s, "error", func(r *row) string { return r.Error }),
		u64(s, "revision", func(r *row) uint64 { return r.Revision }),
	)
}

func claimsTable(s *scratch, q queries) *table[ledger.ReportClaim] {
	type row = ledger.ReportClaim
	return newTable("report_claims", q.insertReportClaims,
		text(s, "installation_id", func(r *row) string { return r.InstallationID }),
		text(s, "reporter", func(r *row) string { return r.Reporter }),
		milli(s, "timestamp", func(r *row) time.Time { return r.Timestamp }),
	)
}

// asOfColumns is the zero position for none: logs are numbered from 1.
func asOfColumns(r *ledger.Report) reckoner.Position {
	if r.AsOf == nil {
		return reckoner.Position{}
	}
	return *r.AsOf
}

// checkReport refuses what would not come back as it was.
func checkReport(r *ledger.Report) error {
	var err error
	switch {
	case r.InstallationID == "" || r.Reporter == "":
		err = errors.New("it names no installation, or no reporter")
	case !r.Timestamp.Equal(r.Timestamp.Truncate(time.Millisecond)):
		err = fmt.Errorf("its timestamp %s is finer than a millisecond", r.Timestamp.Format(time.RFC3339Nano))
	case r.AsOf != nil && r.AsOf.Log == 0:
		err = fmt.Errorf("its position %s is of no log", r.AsOf)
	}
	if err != nil {
		return fmt.Errorf("report of installation %q at %s: %w", r.InstallationID, r.Timestamp.Format(time.RFC3339Nano), err)
	}
	return nil
}
