package wire_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/wire"
	pb "reckoner/internal/wire/usagev1"
)

// The codec of events is held against protobuf's runtime: what is written, byte by byte, and what is read of any bytes.

// sameAsRuntime fails unless b means what it means to the runtime: the same event, the same error in the same words.
func sameAsRuntime(t interface {
	Helper()
	Fatalf(string, ...any)
}, b []byte, newest uint32) {
	t.Helper()
	e, err := wire.DecodeEventKnowing(b, newest)
	want, wantErr := wire.DecodeMessage(b, newest)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(e, want) {
		t.Fatalf("%x\ndecodes to %+v, %v\nthe runtime says %+v, %v", b, e, err, want, wantErr)
	}
}

// asMessage is the event as the runtime's message.
func asMessage(e *reckoner.Event) *pb.Event {
	w := &e.Written
	m := &pb.Event{
		Rules: e.Rules, Kind: pb.Kind(e.Kind), Id: e.ID, AccountId: e.AccountID,
		Written: &pb.Written{
			Type: w.Type, Source: w.Source, Subscription: w.Subscription, Quantity: asQuantity(w.Quantity),
			UsageId: w.UsageID, AcceptPartial: w.AcceptPartial, UsageTime: asOptional(w.UsageTime),
		},
		Description: e.Description, UserId: e.UserID, CustomerId: e.CustomerID,
		OrganizationId: e.OrganizationID, ProjectId: e.ProjectID, Type: e.Type, SubscriptionId: e.SubscriptionID,
		Meter: e.Meter.Name, MeterType: pb.MeterType(e.Meter.Type), Limit: asQuantity(e.Limit),
		UpdatedAt: asOptional(e.UpdatedAt), ReplyTo: e.ReplyTo,
	}
	for _, t := range []struct {
		field *int64
		at    time.Time
	}{{&m.PeriodStart, e.Period.Start}, {&m.PeriodEnd, e.Period.End}, {&m.UsageTime, e.UsageTime}, {&m.ReceivedAt, e.ReceivedAt}} {
		if !t.at.IsZero() {
			*t.field = t.at.UnixNano()
		}
	}
	for _, l := range e.Metadata {
		m.Metadata = append(m.Metadata, &pb.Label{Key: l.Key, Value: l.Value, Json: l.JSON})
	}
	return m
}

func asQuantity(q *reckoner.Quantity) *pb.Quantity {
	if q == nil {
		return nil
	}
	hi, lo := q.Words()
	return &pb.Quantity{High: hi, Low: lo}
}

func asOptional(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixNano())
}

// TestEncodingIsTheRuntimes holds, too, that every valid event is read the short way, whatever its texts are.
func TestEncodingIsTheRuntimes(t *testing.T) {
	check := func(t interface {
		Helper()
		Fatalf(string, ...any)
	}, e *reckoner.Event) {
		t.Helper()
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(asMessage(e))
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		got, err := wire.EncodeEvent(e)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("encoded %x, %v; the runtime says %x", got, err, want)
		}
		before := []byte("before")
		if got, err := wire.AppendEvent(before, e); err != nil || !bytes.Equal(got, append(before, want...)) {
			t.Fatalf("appended %x, %v", got, err)
		}
		if short, ok := wire.DecodeCanonical(got, reckoner.Rules); !ok || !reflect.DeepEqual(short, e) {
			t.Fatalf("%x is not read the short way: %+v", got, short)
		}
		sameAsRuntime(t, got, reckoner.Rules)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, events().Draw(t, "event")) })
	// Lengths of one, two and three bytes, of texts and of the messages that hold them.
	for _, n := range []int{0, 1, 126, 127, 128, 129, 255, 16<<10 - 1, 16 << 10} {
		for _, e := range []*reckoner.Event{usage(), revert()} {
			long := strings.Repeat("x", n)
			e.Written.Source, e.Written.Subscription, e.Description, e.ReplyTo = long, long, long, long
			e.Metadata = []reckoner.Label{{Key: "", Value: long}, {Key: "k" + long[:max(n-1, 0)], Value: long, JSON: true}}
			check(t, e)
		}
	}
	for n := range 20 {
		e := usage()
		e.Metadata = nil
		for i := range n {
			e.Metadata = append(e.Metadata, reckoner.Label{Key: fmt.Sprintf("%02d", i)})
		}
		check(t, e)
	}
}

