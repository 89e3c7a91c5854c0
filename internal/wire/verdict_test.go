package wire_test

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/wire"
	pb "reckoner/internal/wire/usagev1"
)

func TestVerdictsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outcomes := rapid.SampledFrom(reckoner.Outcomes())
		v := &reckoner.Verdict{
			ReplyTo: text().Draw(t, "reply"), AccountID: account,
			Kind: rapid.SampledFrom([]reckoner.Kind{reckoner.Usage, reckoner.Revert}).Draw(t, "kind"), ID: text().Draw(t, "id"),
			Outcome: outcomes.Draw(t, "outcome"), First: outcomes.Draw(t, "first"), Quantity: amounts(0).Draw(t, "quantity"),
			Position: reckoner.Position{
				Log: rapid.Uint32().Draw(t, "log"), Partition: rapid.Int32().Draw(t, "partition"),
				Offset: rapid.Int64().Draw(t, "offset"), Index: rapid.Int32().Draw(t, "index"),
			},
		}
		if rapid.Bool().Draw(t, "negative") {
			v.Quantity = v.Quantity.Neg()
		}
		b, err := wire.EncodeVerdict(v)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := wire.DecodeVerdict(b); err != nil || !reflect.DeepEqual(back, v) {
			t.Fatalf("decoded %+v, %v; want %+v", back, err, v)
		}
	})
}

func TestDecodeVerdictRefuses(t *testing.T) {
	for name, change := range map[string]func(*pb.Outcome){
		"no kind":               func(m *pb.Outcome) { m.Kind = 0 },
		"unknown kind":          func(m *pb.Outcome) { m.Kind = 3 },
		"kind that wraps":       func(m *pb.Outcome) { m.Kind = 257 },
		"no outcome":            func(m *pb.Outcome) { m.Outcome = 0 },
		"unknown outcome":       func(m *pb.Outcome) { m.Outcome = 13 },
		"outcome that wraps":    func(m *pb.Outcome) { m.Outcome = 257 },
		"outcome below 0":       func(m *pb.Outcome) { m.Outcome = -255 },
		"no first":              func(m *pb.Outcome) { m.First = 0 },
		"unknown first":         func(m *pb.Outcome) { m.First = 1 << 30 },
		"quantity out of range": func(m *pb.Outcome) { m.Quantity.High = -1 << 63 },
	} {
		b, err := wire.EncodeVerdict(verdict())
		if err != nil {
			t.Fatal(err)
		}
		var m pb.Outcome
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		if v, err := wire.DecodeVerdict(marshal(t, &m)); err == nil || v != nil {
			t.Errorf("%s: %+v, %v; want an error", name, v, err)
		}
	}
	for name, b := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "not UTF-8": {0x0a, 1, 0xff}} {
		if v, err := wire.DecodeVerdict(b); err == nil || v != nil {
			t.Errorf("%s: %+v, %v; want an error", name, v, err)
		}
	}
}

func TestDecodeVerdictWithoutAQuantityIsZero(t *testing.T) {
	m := &pb.Outcome{Kind: pb.Kind_KIND_USAGE, Outcome: pb.OutcomeKind_OUTCOME_CONFLICT, First: pb.OutcomeKind_OUTCOME_CONFLICT}
	if v, err := wire.DecodeVerdict(marshal(t, m)); err != nil || !v.Quantity.IsZero() || v.Outcome != reckoner.Conflict {
		t.Errorf("decoded %+v, %v", v, err)
	}
}

func TestEncodeVerdictRefusesTextThatIsNotUTF8(t *testing.T) {
	for name, change := range map[string]func(*reckoner.Verdict){
		"reply": func(v *reckoner.Verdict) { v.ReplyTo = "\xff" }, "id": func(v *reckoner.Verdict) { v.ID = "\xff" },
		"account": func(v *reckoner.Verdict) { v.AccountID = "\xff" },
	} {
		v := verdict()
		change(v)
		if b, err := wire.EncodeVerdict(v); err == nil {
			t.Errorf("%s: %d bytes; want an error", name, len(b))
		}
	}
}
