package report

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reckoner"
)

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

const fortyFive = 18*time.Hour + 15*time.Minute // where a day of +05:45 ends

func TestCalendarAt(t *testing.T) {
	for _, tt := range []struct {
		name, anchor  string
		every         reckoner.Every
		ends          time.Duration
		at            string
		dayStart, eod string
		pStart, pEnd  string
		whole         bool
	}{
		{"a day inside a month", "", reckoner.Month, 0, "2026-03-15T12:00:00Z", "2026-03-15T00:00:00Z", "2026-03-16T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", true},
		{"the start is of the new day", "", reckoner.Month, 0, "2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z", true},
		{"the last instant is of the old one", "", reckoner.Month, 0, "2026-03-31T23:59:59.999999999Z", "2026-03-31T00:00:00Z", "2026-04-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", true},
		{"+05:45 before its midnight", "", reckoner.Month, fortyFive, "2026-03-15T18:14:59Z", "2026-03-14T18:15:00Z", "2026-03-15T18:15:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", true},
		{"+05:45 at its midnight", "", reckoner.Month, fortyFive, "2026-03-15T18:15:00Z", "2026-03-15T18:15:00Z", "2026-03-16T18:15:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", true},
		{"05:45 in UTC", "", reckoner.Month, 5*time.Hour + 45*time.Minute, "2026-03-15T05:44:00Z", "2026-03-14T05:45:00Z", "2026-03-15T05:45:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", true},
		{"a day cut: the old period", "", reckoner.Month, fortyFive, "2026-03-31T20:00:00Z", "2026-03-31T18:15:00Z", "2026-04-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", false},
		{"a day cut: the new period", "", reckoner.Month, fortyFive, "2026-04-01T08:00:00Z", "2026-04-01T00:00:00Z", "2026-04-01T18:15:00Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z", false},
		{"a period that ends in mid-day", "2026-01-10T12:00:00Z", reckoner.Month, 0, "2026-02-10T11:00:00Z", "2026-02-10T00:00:00Z", "2026-02-10T12:00:00Z", "2026-01-10T12:00:00Z", "2026-02-10T12:00:00Z", false},
		{"and inside a bucket", "2026-01-10T12:07:30.5Z", reckoner.Month, 0, "2026-02-10T12:07:30.5Z", "2026-02-10T12:07:30.5Z", "2026-02-11T00:00:00Z", "2026-02-10T12:07:30.5Z", "2026-03-10T12:07:30.5Z", false},
		{"the 31st, clamped", "2026-01-31T00:00:00Z", reckoner.Month, 0, "2026-02-27T10:00:00Z", "2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", true},
		{"the 31st, clamped, cut at +05:45", "2026-01-31T00:00:00Z", reckoner.Month, fortyFive, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-02-28T18:15:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", false},
		{"a week", "2026-01-05T06:00:00Z", reckoner.Week, 0, "2026-01-12T05:00:00Z", "2026-01-12T00:00:00Z", "2026-01-12T06:00:00Z", "2026-01-05T06:00:00Z", "2026-01-12T06:00:00Z", false},
		{"a year from the leap day", "2024-02-29T00:00:00Z", reckoner.Year, 0, "2027-02-28T03:00:00Z", "2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z", true},
		{"periods of a day across days", "2026-01-01T09:00:00Z", reckoner.Day, 0, "2026-01-04T08:59:00Z", "2026-01-04T00:00:00Z", "2026-01-04T09:00:00Z", "2026-01-03T09:00:00Z", "2026-01-04T09:00:00Z", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Calendar{Cycle: reckoner.Cycle{Every: tt.every}, DayEndsAt: tt.ends}
			if tt.anchor != "" {
				c.Cycle.Anchor = instant(t, tt.anchor)
			}
			want := Part{
				Period: reckoner.Period{Start: instant(t, tt.pStart), End: instant(t, tt.pEnd)},
				Day:    reckoner.Period{Start: instant(t, tt.dayStart), End: instant(t, tt.eod)},
			}
			got := c.At(instant(t, tt.at))
			if !got.same(want) {
				t.Errorf("got %s of %v, want %s of %v", got, got.Period, want, want.Period)
			}
			if is := got.Day.End.Sub(got.Day.Start) == day; is != tt.whole {
				t.Errorf("whole day: %t", is)
			}
		})
	}
}

