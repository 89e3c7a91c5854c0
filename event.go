package reckoner

import (
	"errors"
	"fmt"
	"time"
)

// Rules is the newest version of the decision rules. Ingest stamps it into every event; the aggregator keeps every
// version it ever used, so that an old log always replays the same.
const Rules = 1

// Kind tells a usage from a revert. The scope of an ID is (account, kind).
type Kind uint8

// The kinds of event. Numbers are stored and never change.
const (
	Usage Kind = iota + 1
	Revert
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Usage:
		return "usage"
	case Revert:
		return "revert"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// ParseKind is the inverse of String.
func ParseKind(s string) (Kind, error) {
	switch s {
	case "usage":
		return Usage, nil
	case "revert":
		return Revert, nil
	default:
		return 0, fmt.Errorf("unknown kind %q: want usage or revert", clip(s))
	}
}

// Event is one usage or revert as it stands in the log: what the producer wrote, and what ingest resolved and
// stamped. A decision about an event uses nothing but the event and the state of its partition.
type Event struct {
	// Rules is the version of the decision rules to apply.
	Rules     uint32
	Kind      Kind
	ID        string
	AccountID string // a lower-case UUID; the record's key

	// Written is what the producer wrote, as written. The fingerprint covers it and nothing else.
	Written Written

	// Not decisive and not part of the fingerprint.
	Description string
	UserID      string
	CustomerID  string
	Metadata    []Label // sorted by key, keys unique

	// Stamped by ingest.
	OrganizationID string
	ProjectID      string
	Type           string // of a usage: what it resolved to, "credit" where none was written
	SubscriptionID string // empty: counts for the account alone
	Meter          Meter  // Unit is not carried
	Period         Period // the billing period of UsageTime
	Limit          *Quantity
	UsageTime      time.Time // of a usage: the time of use, as written or else the time of receipt
	ReceivedAt     time.Time
	UpdatedAt      time.Time // as the producer gave it; zero when absent
	ReplyTo        string    // the address of whoever waits for the outcome; empty when nobody does
}

// Written is what the producer wrote, as written: absent stays absent (the zero value).
type Written struct {
	Type          string
	Source        string
	Subscription  string
	Quantity      *Quantity // of a revert: nil reverts all of the usage
	UsageID       string    // of a revert: the usage it reverts
	AcceptPartial bool
	UsageTime     time.Time
}

// Label is one entry of an event's metadata. JSON marks a Value that is the JSON text of something other than a
// string, so that 5 and "5" stay apart.
type Label struct {
	Key, Value string
	JSON       bool
}

// Limits on what one event may carry, in bytes. They hold for every dialect and for the log.
const (
	MaxIDBytes   = 255
	MaxTextBytes = 16 << 10 // any other single text
)

// MinTime and MaxTime bound, half-open, every time that an event may carry: outside of them a row could not be stored.
var (
	MinTime = time.Unix(0, 0).UTC()
	MaxTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// StorableTime reports whether t can be stored: 1970 to 2199.
func StorableTime(t time.Time) bool { return !t.Before(MinTime) && t.Before(MaxTime) }

// Validate reports the first reason why e is not a valid event, or nil. An invalid event in the log is Undecodable;
// a dialect refuses it before it gets there. It holds under every version of the rules.
func (e *Event) Validate() error {
	if e.Rules == 0 {
		return errors.New("rules: missing")
	}
	if err := validID("id", e.ID); err != nil {
		return err
	}
	if !IsUUID(e.AccountID) {
		return fmt.Errorf("account_id: %q is not a lower-case UUID", clip(e.AccountID))
	}
	if e.ReceivedAt.IsZero() || e.ReceivedAt.Equal(MinTime) { // the log has no absent time: it reads as 0
		return errors.New("received_at: missing")
	}
	if !StorableTime(e.ReceivedAt) {
		return fmt.Errorf("received_at: %s is outside 1970 to 2199", e.ReceivedAt)
	}
	if !e.UpdatedAt.IsZero() && !StorableTime(e.UpdatedAt) {
		return fmt.Errorf("updated_at: %s is outside 1970 to 2199", e.UpdatedAt)
	}
	if t := e.Written.UsageTime; !t.IsZero() && !StorableTime(t) {
		return fmt.Errorf("usage_time: %s, as written, is outside 1970 to 2199", t)
	}
	if err := e.validTexts(); err != nil {
		return err
	}
	switch e.Kind {
	case Usage:
		return e.validUsage()
	case Revert:
		return e.validRevert()
	default:
		return fmt.Errorf("kind: unknown %d", e.Kind)
	}
}

func (e *Event) validUsage() error {
	q := e.Written.Quantity
	switch {
	case e.Meter.Name == "":
		return errors.New("meter: missing")
	case !e.Meter.Type.Valid():
		return fmt.Errorf("meter_type: unknown %d", e.Meter.Type)
	case q == nil:
		return errors.New("quantity: missing")
	case q.Sign() < 0, q.Sign() == 0 && e.Meter.Type == Interval:
		return fmt.Errorf("quantity: %s is not greater than 0", q)
	case q.Cmp(MaxEvent()) > 0:
		return fmt.Errorf("quantity: %s is more than %s", q, MaxEvent())
	case e.Limit != nil && e.Limit.Sign() < 0:
		return fmt.Errorf("limit: %s is negative", e.Limit)
	case e.Limit != nil && e.Meter.Type != Interval:
		return fmt.Errorf("limit: a meter of type %s has none", e.Meter.Type)
	case e.Limit != nil && e.SubscriptionID == "":
		return errors.New("limit: without a subscription")
	case e.Written.UsageID != "":
		return errors.New("usage_id: only a revert names one")
	case !StorableTime(e.UsageTime):
		return fmt.Errorf("usage_time: %s is outside 1970 to 2199", e.UsageTime)
	case !StorableTime(e.Period.Start) || !StorableTime(e.Period.End):
		return fmt.Errorf("period: %s to %s is outside 1970 to 2199", e.Period.Start, e.Period.End)
	case !e.Period.Contains(e.UsageTime):
		return fmt.Errorf("period: %s to %s does not hold the time of use %s", e.Period.Start, e.Period.End, e.UsageTime)
	}
	return nil
}

func (e *Event) validRevert() error {
	if err := validID("usage_id", e.Written.UsageID); err != nil {
		return err
	}
	if q := e.Written.Quantity; q != nil && (q.Sign() <= 0 || q.Cmp(MaxEvent()) > 0) {
		return fmt.Errorf("quantity: %s is not between 0.001 and %s", q, MaxEvent())
	}
	return nil
}

func (e *Event) validTexts() error {
	w := &e.Written
	for _, f := range [...]struct{ name, text string }{
		{"type", w.Type}, {"source", w.Source}, {"subscription", w.Subscription}, {"description", e.Description},
		{"user_id", e.UserID}, {"customer_id", e.CustomerID}, {"organization_id", e.OrganizationID},
		{"project_id", e.ProjectID}, {"type", e.Type}, {"subscription_id", e.SubscriptionID}, {"meter", e.Meter.Name},
		{"reply_to", e.ReplyTo},
	} {
		if len(f.text) > MaxTextBytes {
			return fmt.Errorf("%s: longer than %d bytes", f.name, MaxTextBytes)
		}
	}
	for i, l := range e.Metadata {
		if i > 0 && e.Metadata[i-1].Key >= l.Key {
			return fmt.Errorf("metadata: key %q is out of order or repeated", clip(l.Key))
		}
		if len(l.Key) > MaxTextBytes || len(l.Value) > MaxTextBytes {
			return fmt.Errorf("metadata: key %q or its value is longer than %d bytes", clip(l.Key), MaxTextBytes)
		}
	}
	return nil
}

func validID(field, id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%s: missing", field)
	case len(id) > MaxIDBytes:
		return fmt.Errorf("%s: longer than %d bytes", field, MaxIDBytes)
	case CanonicalID(id) != id:
		// Else one id in two cases would be two ids, and counted twice.
		return fmt.Errorf("%s: %q is a UUID, but not in lower case", field, id)
	}
	return nil
}
