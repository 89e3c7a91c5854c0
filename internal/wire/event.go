// Package wire encodes the records of the topics: events and verdicts as protobuf (deploy/schema).
package wire

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"reckoner"
	pb "reckoner/internal/wire/usagev1"
)

// errNotEvent never carries protobuf's own message: that text differs between builds on purpose, and a refusal's reason
// must be the same whoever decides it.
var errNotEvent = errors.New("not a protobuf reckoner.usage.v1.Event")

// DecodeEvent reads a record value and validates it. An error means that the record is not a valid event; what could
// be read of it is returned beside the error, so that a refusal can name it, and is nil when nothing could.
//
// Of an event with newer rules than this build knows only Rules can be trusted, so it is returned without validation:
// the caller must stop before using it.
func DecodeEvent(b []byte) (*reckoner.Event, error) { return DecodeEventKnowing(b, reckoner.Rules) }

// DecodeEventKnowing is DecodeEvent for one who knows the rules up to another number than this build.
func DecodeEventKnowing(b []byte, newest uint32) (*reckoner.Event, error) {
	if e, ok := decodeCanonical(b, newest); ok {
		return e, e.Validate()
	}
	return decodeMessage(b, newest)
}

// decodeMessage reads a record value through protobuf's runtime. It is what a record means, whoever wrote it.
func decodeMessage(b []byte, newest uint32) (*reckoner.Event, error) {
	var m pb.Event
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, errNotEvent
	}
	e := &reckoner.Event{
		Rules: m.Rules, ID: m.Id, AccountID: m.AccountId,
		Description: m.Description, UserID: m.UserId, CustomerID: m.CustomerId,
		OrganizationID: m.OrganizationId, ProjectID: m.ProjectId, Type: m.Type, SubscriptionID: m.SubscriptionId,
		Meter:      reckoner.Meter{Name: m.Meter},
		ReceivedAt: fromNanos(m.ReceivedAt), UpdatedAt: fromOptionalNanos(m.UpdatedAt), ReplyTo: m.ReplyTo,
	}
	if e.Rules > newest {
		return e, nil
	}
	// Neither number may wrap around into one that is known.
	if m.Kind < 0 || m.Kind > 255 {
		return e, fmt.Errorf("kind: unknown %d", m.Kind)
	}
	e.Kind = reckoner.Kind(m.Kind)
	if m.MeterType < 0 || m.MeterType > 255 {
		return e, fmt.Errorf("meter_type: unknown %d", m.MeterType)
	}
	e.Meter.Type = reckoner.MeterType(m.MeterType)
	if e.Kind == reckoner.Usage {
		e.UsageTime = fromNanos(m.UsageTime)
		e.Period = reckoner.Period{Start: fromNanos(m.PeriodStart), End: fromNanos(m.PeriodEnd)}
	}
	for _, l := range m.Metadata {
		e.Metadata = append(e.Metadata, reckoner.Label{Key: l.GetKey(), Value: l.GetValue(), JSON: l.GetJson()})
	}
	var err error
	if e.Written, err = decodeWritten(m.Written); err != nil {
		return e, err
	}
	if e.Limit, err = decodeQuantity(m.Limit); err != nil {
		return e, fmt.Errorf("limit: %w", err)
	}
	return e, e.Validate()
}

func decodeWritten(m *pb.Written) (reckoner.Written, error) {
	if m == nil {
		return reckoner.Written{}, errors.New("written: missing")
	}
	q, err := decodeQuantity(m.Quantity)
	if err != nil {
		return reckoner.Written{}, fmt.Errorf("quantity: %w", err)
	}
	return reckoner.Written{
		Type: m.Type, Source: m.Source, Subscription: m.Subscription, Quantity: q, UsageID: m.UsageId,
		AcceptPartial: m.AcceptPartial, UsageTime: fromOptionalNanos(m.UsageTime),
	}, nil
}

func decodeQuantity(m *pb.Quantity) (*reckoner.Quantity, error) {
	if m == nil {
		return nil, nil
	}
	q, err := reckoner.QuantityFromWords(m.High, m.Low)
	if err != nil {
		return nil, err
	}
	return &q, nil
}

func fromNanos(n int64) time.Time { return time.Unix(0, n).UTC() }

func fromOptionalNanos(n *int64) time.Time {
	if n == nil {
		return time.Time{}
	}
	return fromNanos(*n)
}
