package wire_test

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"reckoner"
	"reckoner/internal/wire"
	pb "reckoner/internal/wire/usagev1"
)

// The golden records were put together by hand from the .proto file, apart from this code. Their like stands in logs
// that are kept for ever, so they must always decode to the samples. What is written may change in the order of the
// fields only: then pin the new bytes beside these, never in their place.
const (
	goldenEvent = "080110011a03752d31222439633165306235652d353761352d346334642d396433652d3166326133623463356436652a340a0766656174" +
		"757265120c6f626a6563742d73746f72651a057375625f31220911d430000000000000300139154d7eebe20695183204474554733a0475" +
		"7365724208637573746f6d65724a080a016e12013518014a0c0a06726567696f6e1202657552036f72675a0770726f6a65637462076665" +
		"61747572656a057375625f3172096170695f63616c6c737801810100008b864ff68f18890100002f6b8f8e98189201091140420f000000" +
		"00009901154d7eebe2069518a10115171927e3069518a90115adc5ba9c039518b20108696e676573742d31"
	goldenVerdict = "0a08696e676573742d31122439633165306235652d353761352d346334642d396433652d31663261336234633564366518022203722d31" +
		"280330063a1209ffffffffffffffff112ccfffffffffffff40024803508080808080205805"
)

func golden(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenEvent(t *testing.T) {
	b := golden(t, goldenEvent)
	if e, err := wire.DecodeEvent(b); err != nil || !reflect.DeepEqual(e, usage()) {
		t.Errorf("the golden record decodes to %+v, %v", e, err)
	}
	if got, err := wire.EncodeEvent(usage()); err != nil || hex.EncodeToString(got) != goldenEvent {
		t.Errorf("encoded %x, %v", got, err)
	}
}

func TestGoldenVerdict(t *testing.T) {
	b := golden(t, goldenVerdict)
	if v, err := wire.DecodeVerdict(b); err != nil || !reflect.DeepEqual(v, verdict()) {
		t.Errorf("the golden record decodes to %+v, %v", v, err)
	}
	if got, err := wire.EncodeVerdict(verdict()); err != nil || hex.EncodeToString(got) != goldenVerdict {
		t.Errorf("encoded %x, %v", got, err)
	}
}

// TestEnumsAreThoseOfTheNouns holds numbers and names of the schema against the root package, both ways.
func TestEnumsAreThoseOfTheNouns(t *testing.T) {
	want := map[int32]string{0: "UNSPECIFIED"}
	for _, o := range reckoner.Outcomes() {
		want[int32(o)] = strings.ToUpper(o.String())
	}
	sameEnum(t, pb.OutcomeKind(0).Descriptor(), "OUTCOME_", want)
	sameEnum(t, pb.Kind(0).Descriptor(), "KIND_", map[int32]string{0: "UNSPECIFIED", int32(reckoner.Usage): "USAGE", int32(reckoner.Revert): "REVERT"})
	want = map[int32]string{0: "UNSPECIFIED"}
	for n := range 256 {
		if m := reckoner.MeterType(n); m.Valid() {
			want[int32(n)] = strings.ToUpper(m.String())
		}
	}
	sameEnum(t, pb.MeterType(0).Descriptor(), "METER_TYPE_", want)
}

func sameEnum(t *testing.T, d protoreflect.EnumDescriptor, prefix string, want map[int32]string) {
	t.Helper()
	got := map[int32]string{}
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		got[int32(v.Number())] = strings.TrimPrefix(string(v.Name()), prefix)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %v, want %v", d.Name(), got, want)
	}
}

func TestEveryOutcomeTravelsUnderItsNumber(t *testing.T) {
	for _, o := range reckoner.Outcomes() {
		v := verdict()
		v.Outcome = o
		b, err := wire.EncodeVerdict(v)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := wire.DecodeVerdict(b); err != nil || back.Outcome != o {
			t.Errorf("%s came back as %+v, %v", o, back, err)
		}
	}
}