func TestDue(t *testing.T) {
	cut := Calendar{DayEndsAt: fortyFive}
	for _, tt := range []struct {
		name  string
		c     Calendar
		at    string
		takes time.Duration
		eods  []string
	}{
		{"yesterday, then today", Calendar{}, "2026-03-15T00:05:00Z", day, []string{"2026-03-15T00:00:00Z", "2026-03-16T00:00:00Z"}},
		{"yesterday until the last instant", Calendar{}, "2026-03-15T23:59:59.999Z", day, []string{"2026-03-15T00:00:00Z", "2026-03-16T00:00:00Z"}},
		{"exactly 24 h old is too old when it arrives", Calendar{}, "2026-03-15T00:00:00Z", day, []string{"2026-03-15T00:00:00Z", "2026-03-16T00:00:00Z"}},
		{"both parts of a cut day", cut, "2026-04-01T18:20:00Z", day, []string{"2026-04-01T00:00:00Z", "2026-04-01T18:15:00Z", "2026-04-02T18:15:00Z"}},
		{"the second part, the day before", cut, "2026-04-01T12:00:00Z", day, []string{"2026-03-31T18:15:00Z", "2026-04-01T00:00:00Z", "2026-04-01T18:15:00Z"}},
		{"the period's end leaves first", cut, "2026-04-02T00:00:00Z", day, []string{"2026-04-01T18:15:00Z", "2026-04-02T18:15:00Z"}},
		{"a margin for delivery", Calendar{}, "2026-03-15T23:30:00Z", day - 30*time.Minute, []string{"2026-03-16T00:00:00Z"}},
		{"a partner that takes none", Calendar{}, "2026-03-15T00:00:00Z", 0, []string{"2026-03-16T00:00:00Z"}},
		{"a bound between milliseconds is as old as the wire says", Calendar{Cycle: reckoner.Cycle{Anchor: instant(t, "2026-01-10T12:00:00.0009Z")}}, "2026-02-11T12:00:00Z", day,
			[]string{"2026-02-11T00:00:00Z", "2026-02-12T00:00:00Z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range tt.c.Due(instant(t, tt.at), tt.takes) {
				got = append(got, p.Day.End.Format(time.RFC3339Nano))
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.eods) {
				t.Errorf("due %v, want %v", got, tt.eods)
			}
		})
	}
}

func calendars() *rapid.Generator[Calendar] {
	return rapid.Custom(func(t *rapid.T) Calendar {
		c := Calendar{DayEndsAt: time.Duration(rapid.IntRange(0, 95).Draw(t, "day ends at")) * reckoner.Bucket}
		c.Cycle.Every = rapid.SampledFrom([]reckoner.Every{reckoner.Month, reckoner.Day, reckoner.Week, reckoner.Year}).Draw(t, "every")
		unit := rapid.SampledFrom([]time.Duration{day, reckoner.Bucket, time.Second, time.Millisecond, time.Microsecond}).Draw(t, "unit")
		at := time.Duration(rapid.Int64Range(0, int64(3*366*day/unit)).Draw(t, "anchor")) * unit
		c.Cycle.Anchor = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(at)
		return c
	})
}

// Parts tile time: each holds what it is asked of, lies in its day and its period, and begins where the one before ends.
func TestPartsTileTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := calendars().Draw(t, "calendar")
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.Int64Range(0, int64(800*day)).Draw(t, "at")))
		p := c.At(at)
		for range 5 {
			next := c.At(p.Day.End)
			switch {
			case !p.Day.Contains(at), p.Day.Start.Before(p.Period.Start), p.Day.End.After(p.Period.End):
				t.Fatalf("%s does not lie in %v around %s", p, p.Period, at)
			case p.Day.End.Sub(p.Day.Start) > day:
				t.Fatalf("%s is longer than a day", p)
			case !next.Day.Start.Equal(p.Day.End):
				t.Fatalf("%s is followed by %s", p, next)
			case !c.At(p.Day.End.Add(-1)).same(p):
				t.Fatalf("%s is not the part of its last instant", p)
			}
			for _, bound := range []time.Time{p.Day.Start, p.Day.End} {
				if sinceDay := bound.Add(-c.DayEndsAt); !sinceDay.Equal(sinceDay.Truncate(day)) && !bound.Equal(p.Period.Start) && !bound.Equal(p.Period.End) {
					t.Fatalf("%s ends neither with the day nor with the period", p)
				}
			}
			p, at = next, next.Day.Start
		}
	})
}

// A tick every 15 minutes over months reports every part while it runs and, after it ended, for 24 hours: the last report of
// each part, and of each period, is a closing one. Order and ages are as the partner wants them.
func TestTicksCloseEveryDayAndPeriod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := calendars().Draw(t, "calendar")
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.Int64Range(0, int64(900*time.Second)).Draw(t, "phase")))
		to := from.Add(70 * day)
		last := make(map[time.Time]time.Time)    // by the part's start, when it was last reported
		closing := make(map[time.Time]time.Time) // by the period's start, when its last part was last reported
		for at := from; at.Before(to); at = at.Add(reckoner.Bucket) {
			due := c.Due(at, day)
			for i, p := range due {
				last[p.Day.Start] = at
				if p.Day.End.Equal(p.Period.End) {
					closing[p.Period.Start] = at
				}
				current := i == len(due)-1
				switch eod := wireTime(p.Day.End); {
				case current != p.Day.Contains(at):
					t.Fatalf("at %s %s is reported in place %d of %d", at, p, i, len(due))
				case at.Sub(eod) >= day:
					t.Fatalf("at %s %s is older than 24 h", at, p)
				case eod.Before(wireTime(p.Period.Start)) || eod.After(wireTime(p.Period.End)):
					t.Fatalf("%s ends outside its period %v", p, p.Period)
				case i > 0 && !due[i-1].Day.End.Equal(p.Day.Start):
					t.Fatalf("at %s %s follows %s", at, p, due[i-1])
				}
			}
		}
		for p := c.At(from); p.Day.End.Add(day).Before(to); p = c.At(p.Day.End) {
			if at, ok := last[p.Day.Start]; !ok || at.Sub(p.Day.End) < day-reckoner.Bucket-time.Millisecond {
				t.Fatalf("%s was last reported at %s: not with the figures of its 24 hours", p, at)
			}
			if p.Day.End.Equal(p.Period.End) && !closing[p.Period.Start].Equal(last[p.Day.Start]) {
				t.Fatalf("the period %v was not closed", p.Period)
			}
		}
	})
}
