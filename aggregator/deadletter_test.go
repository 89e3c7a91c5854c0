package aggregator

import (
	"errors"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// What is read of a dead letter is what was written, whatever headers the record had.
func TestDeadLettersAreReadAsTheyAreWritten(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 7, 0, int(5*time.Millisecond), time.UTC)
	p := reckoner.Position{Log: 2, Partition: 3, Offset: 1 << 40}
	header := func(names ...string) (all []bus.Header) {
		for _, name := range names {
			all = append(all, bus.Header{Key: name, Value: []byte("7")})
		}
		return all
	}
	for name, headers := range map[string][]bus.Header{
		"none": nil, "one": header("trace"), "one of the same name": header(headerOmitted),
		"all of the same names": header(headerReason, headerPosition, headerTime, headerOmitted),
	} {
		t.Run(name, func(t *testing.T) {
			rec := Record{Key: []byte("key"), Value: []byte{0, 0xff}, Headers: headers, Time: at}
			dead := deadLetter(&rec, &ledger.Refusal{Position: p, Reason: "not an event"})
			want := DeadLetter{Position: p, Reason: "not an event", Time: at, Key: rec.Key, Value: rec.Value, Headers: headers}
			if headers == nil {
				want.Headers = []bus.Header{}
			}
			got, err := ParseDeadLetter(&dead)
			must(t, err)
			same(t, "dead letter", want, got)

			dead = emptied(dead)
			got, err = ParseDeadLetter(&dead)
			must(t, err)
			same(t, "emptied", DeadLetter{Position: p, Reason: "not an event", Time: at, Headers: []bus.Header{}, Omitted: true, OmittedBytes: 2}, got)
		})
	}
}

func TestWhatIsNoDeadLetter(t *testing.T) {
	good := deadLetter(&Record{Time: day()}, &ledger.Refusal{Position: reckoner.Position{Log: 1}})
	with := func(i int, value string) bus.Record {
		rec := good
		rec.Headers = append([]bus.Header(nil), good.Headers...)
		rec.Headers[i].Value = []byte(value)
		return rec
	}
	swapped := bus.Record{Headers: []bus.Header{good.Headers[1], good.Headers[0], good.Headers[2]}}
	omitted := emptied(good)
	omitted.Headers[ownHeaders].Value = []byte("many")
	for name, rec := range map[string]bus.Record{
		"no headers": {Value: []byte("x")}, "too few": {Headers: good.Headers[:2]}, "another order": swapped,
		"no position": with(1, "here"), "no time": with(2, "now"), "no size": omitted,
	} {
		if d, err := ParseDeadLetter(&rec); !errors.Is(err, ErrNotDeadLetter) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}
