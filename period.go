package reckoner

import (
	"fmt"
	"time"
)

// Bucket is the width of a rollup bucket. Every real time zone's day boundary falls on a multiple of it.
const Bucket = 15 * time.Minute

// BucketOf returns the start of the bucket that holds t, in UTC.
func BucketOf(t time.Time) time.Time { return t.UTC().Truncate(Bucket) }

// Period is a half-open interval of time, [Start, End).
type Period struct {
	Start, End time.Time
}

// Contains reports whether t lies in the period.
func (p Period) Contains(t time.Time) bool { return !t.Before(p.Start) && t.Before(p.End) }

// Every is how long a billing period lasts.
type Every uint8

// The lengths of a billing period. Day and Week are 24 and 168 hours; Month and Year follow the calendar, with the
// anchor's day of the month clamped to the month's length.
const (
	Month Every = iota
	Day
	Week
	Year
)

var everyNames = [...]string{Month: "month", Day: "day", Week: "week", Year: "year"}

// String returns the name of the length.
func (e Every) String() string {
	if int(e) >= len(everyNames) {
		return fmt.Sprintf("every(%d)", uint8(e))
	}
	return everyNames[e]
}

// ParseEvery is the inverse of String.
func ParseEvery(s string) (Every, error) {
	for e, name := range everyNames {
		if name == s {
			return Every(e), nil
		}
	}
	return 0, fmt.Errorf("unknown period length %q: want day, week, month or year", clip(s))
}

// Cycle is an endless row of billing periods without gaps, one of which starts at Anchor. The zero Cycle is the
// calendar months in UTC.
type Cycle struct {
	Anchor time.Time
	Every  Every
}

// At returns the period that holds t, before the anchor too. Both bounds are in UTC.
func (c Cycle) At(t time.Time) Period {
	anchor := c.Anchor.UTC()
	if c.Anchor.IsZero() {
		anchor = time.Unix(0, 0).UTC()
	}
	n := c.guess(anchor, t.UTC())
	start := c.start(anchor, n)
	for start.After(t) {
		n--
		start = c.start(anchor, n)
	}
	end := c.start(anchor, n+1)
	for !end.After(t) {
		n++
		start, end = end, c.start(anchor, n+1)
	}
	return Period{Start: start, End: end}
}

// guess returns a number of periods from the anchor to t that is right or off by one.
func (c Cycle) guess(anchor, t time.Time) int {
	switch c.Every {
	case Day:
		return int(daysBetween(anchor, t))
	case Week:
		return int(daysBetween(anchor, t) / 7)
	case Year:
		return t.Year() - anchor.Year()
	default:
		return (t.Year()-anchor.Year())*12 + int(t.Month()) - int(anchor.Month())
	}
}

// daysBetween counts in seconds, because a time.Duration holds no more than 292 years.
func daysBetween(a, b time.Time) int64 { return (b.Unix() - a.Unix()) / 86400 }

func (c Cycle) start(anchor time.Time, n int) time.Time {
	switch c.Every {
	case Day:
		return anchor.AddDate(0, 0, n)
	case Week:
		return anchor.AddDate(0, 0, 7*n)
	case Year:
		return addMonths(anchor, 12*n)
	default:
		return addMonths(anchor, n)
	}
}

// addMonths adds calendar months to the anchor itself, never to an earlier result, so that a 31st that was clamped
// in February is the 31st again in March.
func addMonths(anchor time.Time, n int) time.Time {
	y, m, d := anchor.Date()
	if d <= 28 { // every month has it
		return time.Date(y, m+time.Month(n), d, anchor.Hour(), anchor.Minute(), anchor.Second(), anchor.Nanosecond(), time.UTC)
	}
	first := time.Date(y, m+time.Month(n), 1, anchor.Hour(), anchor.Minute(), anchor.Second(), anchor.Nanosecond(), time.UTC)
	last := time.Date(first.Year(), first.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return first.AddDate(0, 0, min(d, last)-1)
}
