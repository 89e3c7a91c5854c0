package wire_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/wire"
	pb "reckoner/internal/wire/usagev1"
)

func TestEventsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := events().Draw(t, "event")
		b, err := wire.EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := wire.DecodeEvent(b)
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Fatalf("decoded %+v, %v; want %+v", back, err, e)
		}
		if back.Fingerprint() != e.Fingerprint() {
			t.Fatal("the log changes the fingerprint")
		}
	})
}

// TestEventFieldsAllTravel sets every field of an event, so that one added later and not encoded is noticed.
func TestEventFieldsAllTravel(t *testing.T) {
	notCarried := map[string]bool{"Event.Written.UsageID": true, "Event.Meter.Unit": true} // of a revert only; of the catalog only
	walk(t, "Event", reflect.ValueOf(*usage()), func(path string, v reflect.Value) {
		if v.IsZero() && !notCarried[path] {
			t.Errorf("%s is zero in the sample: set it, so that the round trip covers it", path)
		}
	})
	for _, e := range []*reckoner.Event{usage(), revert()} {
		b, err := wire.EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := wire.DecodeEvent(b); err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("decoded %+v, %v; want %+v", back, err, e)
		}
	}
}

// walk visits the fields of v's structs of this module.
func walk(t *testing.T, path string, v reflect.Value, visit func(string, reflect.Value)) {
	t.Helper()
	for i := range v.NumField() {
		f, name := v.Field(i), path+"."+v.Type().Field(i).Name
		visit(name, f)
		if f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[time.Time]() {
			walk(t, name, f, visit)
		}
	}
}

func TestEncodeEventRefusesTextThatIsNotUTF8(t *testing.T) {
	const bad = "caf\xe9"
	for name, change := range map[string]func(*reckoner.Event){
		"id": func(e *reckoner.Event) { e.ID = bad }, "account": func(e *reckoner.Event) { e.AccountID = bad },
		"written type": func(e *reckoner.Event) { e.Written.Type = bad }, "source": func(e *reckoner.Event) { e.Written.Source = bad },
		"written subscription": func(e *reckoner.Event) { e.Written.Subscription = bad },
		"usage id":             func(e *reckoner.Event) { e.Written.UsageID = bad },
		"description":          func(e *reckoner.Event) { e.Description = bad }, "user": func(e *reckoner.Event) { e.UserID = bad },
		"customer": func(e *reckoner.Event) { e.CustomerID = bad }, "organization": func(e *reckoner.Event) { e.OrganizationID = bad },
		"project": func(e *reckoner.Event) { e.ProjectID = bad }, "type": func(e *reckoner.Event) { e.Type = bad },
		"subscription": func(e *reckoner.Event) { e.SubscriptionID = bad }, "meter": func(e *reckoner.Event) { e.Meter.Name = bad },
		"reply": func(e *reckoner.Event) { e.ReplyTo = bad }, "metadata key": func(e *reckoner.Event) { e.Metadata[0].Key = bad },
		"metadata value": func(e *reckoner.Event) { e.Metadata[0].Value = bad },
	} {
		e := usage()
		change(e)
		if b, err := wire.EncodeEvent(e); err == nil || b != nil {
			t.Errorf("%s: %d bytes, %v; want an error", name, len(b), err)
		}
	}
}

