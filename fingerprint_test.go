package reckoner_test

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reckoner"
)

// TestFingerprintIsPinned holds golden values: fingerprints are stored for ever, and a value that changes turns every
// honest retry into a conflict. Never change a line here.
func TestFingerprintIsPinned(t *testing.T) {
	for name, c := range map[string]struct {
		event *reckoner.Event
		want  string
	}{
		"usage, every field":   {usage(), "394211b7c12d85d7df0ef50450749790"},
		"usage, quantity only": {&reckoner.Event{Kind: reckoner.Usage, Written: reckoner.Written{Quantity: quantity(reckoner.Units(1))}}, "adcc38d879cdbb18bcee23228a38a5c5"},
		"revert":               {revert(), "4c1bcea3ad58ddaaec9268fdabf7cc9f"},
		"revert of all":        {&reckoner.Event{Kind: reckoner.Revert, Written: reckoner.Written{UsageID: "u-1"}}, "5ee70244f53ee522022d79526bda62ee"},
	} {
		if got := c.event.Fingerprint(); hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: %x, want %s", name, got, c.want)
		}
	}
}

func TestFingerprintCoversWhatWasWritten(t *testing.T) {
	for name, change := range map[string]func(*reckoner.Event){
		"kind":            func(e *reckoner.Event) { e.Kind = reckoner.Revert },
		"type":            func(e *reckoner.Event) { e.Written.Type = "credit" },
		"no type":         func(e *reckoner.Event) { e.Written.Type = "" },
		"source":          func(e *reckoner.Event) { e.Written.Source += " " },
		"subscription":    func(e *reckoner.Event) { e.Written.Subscription = "sub_2" },
		"quantity":        func(e *reckoner.Event) { e.Written.Quantity = over(*e.Written.Quantity) },
		"sign":            func(e *reckoner.Event) { e.Written.Quantity = quantity(e.Written.Quantity.Neg()) },
		"quantity 0":      func(e *reckoner.Event) { e.Written.Quantity = &reckoner.Quantity{} },
		"no quantity":     func(e *reckoner.Event) { e.Written.Quantity = nil },
		"usage id":        func(e *reckoner.Event) { e.Written.UsageID = "u-0" },
		"accept partial":  func(e *reckoner.Event) { e.Written.AcceptPartial = false },
		"time of use":     func(e *reckoner.Event) { e.Written.UsageTime = e.Written.UsageTime.Add(1) },
		"time of use 0":   func(e *reckoner.Event) { e.Written.UsageTime = time.Unix(0, 0) },
		"no time of use":  func(e *reckoner.Event) { e.Written.UsageTime = time.Time{} },
		"high word":       func(e *reckoner.Event) { e.Written.Quantity = quantity(reckoner.MaxEvent()) },
		"text moved over": func(e *reckoner.Event) { e.Written.Type, e.Written.Source = "featureobject-store", "" },
	} {
		e := usage()
		change(e)
		if e.Fingerprint() == usage().Fingerprint() {
			t.Errorf("%s: the fingerprint does not cover it", name)
		}
	}
}

// TestFingerprintIgnoresTheRest changes every field but Kind and Written by reflection, so that a field added later
// is held to the rule as well.
func TestFingerprintIgnoresTheRest(t *testing.T) {
	covered := map[string]bool{"Kind": true, "Written": true}
	want := usage().Fingerprint()
	fields := reflect.TypeFor[reckoner.Event]()
	for i := range fields.NumField() {
		if covered[fields.Field(i).Name] {
			continue
		}
		e := usage()
		reflect.ValueOf(e).Elem().Field(i).SetZero()
		if e.Fingerprint() != want {
			t.Errorf("the fingerprint covers %s, which the producer did not write", fields.Field(i).Name)
		}
	}
	// The list of what is covered, in full: a field added to Written must be thought about, not forgotten.
	if got := reflect.TypeFor[reckoner.Written]().NumField(); got != 7 {
		t.Errorf("Written has %d fields; the tests of the fingerprint know 7", got)
	}
}

