package clickhouse

import (
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"reckoner"
	"reckoner/ledger"
)

// tables are the four that Write fills, the copy of the catalog, and reports with their claims. Each has its columns in the
// order of its queries/insert_*.sql.
type tables struct {
	entries     *table[ledger.Entry]
	refusals    *table[ledger.Refusal]
	totals      *table[ledger.Total]
	checkpoints *table[ledger.Checkpoint]
	catalog     *table[ledger.CatalogRow]
	reports     *table[ledger.Report]
	claims      *table[ledger.ReportClaim]
}

func newTables(q queries) tables {
	s := new(scratch)
	return tables{
		entriesTable(s, q), refusalsTable(s, q), totalsTable(s, q), checkpointsTable(s, q), catalogTable(s, q), reportsTable(s, q), claimsTable(s, q),
	}
}

func entriesTable(s *scratch, q queries) *table[ledger.Entry] {
	type row = ledger.Entry
	metadata := func(r *row) []reckoner.Label { return r.Metadata }
	columns := position(s, "", func(r *row) *reckoner.Position { return &r.Position })
	columns = append(columns,
		text(s, "account_id", func(r *row) string { return r.AccountID }),
		text(s, "organization_id", func(r *row) string { return r.OrganizationID }),
		text(s, "project_id", func(r *row) string { return r.ProjectID }),
		text(s, "subscription_id", func(r *row) string { return r.SubscriptionID }),
		text(s, "meter", func(r *row) string { return r.Meter }),
		enum(s, "meter_type", reckoner.Interval, reckoner.Rate, func(r *row) reckoner.MeterType { return r.MeterType }),
		text(s, "event_id", func(r *row) string { return r.EventID }),
		enum(s, "kind", reckoner.Usage, reckoner.Revert, func(r *row) reckoner.Kind { return r.Kind }),
		text(s, "type", func(r *row) string { return r.Type }),
		text(s, "usage_id", func(r *row) string { return r.UsageID }),
		quantity(s, "quantity", func(r *row) reckoner.Quantity { return r.Quantity }),
		maybeQuantity(s, "requested", func(r *row) *reckoner.Quantity { return r.Requested }),
		enum(s, "outcome", reckoner.Applied, reckoner.Undecodable, func(r *row) reckoner.Outcome { return r.Outcome }),
		instant(s, "period_start", func(r *row) time.Time { return r.Period.Start }),
		instant(s, "period_end", func(r *row) time.Time { return r.Period.End }),
		second(s, "bucket", func(r *row) time.Time { return r.Bucket }),
		instant(s, "usage_time", func(r *row) time.Time { return r.UsageTime }),
		instant(s, "received_at", func(r *row) time.Time { return r.ReceivedAt }),
		maybeInstant(s, "updated_at", func(r *row) *time.Time { return &r.UpdatedAt }),
		text(s, "source", func(r *row) string { return r.Source }),
		text(s, "description", func(r *row) string { return r.Description }),
		text(s, "user_id", func(r *row) string { return r.UserID }),
		text(s, "customer_id", func(r *row) string { return r.CustomerID }),
		list("metadata_keys", "String", (*proto.Buffer).PutString, metadata, func(l reckoner.Label) string { return l.Key }),
		list("metadata_values", "String", (*proto.Buffer).PutString, metadata, func(l reckoner.Label) string { return l.Value }),
		list("metadata_json", "Bool", (*proto.Buffer).PutBool, metadata, func(l reckoner.Label) bool { return l.JSON }),
		maybeQuantity(s, "usage_limit", func(r *row) *reckoner.Quantity { return r.Limit }),
		fingerprint(s, "fingerprint", func(r *row) *reckoner.Fingerprint { return &r.Fingerprint }),
		u32(s, "rules", func(r *row) uint32 { return r.Rules }),
	)
	return newTable("entries", q.insertEntries, columns...)
}

