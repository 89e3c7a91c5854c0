package wire_test

import (
	"reflect"
	"testing"
	"unicode/utf8"

	"reckoner"
	"reckoner/internal/wire"
	pb "reckoner/internal/wire/usagev1"
)

// FuzzDecodeEvent: whatever stands in the log, it is decided by value, in bounded words, and never by a panic.
func FuzzDecodeEvent(f *testing.F) {
	for _, e := range []*reckoner.Event{usage(), revert()} {
		b, err := wire.EncodeEvent(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(append(b, b...)) // protobuf merges the two
	}
	newer := message(f)
	newer.Rules = reckoner.Rules + 1
	f.Add(marshal(f, newer))
	f.Add(marshal(f, &pb.Event{Kind: 300, Metadata: []*pb.Label{{}, {}}, Written: &pb.Written{Quantity: &pb.Quantity{High: -1 << 63}}}))
	f.Add([]byte(nil))
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := wire.DecodeEvent(b)
		if err != nil {
			if len(err.Error()) > 500 || !utf8.ValidString(err.Error()) {
				t.Fatalf("a reason of %d bytes: %.100q", len(err.Error()), err)
			}
			if e != nil {
				_ = e.Fingerprint() // whoever names a refusal may ask for it
			}
			return
		}
		if e == nil {
			t.Fatal("neither an event nor an error")
		}
		if e.Rules > reckoner.Rules {
			return
		}
		if err := e.Validate(); err != nil {
			t.Fatalf("decoded an invalid event: %v", err)
		}
		again, err := wire.EncodeEvent(e)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		back, err := wire.DecodeEvent(again)
		if err != nil || !reflect.DeepEqual(back, e) || back.Fingerprint() != e.Fingerprint() {
			t.Fatalf("decoded again: %+v, %v; want %+v", back, err, e)
		}
	})
}

func FuzzDecodeVerdict(f *testing.F) {
	b, err := wire.EncodeVerdict(verdict())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := wire.DecodeVerdict(b)
		if (v == nil) == (err == nil) {
			t.Fatalf("%+v, %v: want one of them", v, err)
		}
		if err != nil {
			return
		}
		again, err := wire.EncodeVerdict(v)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		if back, err := wire.DecodeVerdict(again); err != nil || !reflect.DeepEqual(back, v) {
			t.Fatalf("decoded again: %+v, %v; want %+v", back, err, v)
		}
	})
}
