package clickhouse

import (
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// entryRow scans the columns of transactions.sql and v1_entry.sql.
type entryRow struct {
	entry                    ledger.Entry
	meterType, kind, outcome uint8
	quantity                 string
	requested, limit         *string
	updatedAt                *time.Time
	keys, values             []string
	json                     []bool
	fingerprint              []byte
}

func (r *entryRow) scan(rows driver.Rows) (ledger.Entry, error) {
	*r = entryRow{}
	e := &r.entry
	err := rows.Scan(&e.Position.Log, &e.Position.Partition, &e.Position.Offset, &e.Position.Index, &e.AccountID,
		&e.OrganizationID, &e.ProjectID, &e.SubscriptionID, &e.Meter, &r.meterType, &e.EventID, &r.kind, &e.Type,
		&e.UsageID, &r.quantity, &r.requested, &r.outcome, &e.Period.Start, &e.Period.End, &e.Bucket, &e.UsageTime,
		&e.ReceivedAt, &r.updatedAt, &e.Source, &e.Description, &e.UserID, &e.CustomerID, &r.keys, &r.values, &r.json,
		&r.limit, &r.fingerprint, &e.Rules)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("read entry: %w", err)
	}
	e.MeterType, e.Kind, e.Outcome = reckoner.MeterType(r.meterType), reckoner.Kind(r.kind), reckoner.Outcome(r.outcome)
	if r.updatedAt != nil {
		e.UpdatedAt = *r.updatedAt
	}
	copy(e.Fingerprint[:], r.fingerprint)
	q, err := reckoner.ParseQuantity(r.quantity)
	var err2, err3, err4 error
	e.Quantity = q
	e.Requested, err2 = parseOptional(r.requested)
	e.Limit, err3 = parseOptional(r.limit)
	e.Metadata, err4 = zip(r.keys, r.values, r.json)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return *e, &ledger.RowError{Table: "entries", Position: e.Position, ID: e.EventID, Err: err}
	}
	return *e, nil
}

// refusalRow scans the columns of v1_event_refusals.sql.
type refusalRow struct {
	refusal                  ledger.Refusal
	meterType, kind, outcome uint8
	requested                *string
	usageTime                *time.Time
	fingerprint              []byte
}

func (r *refusalRow) scan(rows driver.Rows) (ledger.Refusal, error) {
	*r = refusalRow{}
	f := &r.refusal
	err := rows.Scan(&f.Position.Log, &f.Position.Partition, &f.Position.Offset, &f.Position.Index, &f.AccountID,
		&f.OrganizationID, &f.ProjectID, &f.SubscriptionID, &f.Meter, &r.meterType, &f.EventID, &r.kind, &f.Type,
		&f.UsageID, &r.requested, &r.outcome, &f.Reason, &r.usageTime, &f.ReceivedAt, &f.Source, &r.fingerprint, &f.Rules)
	if err != nil {
		return ledger.Refusal{}, fmt.Errorf("read refusal: %w", err)
	}
	f.MeterType, f.Kind, f.Outcome = reckoner.MeterType(r.meterType), reckoner.Kind(r.kind), reckoner.Outcome(r.outcome)
	if r.usageTime != nil {
		f.UsageTime = *r.usageTime
	}
	copy(f.Fingerprint[:], r.fingerprint)
	if f.Requested, err = parseOptional(r.requested); err != nil {
		return *f, &ledger.RowError{Table: "refusals", Position: f.Position, ID: f.EventID, Err: err}
	}
	return *f, nil
}

// errVersion is for a version that no insert made: the row would keep right ones from taking its place.
var errVersion = errors.New("not that of its position")

// scanTotal scans the columns of totals.sql.
func scanTotal(rows driver.Rows) (ledger.Total, error) {
	var t ledger.Total
	var meterType uint8
	var quantity string
	var fits bool
	err := rows.Scan(&t.AccountID, &t.SubscriptionID, &t.Meter, &meterType, &t.Period.Start, &t.Period.End, &t.Bucket,
		&quantity, &t.Events, &t.Reverts, &t.FirstUse, &t.LastUse, &t.Reading.Log, &t.Reading.Partition, &t.Reading.Offset,
		&t.Reading.Index, &t.Position.Log, &t.Position.Partition, &t.Position.Offset, &t.Position.Index, &fits)
	if err != nil {
		return ledger.Total{}, fmt.Errorf("read total: %w", err)
	}
	t.MeterType = reckoner.MeterType(meterType)
	t.Quantity, err = reckoner.ParseQuantity(quantity)
	if err == nil && !fits {
		err = errVersion
	}
	if err != nil {
		return t, &ledger.RowError{Table: "totals", Position: t.Position, ID: t.AccountID, Err: err}
	}
	return t, nil
}

func parseOptional(text *string) (*reckoner.Quantity, error) {
	if text == nil {
		return nil, nil
	}
	q, err := reckoner.ParseQuantity(*text)
	return &q, err
}

func zip(keys, values []string, json []bool) ([]reckoner.Label, error) {
	if len(keys) != len(values) || len(keys) != len(json) {
		return nil, fmt.Errorf("metadata: %d keys, %d values, %d marks", len(keys), len(values), len(json))
	}
	if len(keys) == 0 {
		return nil, nil
	}
	labels := make([]reckoner.Label, len(keys))
	for i := range keys {
		labels[i] = reckoner.Label{Key: keys[i], Value: values[i], JSON: json[i]}
	}
	return labels, nil
}