// message returns a valid usage as its message, to be spoilt.
func message(t testing.TB) *pb.Event {
	t.Helper()
	b, err := wire.EncodeEvent(usage())
	if err != nil {
		t.Fatal(err)
	}
	var m pb.Event
	if err := proto.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeEventRefuses(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		change       func(*pb.Event)
		kind         reckoner.Kind // what can be read of it
	}{
		{"nothing written", "written: ", func(m *pb.Event) { m.Written = nil }, reckoner.Usage},
		{"no quantity", "quantity: ", func(m *pb.Event) { m.Written.Quantity = nil }, reckoner.Usage},
		{"empty quantity", "quantity: ", func(m *pb.Event) { m.Written.Quantity = &pb.Quantity{} }, reckoner.Usage},
		{"quantity out of range", "quantity: ", func(m *pb.Event) { m.Written.Quantity.High = 1 << 62 }, reckoner.Usage},
		{"quantity of the least words", "quantity: ", func(m *pb.Event) { m.Written.Quantity = &pb.Quantity{High: -1 << 63} }, reckoner.Usage},
		{"limit out of range", "limit: ", func(m *pb.Event) { m.Limit.High = -1 << 63 }, reckoner.Usage},
		{"no kind", "kind: ", func(m *pb.Event) { m.Kind = 0 }, 0},
		{"kind that wraps to a usage", "kind: ", func(m *pb.Event) { m.Kind = 257 }, 0},
		{"kind below 0", "kind: ", func(m *pb.Event) { m.Kind = -255 }, 0},
		{"meter type that wraps to interval", "meter_type: ", func(m *pb.Event) { m.MeterType = 257 }, reckoner.Usage},
		{"meter type below 0", "meter_type: ", func(m *pb.Event) { m.MeterType = -1 }, reckoner.Usage},
		{"no rules", "rules: ", func(m *pb.Event) { m.Rules = 0 }, reckoner.Usage},
		{"no receipt", "received_at: ", func(m *pb.Event) { m.ReceivedAt = 0 }, reckoner.Usage},
		{"receipt before 1970", "received_at: ", func(m *pb.Event) { m.ReceivedAt = -1 }, reckoner.Usage},
		{"the last nanosecond there is", "usage_time: ", func(m *pb.Event) { m.UsageTime = 1<<63 - 1 }, reckoner.Usage},
		{"no time of use", "period: ", func(m *pb.Event) { m.UsageTime = 0 }, reckoner.Usage},
		{"no period", "period: ", func(m *pb.Event) { m.PeriodStart, m.PeriodEnd = 0, 0 }, reckoner.Usage},
		{"empty label twice", "metadata: ", func(m *pb.Event) { m.Metadata = []*pb.Label{{}, {}} }, reckoner.Usage},
	} {
		m := message(t)
		c.change(m)
		e, err := wire.DecodeEvent(marshal(t, m))
		if err == nil || !strings.HasPrefix(err.Error(), c.reason) {
			t.Errorf("%s: %v; want a reason that begins with %q", c.name, err, c.reason)
		}
		if e == nil || e.ID != "u-1" || e.AccountID != account || e.Kind != c.kind {
			t.Errorf("%s: what could be read is %+v", c.name, e)
		}
	}
}

func TestDecodeEventOfOtherBytes(t *testing.T) {
	whole := marshal(t, message(t))
	for name, b := range map[string][]byte{
		"cut short": whole[:len(whole)-1], "text": []byte("hello"), "JSON": []byte(`{"id":"u-1"}`), "text not UTF-8": {0x1a, 1, 0xff},
	} {
		if e, err := wire.DecodeEvent(b); err == nil || e != nil {
			t.Errorf("%s: %+v, %v; want nothing and an error", name, e, err)
		}
	}
	if e, err := wire.DecodeEvent(nil); err == nil || e == nil || e.Kind != 0 {
		t.Errorf("no bytes: %+v, %v; want an empty event and an error", e, err)
	}
	unknown := append(whole, 0xc2, 0x3e, 2, 'h', 'i') // field 1000
	if e, err := wire.DecodeEvent(unknown); err != nil || !reflect.DeepEqual(e, usage()) {
		t.Errorf("with a field of a later schema: %+v, %v", e, err)
	}
}

func TestDecodeEventTrustsOnlyTheRulesOfNewerOnes(t *testing.T) {
	for name, change := range map[string]func(*pb.Event){
		"valid as it stands":  func(*pb.Event) {},
		"another kind":        func(m *pb.Event) { m.Kind = 3 },
		"a kind beyond bytes": func(m *pb.Event) { m.Kind = 300 },
		"nothing written":     func(m *pb.Event) { m.Written = nil },
		"a quantity too wide": func(m *pb.Event) { m.Written.Quantity.High = 1 << 62 },
		"no id":               func(m *pb.Event) { m.Id = "" },
	} {
		for _, rules := range []uint32{reckoner.Rules + 1, 1<<32 - 1} {
			m := message(t)
			m.Rules = rules
			change(m)
			if e, err := wire.DecodeEvent(marshal(t, m)); err != nil || e == nil || e.Rules != rules {
				t.Errorf("%s, rules %d: %+v, %v; want it without judgement", name, rules, e, err)
			}
		}
	}
}

// TestRevertsCarryNoUseOfTheirOwn holds that times a revert does not have are not made up.
func TestRevertsCarryNoUseOfTheirOwn(t *testing.T) {
	e := revert()
	b, err := wire.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	back, err := wire.DecodeEvent(b)
	if err != nil || !back.UsageTime.IsZero() || !back.Period.Start.IsZero() || !back.Period.End.IsZero() || !back.UpdatedAt.IsZero() {
		t.Errorf("decoded %+v, %v", back, err)
	}
}
