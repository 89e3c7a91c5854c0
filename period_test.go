package reckoner_test

import (
	"testing"
	"time"

	"reckoner"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCycleAt(t *testing.T) {
	for _, c := range []struct {
		name, anchor string
		every        reckoner.Every
		at           string
		start, end   string
	}{
		{"zero cycle: calendar month", "", reckoner.Month, "2026-02-17T12:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"zero cycle: December", "", reckoner.Month, "2026-12-31T23:59:59.999999999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"zero cycle: in UTC", "", reckoner.Month, "2026-03-01T01:00:00+02:00", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"no anchor: calendar year", "", reckoner.Year, "2028-02-29T00:00:00Z", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"},
		{"31st: before February's clamp", "2026-01-31T00:00:00Z", reckoner.Month, "2026-02-27T23:59:59Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"31st: at February's clamp", "2026-01-31T00:00:00Z", reckoner.Month, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"31st: the 31st again in March", "2026-01-31T00:00:00Z", reckoner.Month, "2026-04-01T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"},
		{"31st: leap February", "2026-01-31T00:00:00Z", reckoner.Month, "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"},
		{"31st: over the new year", "2026-01-31T00:00:00Z", reckoner.Month, "2027-01-01T00:00:00Z", "2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z"},
		{"30th with a time of day", "2026-01-30T18:30:00Z", reckoner.Month, "2026-02-28T18:29:59Z", "2026-01-30T18:30:00Z", "2026-02-28T18:30:00Z"},
		{"century without a leap day", "2096-02-29T00:00:00Z", reckoner.Year, "2100-03-01T00:00:00Z", "2100-02-28T00:00:00Z", "2101-02-28T00:00:00Z"},
		{"yearly from 29 February", "2024-02-29T00:00:00Z", reckoner.Year, "2025-02-28T00:00:00Z", "2025-02-28T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"yearly: 29 February again", "2024-02-29T00:00:00Z", reckoner.Year, "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"},
		{"before the anchor: month", "2026-01-31T00:00:00Z", reckoner.Month, "2024-02-29T12:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"},
		{"before the anchor: year", "2024-02-29T00:00:00Z", reckoner.Year, "2024-02-28T23:59:59Z", "2023-02-28T00:00:00Z", "2024-02-29T00:00:00Z"},
		{"before the anchor: day", "2026-01-01T06:00:00Z", reckoner.Day, "2025-12-31T05:59:59.999999999Z", "2025-12-30T06:00:00Z", "2025-12-31T06:00:00Z"},
		{"before the anchor: week", "2026-01-05T00:00:00Z", reckoner.Week, "2026-01-04T23:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"},
		{"at the anchor", "2026-01-05T00:00:00Z", reckoner.Week, "2026-01-05T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"},
		{"day: 24 hours over a clock change", "2026-03-28T01:00:00+01:00", reckoner.Day, "2026-03-29T12:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"},
		{"anchor in another zone: its day in UTC", "2026-01-31T23:30:00-05:00", reckoner.Month, "2026-03-01T04:00:00Z", "2026-02-01T04:30:00Z", "2026-03-01T04:30:00Z"},
		{"anchor between seconds", "2026-01-01T00:00:00.5Z", reckoner.Day, "2026-01-03T00:00:00.499999999Z", "2026-01-02T00:00:00.5Z", "2026-01-03T00:00:00.5Z"},
		{"anchor between seconds, before it", "2026-01-01T00:00:00.5Z", reckoner.Month, "2025-12-01T00:00:00.499999999Z", "2025-11-01T00:00:00.5Z", "2025-12-01T00:00:00.5Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cycle := reckoner.Cycle{Every: c.every}
			if c.anchor != "" {
				cycle.Anchor = instant(t, c.anchor)
			}
			got := cycle.At(instant(t, c.at))
			if !got.Start.Equal(instant(t, c.start)) || !got.End.Equal(instant(t, c.end)) {
				t.Errorf("got %s to %s, want %s to %s", got.Start, got.End, c.start, c.end)
			}
			if got.Start.Location() != time.UTC || got.End.Location() != time.UTC {
				t.Errorf("bounds in %s and %s, want UTC", got.Start.Location(), got.End.Location())
			}
		})
	}
}

func TestPeriodIsHalfOpen(t *testing.T) {
	p := reckoner.Cycle{}.At(instant(t, "2026-02-17T12:00:00Z"))
	for at, want := range map[time.Time]bool{
		p.Start: true, p.Start.Add(-1): false, p.End: false, p.End.Add(-1): true,
	} {
		if p.Contains(at) != want {
			t.Errorf("Contains(%s) = %t", at, !want)
		}
	}
	if (reckoner.Period{}).Contains(time.Time{}) {
		t.Error("the empty period holds a time")
	}
}

func TestBucketOf(t *testing.T) {
	for at, want := range map[string]string{
		"2026-01-01T00:00:00Z":                "2026-01-01T00:00:00Z",
		"2026-01-01T00:14:59.999999999Z":      "2026-01-01T00:00:00Z",
		"2026-01-01T00:15:00Z":                "2026-01-01T00:15:00Z",
		"2026-01-01T00:00:00+05:45":           "2025-12-31T18:15:00Z", // a day of Nepal begins on a bucket
		"1970-01-01T00:00:00Z":                "1970-01-01T00:00:00Z",
		"2199-12-31T23:59:59.999999999Z":      "2199-12-31T23:45:00Z",
		"2026-06-01T12:59:59.123456789-03:30": "2026-06-01T16:15:00Z",
	} {
		got := reckoner.BucketOf(instant(t, at))
		if !got.Equal(instant(t, want)) || got.Location() != time.UTC {
			t.Errorf("BucketOf(%s) = %s, want %s", at, got, want)
		}
	}
}
