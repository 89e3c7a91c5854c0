package reckoner_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"reckoner"
)

// outcomes pins every outcome's number, name and effect: they stand in states, in rows and on the wire.
var outcomes = []struct {
	outcome reckoner.Outcome
	number  uint8
	name    string
	counts  bool
}{
	{reckoner.Applied, 1, "applied", true},
	{reckoner.Clipped, 2, "clipped", true},
	{reckoner.Duplicate, 3, "duplicate", false},
	{reckoner.Conflict, 4, "conflict", false},
	{reckoner.LimitExceeded, 5, "limit_exceeded", false},
	{reckoner.Reverted, 6, "reverted", true},
	{reckoner.AlreadyReverted, 7, "already_reverted", false},
	{reckoner.UnknownUsage, 8, "unknown_usage", false},
	{reckoner.ExceedsUsage, 9, "exceeds_usage", false},
	{reckoner.NotRevertable, 10, "not_revertable", false},
	{reckoner.Misrouted, 11, "misrouted", false},
	{reckoner.Undecodable, 12, "undecodable", false},
}

func TestOutcomesArePinned(t *testing.T) {
	all := reckoner.Outcomes()
	if len(all) != len(outcomes) {
		t.Fatalf("%d outcomes, %d pinned", len(all), len(outcomes))
	}
	for i, o := range outcomes {
		if all[i] != o.outcome || uint8(o.outcome) != o.number || o.outcome.String() != o.name || o.outcome.Counts() != o.counts {
			t.Errorf("%s is %d and counts: %t; want %s, %d, %t", o.outcome, o.outcome, o.outcome.Counts(), o.name, o.number, o.counts)
		}
	}
	allNumbers(t, reckoner.Outcome.Valid, reckoner.ParseOutcome, len(outcomes))
	for n := range 256 {
		if o := reckoner.Outcome(n); !o.Valid() && o.Counts() {
			t.Errorf("%s counts", o)
		}
	}
}

func TestKindsArePinned(t *testing.T) {
	for kind, want := range map[reckoner.Kind]string{1: "usage", 2: "revert"} {
		if kind.String() != want {
			t.Errorf("kind %d is %s, want %s", uint8(kind), kind, want)
		}
	}
	if reckoner.Usage != 1 || reckoner.Revert != 2 {
		t.Errorf("Usage is %d, Revert is %d", reckoner.Usage, reckoner.Revert)
	}
	known := func(k reckoner.Kind) bool { return k == 1 || k == 2 }
	allNumbers(t, known, reckoner.ParseKind, 2)
}

func TestMeterTypesArePinned(t *testing.T) {
	for meterType, want := range map[reckoner.MeterType]string{1: "interval", 2: "total", 3: "rate"} {
		if meterType.String() != want {
			t.Errorf("meter type %d is %s, want %s", uint8(meterType), meterType, want)
		}
	}
	if reckoner.Interval != 1 || reckoner.Total != 2 || reckoner.Rate != 3 {
		t.Errorf("Interval is %d, Total is %d, Rate is %d", reckoner.Interval, reckoner.Total, reckoner.Rate)
	}
	allNumbers(t, reckoner.MeterType.Valid, reckoner.ParseMeterType, 3)
}

func TestEveryIsPinned(t *testing.T) {
	for every, want := range map[reckoner.Every]string{0: "month", 1: "day", 2: "week", 3: "year"} {
		if every.String() != want {
			t.Errorf("every %d is %s, want %s", uint8(every), every, want)
		}
	}
	if reckoner.Month != 0 || reckoner.Day != 1 || reckoner.Week != 2 || reckoner.Year != 3 {
		t.Error("the lengths of a period changed their numbers")
	}
	allNumbers(t, func(e reckoner.Every) bool { return e <= 3 }, reckoner.ParseEvery, 4)
}

// allNumbers walks all 256 numbers of an enum: what is valid has a name that parses back, what is not has a text that
// does not parse, and no two are alike.
func allNumbers[E interface {
	~uint8
	fmt.Stringer
}](t *testing.T, valid func(E) bool, parse func(string) (E, error), want int) {
	t.Helper()
	names, found := map[string]bool{}, 0
	for n := range 256 {
		e := E(n)
		name := e.String()
		if names[name] {
			t.Errorf("%q is the name of two numbers", name)
		}
		names[name] = true
		back, err := parse(name)
		switch {
		case valid(e) && (err != nil || back != e):
			t.Errorf("parse(%q) = %d, %v; want %d", name, back, err, n)
		case !valid(e) && (err == nil || !strings.Contains(name, fmt.Sprintf("(%d)", n))):
			t.Errorf("parse(%q) = %d, %v; want an error, and a text that shows the number", name, back, err)
		}
		if valid(e) {
			found++
		}
	}
	if found != want {
		t.Errorf("%d valid numbers, want %d", found, want)
	}
	for _, s := range []string{"", " ", "Usage", "APPLIED", "month ", strings.Repeat("x", 1<<20), "\xff"} {
		if e, err := parse(s); err == nil {
			t.Errorf("parse(%.20q) = %d", s, e)
		} else if len(err.Error()) > 300 {
			t.Errorf("parse(%.20q): an error of %d bytes", s, len(err.Error()))
		}
	}
}

func TestErrorCodes(t *testing.T) {
	cause := errors.New("disk full")
	for _, c := range []struct {
		err  error
		code reckoner.Code
		text string
	}{
		{reckoner.Errorf(reckoner.Invalid, "amount %d: %w", 5, cause), reckoner.Invalid, "amount 5: disk full"},
		{&reckoner.Error{Code: reckoner.NotFound, Field: "usage_id", Message: "unknown"}, reckoner.NotFound, "usage_id: unknown"},
		{fmt.Errorf("outer: %w", reckoner.Errorf(reckoner.TooMany, "slow down")), reckoner.TooMany, "outer: slow down"},
		{cause, reckoner.Internal, "disk full"},
		{nil, reckoner.Internal, ""},
	} {
		if got := reckoner.CodeOf(c.err); got != c.code {
			t.Errorf("CodeOf(%v) = %s, want %s", c.err, got, c.code)
		}
		if c.err != nil && c.err.Error() != c.text {
			t.Errorf("%q, want %q", c.err, c.text)
		}
	}
	if !errors.Is(reckoner.Errorf(reckoner.Unavailable, "insert: %w", cause), cause) {
		t.Error("the cause is lost")
	}
	if names := fmt.Sprint(reckoner.Internal, reckoner.Unavailable, reckoner.Code(200)); names != "internal unavailable code(200)" {
		t.Errorf("codes are named %s", names)
	}
}

func TestPositionsOrder(t *testing.T) {
	ordered := []reckoner.Position{
		{}, {Log: 1, Offset: 0}, {Log: 1, Offset: 0, Index: 1}, {Log: 1, Offset: 5}, {Log: 1, Offset: 1 << 60, Index: 9}, {Log: 2},
	}
	for i, p := range ordered {
		for j, q := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := p.Cmp(q); got != want {
				t.Errorf("%s.Cmp(%s) = %d, want %d", p, q, got, want)
			}
		}
	}
	if got := (reckoner.Position{Log: 1, Partition: 2, Offset: 3, Index: 4}).String(); got != "1/2/3.4" {
		t.Errorf("position reads %s", got)
	}
}
