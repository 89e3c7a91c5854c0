package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"reckoner"
	pb "reckoner/internal/wire/usagev1"
)

// marshal is deterministic within a build; nothing relies on it across builds, because identity is the id and the
// fingerprint, never the bytes.
var marshal = proto.MarshalOptions{Deterministic: true}

// EncodeVerdict returns the record value of a verdict.
func EncodeVerdict(v *reckoner.Verdict) ([]byte, error) {
	hi, lo := v.Quantity.Words()
	b, err := marshal.Marshal(&pb.Outcome{
		ReplyTo: v.ReplyTo, AccountId: v.AccountID, Kind: pb.Kind(v.Kind), Id: v.ID,
		Outcome: pb.OutcomeKind(v.Outcome), First: pb.OutcomeKind(v.First), Quantity: &pb.Quantity{High: hi, Low: lo},
		Log: v.Position.Log, Partition: v.Position.Partition, Offset: v.Position.Offset, Index: v.Position.Index,
	})
	if err != nil {
		return nil, fmt.Errorf("encode outcome of %q: %w", v.ID, err)
	}
	return b, nil
}

// DecodeVerdict reads a record value. An error means that it is not a verdict.
func DecodeVerdict(b []byte) (*reckoner.Verdict, error) {
	var m pb.Outcome
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("not a reckoner.usage.v1.Outcome: %w", err)
	}
	v := &reckoner.Verdict{
		ReplyTo: m.ReplyTo, AccountID: m.AccountId, ID: m.Id,
		Position: reckoner.Position{Log: m.Log, Partition: m.Partition, Offset: m.Offset, Index: m.Index},
	}
	q, err := decodeQuantity(m.Quantity)
	if err != nil {
		return nil, fmt.Errorf("quantity: %w", err)
	}
	if q != nil {
		v.Quantity = *q
	}
	if m.Kind < 1 || m.Kind > 2 || !outcome(m.Outcome) || !outcome(m.First) {
		return nil, fmt.Errorf("kind %d, outcome %d or first %d is unknown", m.Kind, m.Outcome, m.First)
	}
	v.Kind, v.Outcome, v.First = reckoner.Kind(m.Kind), reckoner.Outcome(m.Outcome), reckoner.Outcome(m.First)
	return v, nil
}

func outcome(k pb.OutcomeKind) bool {
	return k >= 0 && k <= 255 && reckoner.Outcome(k).Valid()
}