func refusalsTable(s *scratch, q queries) *table[ledger.Refusal] {
	type row = ledger.Refusal
	columns := position(s, "", func(r *row) *reckoner.Position { return &r.Position })
	columns = append(columns,
		text(s, "account_id", func(r *row) string { return r.AccountID }),
		text(s, "organization_id", func(r *row) string { return r.OrganizationID }),
		text(s, "project_id", func(r *row) string { return r.ProjectID }),
		text(s, "subscription_id", func(r *row) string { return r.SubscriptionID }),
		text(s, "meter", func(r *row) string { return r.Meter }),
		enum(s, "meter_type", 0, reckoner.Rate, func(r *row) reckoner.MeterType { return r.MeterType }),
		text(s, "event_id", func(r *row) string { return r.EventID }),
		enum(s, "kind", 0, reckoner.Revert, func(r *row) reckoner.Kind { return r.Kind }),
		text(s, "type", func(r *row) string { return r.Type }),
		text(s, "usage_id", func(r *row) string { return r.UsageID }),
		maybeQuantity(s, "requested", func(r *row) *reckoner.Quantity { return r.Requested }),
		enum(s, "outcome", reckoner.Applied, reckoner.Undecodable, func(r *row) reckoner.Outcome { return r.Outcome }),
		text(s, "reason", func(r *row) string { return r.Reason }),
		maybeInstant(s, "usage_time", func(r *row) *time.Time { return &r.UsageTime }),
		instant(s, "received_at", func(r *row) time.Time { return r.ReceivedAt }),
		text(s, "source", func(r *row) string { return r.Source }),
		fingerprint(s, "fingerprint", func(r *row) *reckoner.Fingerprint { return &r.Fingerprint }),
		u32(s, "rules", func(r *row) uint32 { return r.Rules }),
	)
	return newTable("refusals", q.insertRefusals, columns...)
}

func totalsTable(s *scratch, q queries) *table[ledger.Total] {
	type row = ledger.Total
	columns := []column[row]{
		text(s, "account_id", func(r *row) string { return r.AccountID }),
		text(s, "subscription_id", func(r *row) string { return r.SubscriptionID }),
		text(s, "meter", func(r *row) string { return r.Meter }),
		enum(s, "meter_type", reckoner.Interval, reckoner.Rate, func(r *row) reckoner.MeterType { return r.MeterType }),
		instant(s, "period_start", func(r *row) time.Time { return r.Period.Start }),
		instant(s, "period_end", func(r *row) time.Time { return r.Period.End }),
		second(s, "bucket", func(r *row) time.Time { return r.Bucket }),
		quantity(s, "quantity", func(r *row) reckoner.Quantity { return r.Quantity }),
		u64(s, "events", func(r *row) uint64 { return r.Events }),
		u64(s, "reverts", func(r *row) uint64 { return r.Reverts }),
		instant(s, "first_use", func(r *row) time.Time { return r.FirstUse }),
		instant(s, "last_use", func(r *row) time.Time { return r.LastUse }),
	}
	columns = append(columns, position(s, "reading_", func(r *row) *reckoner.Position { return &r.Reading })...)
	columns = append(columns, position(s, "", func(r *row) *reckoner.Position { return &r.Position })...)
	return newTable("totals", q.insertTotals, columns...)
}

func checkpointsTable(s *scratch, q queries) *table[ledger.Checkpoint] {
	type row = ledger.Checkpoint
	return newTable("checkpoints", q.insertCheckpoints,
		u32(s, "log", func(r *row) uint32 { return r.Log }),
		i32(s, "partition", func(r *row) int32 { return r.Partition }),
		u64(s, "next_offset", func(r *row) uint64 { return uint64(r.Next) }),
		u64(s, "entries", func(r *row) uint64 { return r.Entries }),
		u64(s, "refusals", func(r *row) uint64 { return r.Refusals }),
		u64(s, "entries_digest", func(r *row) uint64 { return r.EntriesDigest }),
		u64(s, "refusals_digest", func(r *row) uint64 { return r.RefusalsDigest }),
		u32(s, "rules", func(r *row) uint32 { return r.Rules }),
		u64(s, "record_hash", func(r *row) uint64 { return r.RecordHash }),
	)
}

func catalogTable(s *scratch, q queries) *table[ledger.CatalogRow] {
	type row = ledger.CatalogRow
	return newTable("catalog", q.insertCatalog,
		text(s, "kind", func(r *row) string { return r.Kind }),
		text(s, "id", func(r *row) string { return r.ID }),
		u64(s, "version", func(r *row) uint64 { return r.Version }),
		boolean(s, "deleted", func(r *row) bool { return r.Deleted }),
		text(s, "entity", func(r *row) string { return r.Entity }),
		maybeInstant(s, "changed_at", func(r *row) *time.Time { return &r.ChangedAt }),
	)
}

func position[T any](s *scratch, prefix string, get func(*T) *reckoner.Position) []column[T] {
	return []column[T]{
		u32(s, prefix+"log", func(r *T) uint32 { return get(r).Log }),
		i32(s, prefix+"partition", func(r *T) int32 { return get(r).Partition }),
		i64(s, prefix+"offset", func(r *T) int64 { return get(r).Offset }),
		i32(s, prefix+"index", func(r *T) int32 { return get(r).Index }),
	}
}