func TestFingerprintNormalises(t *testing.T) {
	of := func(amount string, at time.Time) reckoner.Fingerprint {
		q, err := reckoner.ParseQuantity(amount)
		if err != nil {
			t.Fatal(err)
		}
		e := usage()
		e.Written.Quantity, e.Written.UsageTime = &q, at
		return e.Fingerprint()
	}
	at := usage().Written.UsageTime
	want := of("12.5", at)
	for _, amount := range []string{"12.500", "125e-1", "0.125e2"} {
		if of(amount, at) != want {
			t.Errorf("%s is another event than 12.5", amount)
		}
	}
	if of("12.5", at.In(time.FixedZone("CET", 3600))) != want {
		t.Error("the same instant in another zone is another event")
	}
}

// TestFingerprintHasNoAmbiguity joins the same letters in other ways.
func TestFingerprintHasNoAmbiguity(t *testing.T) {
	seen := map[reckoner.Fingerprint]reckoner.Written{}
	parts := []string{"", "a", "-", "b", "c", "a-b", "b-c", "a-b-c", "-c", "a-", "\x01a", "\x00", "\x01"}
	for _, typ := range parts {
		for _, source := range parts {
			for _, subscription := range parts {
				for _, usageID := range parts {
					w := reckoner.Written{Type: typ, Source: source, Subscription: subscription, UsageID: usageID}
					f := (&reckoner.Event{Kind: reckoner.Usage, Written: w}).Fingerprint()
					if other, ok := seen[f]; ok {
						t.Fatalf("%+v and %+v share a fingerprint", w, other)
					}
					seen[f] = w
				}
			}
		}
	}
}

// TestFingerprintTellsAbsentFromZero takes every pair of the smallest amounts and times, and their absence.
func TestFingerprintTellsAbsentFromZero(t *testing.T) {
	seen := map[reckoner.Fingerprint]string{}
	amounts := []*reckoner.Quantity{nil, quantity(reckoner.Thousandths(-1)), {}, quantity(reckoner.Thousandths(1))}
	for _, amount := range amounts {
		for _, at := range []time.Time{{}, time.Unix(0, -1), time.Unix(0, 0), time.Unix(0, 1)} {
			name := fmt.Sprint(amount, at)
			f := (&reckoner.Event{Kind: reckoner.Usage, Written: reckoner.Written{Quantity: amount, UsageTime: at}}).Fingerprint()
			if other, ok := seen[f]; ok {
				t.Errorf("%s and %s share a fingerprint", name, other)
			}
			seen[f] = name
		}
	}
}

// writtens draws from few values, so that equal pairs are common.
func writtens() *rapid.Generator[reckoner.Written] {
	return rapid.Custom(func(t *rapid.T) reckoner.Written {
		text := rapid.SampledFrom([]string{"", "a", "aa"})
		w := reckoner.Written{
			Type: text.Draw(t, "type"), Source: text.Draw(t, "source"), Subscription: text.Draw(t, "subscription"),
			UsageID: text.Draw(t, "usage id"), AcceptPartial: rapid.Bool().Draw(t, "partial"),
		}
		if rapid.Bool().Draw(t, "with quantity") {
			w.Quantity = quantity(reckoner.Thousandths(rapid.Int64Range(-1, 1).Draw(t, "quantity")))
		}
		if rapid.Bool().Draw(t, "with time") {
			w.UsageTime = time.Unix(0, rapid.Int64Range(-1, 1).Draw(t, "time")).UTC()
		}
		return w
	})
}

func TestFingerprintsAreEqualExactlyForEqualContent(t *testing.T) {
	kinds := rapid.SampledFrom([]reckoner.Kind{reckoner.Usage, reckoner.Revert})
	rapid.Check(t, func(t *rapid.T) {
		a := reckoner.Event{Kind: kinds.Draw(t, "kind"), Written: writtens().Draw(t, "written")}
		b := reckoner.Event{Kind: a.Kind, Written: a.Written}
		if rapid.Bool().Draw(t, "another") {
			b = reckoner.Event{Kind: kinds.Draw(t, "other kind"), Written: writtens().Draw(t, "other written")}
		}
		if equal := reflect.DeepEqual(a, b); equal != (a.Fingerprint() == b.Fingerprint()) {
			t.Fatalf("equal: %t, yet the fingerprints say otherwise:\n%+v\n%+v", equal, a, b)
		}
	})
}

func BenchmarkFingerprint(b *testing.B) {
	b.ReportAllocs()
	e := usage()
	for b.Loop() {
		e.Fingerprint()
	}
}

func BenchmarkValidate(b *testing.B) {
	b.ReportAllocs()
	e := usage()
	for b.Loop() {
		if err := e.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}
