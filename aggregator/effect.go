package aggregator

import (
	"reckoner"
	"reckoner/ledger"
)

// effect is what one record changes outside of the state. Exactly one of entry and refusal is set. They are large, so
// they are made where they stay.
type effect struct {
	entry   *ledger.Entry
	refusal *ledger.Refusal
	verdict *reckoner.Verdict // when someone waits
	dead    bool              // the record goes to the dead letter topic
}

// counts fills the row of an event that counts.
func counts(row *ledger.Entry, p reckoner.Position, e *reckoner.Event, fp reckoner.Fingerprint, d *decision) effect {
	w := &e.Written
	*row = ledger.Entry{
		Position: p, AccountID: e.AccountID, OrganizationID: e.OrganizationID, ProjectID: e.ProjectID,
		SubscriptionID: e.SubscriptionID, Meter: e.Meter.Name, MeterType: e.Meter.Type,
		EventID: e.ID, Kind: e.Kind, Type: e.Type, UsageID: w.UsageID,
		Quantity: d.quantity, Requested: w.Quantity, Outcome: d.outcome,
		Period: e.Period, UsageTime: e.UsageTime, ReceivedAt: e.ReceivedAt, UpdatedAt: e.UpdatedAt,
		Source: w.Source, Description: e.Description, UserID: e.UserID, CustomerID: e.CustomerID,
		Metadata: e.Metadata, Limit: e.Limit, Fingerprint: fp, Rules: e.Rules,
	}
	if d.target != nil {
		c := d.target.counted
		row.SubscriptionID, row.Meter, row.MeterType = c.total.SubscriptionID, c.total.Meter, c.total.MeterType
		row.Period, row.UsageTime, row.Type = c.total.Period, c.time, c.typ
	}
	row.Bucket = reckoner.BucketOf(row.UsageTime)
	return effect{entry: row, verdict: verdict(p, e, d)}
}

// refused fills the row of a valid event that does not count.
func refused(row *ledger.Refusal, p reckoner.Position, e *reckoner.Event, fp reckoner.Fingerprint, d *decision) effect {
	w := &e.Written
	*row = ledger.Refusal{
		Position: p, AccountID: e.AccountID, OrganizationID: e.OrganizationID, ProjectID: e.ProjectID,
		SubscriptionID: e.SubscriptionID, Meter: e.Meter.Name, MeterType: e.Meter.Type,
		EventID: e.ID, Kind: e.Kind, Type: e.Type, UsageID: w.UsageID, Requested: w.Quantity,
		Outcome: d.outcome, Reason: d.reason, UsageTime: e.UsageTime, ReceivedAt: e.ReceivedAt,
		Source: w.Source, Fingerprint: fp, Rules: e.Rules,
	}
	if !row.MeterType.Valid() {
		row.MeterType = 0 // a revert's is not checked: it counts for the meter of its usage
	}
	return effect{refusal: row, verdict: verdict(p, e, d)}
}

// undecodable fills the row of a record that is not a valid event: a dead letter, and a refusal that names what could
// be read of it (e may be nil). Nothing that it holds was checked, so nothing but its texts is kept.
func undecodable(row *ledger.Refusal, p reckoner.Position, rec *Record, e *reckoner.Event, cause error) effect {
	*row = ledger.Refusal{
		Position: p, AccountID: clip(rec.Key), Outcome: reckoner.Undecodable, Reason: clip(cause.Error()),
		ReceivedAt: storable(rec.Time),
	}
	f := effect{refusal: row, dead: true}
	if e == nil {
		return f
	}
	if e.AccountID != "" {
		row.AccountID = clip(e.AccountID)
	}
	row.EventID, row.UsageID, row.Source = clip(e.ID), clip(e.Written.UsageID), clip(e.Written.Source)
	row.SubscriptionID, row.Meter, row.Type = clip(e.SubscriptionID), clip(e.Meter.Name), clip(e.Type)
	row.Rules = e.Rules
	row.OrganizationID, row.ProjectID = clip(e.OrganizationID), clip(e.ProjectID)
	if e.Kind == reckoner.Usage || e.Kind == reckoner.Revert {
		row.Kind = e.Kind
		if answerable(e) {
			d := refuse(reckoner.Undecodable, "")
			f.verdict = verdict(p, e, &d)
		}
	}
	return f
}

// answerable reports whether an invalid event may be answered: nobody waits for an address or an id that no event can
// have, and one that is too large would keep the answers beside it from being published.
func answerable(e *reckoner.Event) bool {
	return len(e.ReplyTo) <= reckoner.MaxTextBytes && len(e.ID) <= reckoner.MaxIDBytes && reckoner.IsUUID(e.AccountID)
}

func verdict(p reckoner.Position, e *reckoner.Event, d *decision) *reckoner.Verdict {
	if e.ReplyTo == "" {
		return nil
	}
	return &reckoner.Verdict{
		ReplyTo: e.ReplyTo, AccountID: e.AccountID, Kind: e.Kind, ID: e.ID,
		Outcome: d.outcome, First: d.first, Quantity: d.quantity, Position: p,
	}
}
