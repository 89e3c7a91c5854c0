package reckoner_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"reckoner"
)

// times draws an instant that can be stored, in UTC or in another zone.
func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		seconds := rapid.Int64Range(reckoner.MinTime.Unix(), reckoner.MaxTime.Unix()-1).Draw(t, "seconds")
		if rapid.Bool().Draw(t, "at midnight") {
			seconds -= seconds % 86400
		}
		at := time.Unix(seconds, rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		return at.In(time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "zone")))
	})
}

// cycles favours the ends of months, where day-of-month arithmetic goes wrong.
func cycles() *rapid.Generator[reckoner.Cycle] {
	return rapid.Custom(func(t *rapid.T) reckoner.Cycle {
		every := rapid.SampledFrom([]reckoner.Every{reckoner.Month, reckoner.Day, reckoner.Week, reckoner.Year}).Draw(t, "every")
		anchor := times().Draw(t, "anchor")
		switch rapid.IntRange(0, 3).Draw(t, "kind of anchor") {
		case 0:
			anchor = time.Time{}
		case 1, 2:
			day := rapid.IntRange(28, 31).Draw(t, "day")
			anchor = time.Date(anchor.Year(), anchor.Month(), day, anchor.Hour(), anchor.Minute(), 0, anchor.Nanosecond(), anchor.Location())
		}
		return reckoner.Cycle{Anchor: anchor, Every: every}
	})
}

func TestCycleTilesTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, at := cycles().Draw(t, "cycle"), times().Draw(t, "at")
		p := c.At(at)
		if !p.Contains(at) {
			t.Fatalf("At(%s) = %s to %s does not hold it", at, p.Start, p.End)
		}
		if next := c.At(p.End); next.Start != p.End {
			t.Fatalf("the period after %s starts at %s", p.End, next.Start)
		}
		if previous := c.At(p.Start.Add(-1)); previous.End != p.Start {
			t.Fatalf("the period before %s ends at %s", p.Start, previous.End)
		}
		if last := c.At(p.End.Add(-1)); last != p {
			t.Fatalf("the last instant of %v lies in %v", p, last)
		}
		if !c.Anchor.IsZero() && !c.At(c.Anchor).Start.Equal(c.Anchor) {
			t.Fatalf("no period starts at the anchor %s", c.Anchor)
		}
	})
}

// TestCycleLengths holds every period against the calendar, by the day of the month rather than by addition.
func TestCycleLengths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, at := cycles().Draw(t, "cycle"), times().Draw(t, "at")
		p, anchor := c.At(at), c.Anchor.UTC()
		if c.Anchor.IsZero() {
			anchor = reckoner.MinTime
		}
		switch c.Every {
		case reckoner.Day, reckoner.Week:
			want := 24 * time.Hour
			if c.Every == reckoner.Week {
				want *= 7
			}
			if p.End.Sub(p.Start) != want {
				t.Fatalf("%s to %s lasts %s", p.Start, p.End, p.End.Sub(p.Start))
			}
		default:
			clampedTo(t, p.Start, anchor)
			clampedTo(t, p.End, anchor)
			months := (p.End.Year()-p.Start.Year())*12 + int(p.End.Month()-p.Start.Month())
			if want := map[reckoner.Every]int{reckoner.Month: 1, reckoner.Year: 12}[c.Every]; months != want {
				t.Fatalf("%s to %s spans %d months, want %d", p.Start, p.End, months, want)
			}
			if c.Every == reckoner.Year && p.Start.Month() != anchor.Month() {
				t.Fatalf("a year from %s starts on %s", anchor, p.Start)
			}
		}
	})
}

// clampedTo fails unless bound stands on the anchor's day of the month, or on the last day of a month without it, at
// the anchor's time of day.
func clampedTo(t *rapid.T, bound, anchor time.Time) {
	t.Helper()
	lastDay := bound.AddDate(0, 0, 1).Month() != bound.Month()
	if bound.Day() != anchor.Day() && (bound.Day() > anchor.Day() || !lastDay) {
		t.Fatalf("%s is neither the anchor's (%s) day nor the last of its month", bound, anchor)
	}
	if bound.Sub(bound.Truncate(24*time.Hour)) != anchor.Sub(anchor.Truncate(24*time.Hour)) {
		t.Fatalf("%s is not at the anchor's (%s) time of day", bound, anchor)
	}
}

// TestCycleIsFastFarFromTheAnchor counts on At doing arithmetic: a walk from the anchor would take 84,000 steps a call.
func TestCycleIsFastFarFromTheAnchor(t *testing.T) {
	c := reckoner.Cycle{Anchor: reckoner.MinTime, Every: reckoner.Day}
	start := time.Now()
	for range 10_000 {
		if p := c.At(reckoner.MaxTime.Add(-1)); p.End != reckoner.MaxTime {
			t.Fatalf("the last day ends at %s", p.End)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("10,000 calls took %s", took)
	}
}

func BenchmarkCycleAt(b *testing.B) {
	for _, every := range []reckoner.Every{reckoner.Month, reckoner.Day, reckoner.Week, reckoner.Year} {
		b.Run(every.String(), func(b *testing.B) {
			b.ReportAllocs()
			c := reckoner.Cycle{Anchor: time.Date(1970, 1, 31, 0, 0, 0, 0, time.UTC), Every: every}
			at := time.Date(2199, 2, 28, 0, 0, 0, 0, time.UTC)
			for b.Loop() {
				c.At(at)
			}
		})
	}
}