func TestAppendEventLeavesTheBufferAfterAnError(t *testing.T) {
	bad := usage()
	bad.ReplyTo = "\xff"
	before := append(make([]byte, 0, 1024), "before"...)
	if b, err := wire.AppendEvent(before, bad); err == nil || string(b) != "before" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestDecodingIsTheRuntimes takes records apart into their fields and puts them together wrongly, in the messages
// within the message too: fields left out, twice, out of order, of another wire type, unknown, longer than need be, cut.
func TestDecodingIsTheRuntimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, err := wire.EncodeEvent(events().Draw(t, "event"))
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			b = disturb(t, b, 0)
		}
		sameAsRuntime(t, b, uint32(rapid.IntRange(0, 2).Draw(t, "newest")))
	})
}

// disturb changes one field of a message, or of a message within it.
func disturb(t *rapid.T, b []byte, depth int) []byte {
	fields := split(b)
	if len(fields) == 0 {
		return append(b, rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "bytes")...)
	}
	i := rapid.IntRange(0, len(fields)-1).Draw(t, "field")
	f := fields[i]
	num, typ, n := protowire.ConsumeTag(f)
	if n < 0 {
		return slices.Concat(slices.Delete(fields, i, i+1)...)
	}
	switch rapid.IntRange(0, 10).Draw(t, "change") {
	case 0:
		fields = slices.Delete(fields, i, i+1)
	case 1:
		fields = slices.Insert(fields, i, f)
	case 2:
		j := rapid.IntRange(0, len(fields)-1).Draw(t, "other field")
		fields[i], fields[j] = fields[j], fields[i]
	case 3:
		other := protowire.Type(rapid.IntRange(0, 7).Draw(t, "wire type"))
		fields[i] = append(protowire.AppendTag(nil, num, other), f[n:]...)
	case 4:
		other := protowire.Number(rapid.IntRange(0, 24).Draw(t, "number"))
		fields[i] = append(protowire.AppendVarint(nil, uint64(other)<<3|uint64(typ)), f[n:]...)
	case 5: // the tag in more bytes than it needs
		fields[i] = slices.Concat(f[:n-1], []byte{f[n-1] | 1<<7, 0}, f[n:])
	case 6:
		fields[i] = protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), rapid.Uint64().Draw(t, "varint"))
	case 7:
		fields[i] = protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), rapid.Uint64().Draw(t, "word"))
	case 8:
		fields[i] = protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "bytes"))
	case 9:
		fields[i] = f[:rapid.IntRange(0, len(f)).Draw(t, "cut")]
	default:
		if inner, n := protowire.ConsumeBytes(f[n:]); typ == protowire.BytesType && n >= 0 && depth < 2 {
			fields[i] = protowire.AppendBytes(protowire.AppendTag(nil, num, typ), disturb(t, slices.Clone(inner), depth+1))
		}
	}
	return slices.Concat(fields...)
}

// split returns the fields of a message, with whatever follows the last well-formed one.
func split(b []byte) [][]byte {
	var fields [][]byte
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return append(fields, b)
		}
		fields, b = append(fields, b[:n:n]), b[n:]
	}
	return fields
}

// FuzzDecodingIsTheRuntimes: an event decides the same in every build, whatever bytes it came from.
func FuzzDecodingIsTheRuntimes(f *testing.F) {
	for _, e := range []*reckoner.Event{usage(), revert()} {
		b, err := wire.EncodeEvent(e)
		if err != nil {
			f.Fatal(err)
		}
		for _, newest := range []uint8{0, 1, 2} {
			f.Add(b, newest)
		}
		f.Add(b[:len(b)-3], uint8(1))
		f.Add(append(slices.Clone(b), b...), uint8(1))
		fields := split(b)
		slices.Reverse(fields)
		f.Add(slices.Concat(fields...), uint8(1))
	}
	f.Add([]byte{8, 1, 42, 0}, uint8(1))
	f.Add([]byte{8, 0x81, 0, 0x2a, 0x80, 0, 0x13, 0x14}, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, newest uint8) { sameAsRuntime(t, b, uint32(newest)) })
}

// TestCodecAllocates holds what an event costs the collector: itself, its texts and its labels; and nothing when it is
// written into a buffer that has room.
func TestCodecAllocates(t *testing.T) {
	e := usage()
	b, err := wire.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = wire.DecodeEvent(b) }); n > 3 {
		t.Errorf("decode: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { b, _ = wire.AppendEvent(b[:0], e) }); n > 0 {
		t.Errorf("append: %v allocations", n)
	}
}
