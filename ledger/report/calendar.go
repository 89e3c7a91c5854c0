package report

import (
	"fmt"
	"slices"
	"time"

	"reckoner"
)

const day = 24 * time.Hour

// Calendar is an installation's row of days and billing periods.
type Calendar struct {
	Cycle     reckoner.Cycle
	DayEndsAt time.Duration // of the day in UTC, in [0, 24 h)
}

// Part is what one report tells of: a day, or as much of it as lies in one billing period. A day that a period's end cuts in
// two is two parts. Day.End is the report's eod. Parts of one calendar never overlap and leave no gap.
type Part struct {
	Period reckoner.Period
	Day    reckoner.Period // never empty, always inside Period
}

// String is for errors.
func (p Part) String() string {
	return fmt.Sprintf("the day part [%s, %s)", p.Day.Start.Format(time.RFC3339Nano), p.Day.End.Format(time.RFC3339Nano))
}

// same reports whether two parts are the same times, whatever zones they are written in.
func (p Part) same(o Part) bool {
	return p.Period.Start.Equal(o.Period.Start) && p.Period.End.Equal(o.Period.End) && p.Day.Start.Equal(o.Day.Start) && p.Day.End.Equal(o.Day.End)
}

// At returns the part that holds t.
func (c Calendar) At(t time.Time) Part {
	period := c.Cycle.At(t)
	start := t.UTC().Add(-c.DayEndsAt).Truncate(day).Add(c.DayEndsAt)
	part := reckoner.Period{Start: start, End: start.Add(day)}
	if part.Start.Before(period.Start) {
		part.Start = period.Start
	}
	if part.End.After(period.End) {
		part.End = period.End
	}
	return Part{Period: period, Day: part}
}

// Due returns the parts to report at a moment: those that ended less than takes ago, for their closing figures, older ones
// first, and last the part that holds the moment, so that the newest timestamp carries the largest figures of its period.
// takes is how long the partner takes closing figures, less what a delivery may last: a part that ended exactly takes ago
// is not due, because it is older when it arrives.
func (c Calendar) Due(at time.Time, takes time.Duration) []Part {
	parts := []Part{c.At(at)}
	for {
		before := c.At(parts[len(parts)-1].Day.Start.Add(-1))
		if at.Sub(wireTime(before.Day.End)) >= takes {
			break
		}
		parts = append(parts, before)
	}
	slices.Reverse(parts)
	return parts
}

// wireTime cuts a time to what a payload holds. It keeps the order of times, so what lies in a period still does.
func wireTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
