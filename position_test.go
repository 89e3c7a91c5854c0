package reckoner_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"reckoner"
)

func TestPositionsAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := reckoner.Position{
			Log: rapid.Uint32().Draw(t, "log"), Partition: rapid.Int32Range(0, math.MaxInt32).Draw(t, "partition"),
			Offset: rapid.Int64Range(0, math.MaxInt64).Draw(t, "offset"), Index: rapid.Int32Range(0, math.MaxInt32).Draw(t, "index"),
		}
		if got, err := reckoner.ParsePosition(want.String()); err != nil || got != want {
			t.Fatalf("%s: %v, %v", want, got, err)
		}
	})
}

func TestParsePosition(t *testing.T) {
	want := reckoner.Position{Log: 1, Partition: 3, Offset: 120}
	if got, err := reckoner.ParsePosition("1/3/120"); err != nil || got != want {
		t.Errorf("without an index: %v, %v", got, err)
	}
	for _, bad := range []string{"", "1", "1/3", "1/3/", "1/3/x", "1/3/-1", "1/3/1.", "1/3/1.x", "1/3/1/1", "1/3/1.0.0", " 1/3/1", "4294967296/0/0", "1/2147483648/0", "1/0/9223372036854775808"} {
		if got, err := reckoner.ParsePosition(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}
