package ledger

import (
	"fmt"
	"time"

	"reckoner"
)

// Width is how wide the windows are that usage is folded into.
type Width uint8

// The widths that Windows cuts. Billing periods are a subscription's own and are stored with its totals.
const (
	ByBucket Width = iota + 1 // 15 minutes UTC, the finest that is kept
	ByHour                    // hours of the wall clock
	ByDay                     // days of the calendar
)

// day and hour are lengths of wall clock time, where the clock is not changed.
const (
	hour = int64(3600)
	day  = 24 * hour
)

// Windows cuts [from, to), two bounds of buckets, into windows of a zone's wall clock. It returns their edges, rising:
// window i is [edges[i], edges[i+1]), the first edge is from and the last is to. With more windows than limit it returns
// false. A window at either end may be cut short by the bound.
//
// An hour begins whenever the clock shows a full hour, and wherever the clock is changed. So an hour that comes twice is
// two windows, and none is longer than an hour. A day begins when its date is first reached: it has 23 or 25 hours where
// the clock is changed, and a date that a zone left out has no window. Where a zone's hours or days begin inside a bucket
// (offsets of seconds, before 1972), that bucket belongs to the window in which it begins.
func Windows(from, to time.Time, width Width, zone *time.Location, limit int) ([]time.Time, bool) {
	c := cutter{edges: []time.Time{from.UTC()}, to: to.UTC(), limit: limit}
	switch width {
	case ByBucket:
		c.cutEvery(from, reckoner.Bucket)
	case ByHour:
		c.cutClock(from, zone, hour)
	case ByDay:
		c.cutClock(from, zone, day)
	default:
		panic(fmt.Sprintf("no width %d", width))
	}
	if c.full() {
		return nil, false
	}
	return append(c.edges, c.to), true
}

// StartOfDay returns the bucket bound at which a date begins in a zone, as Windows has it.
func StartOfDay(year int, month time.Month, dayOfMonth int, zone *time.Location) time.Time {
	// No zone is further from UTC than a day, and none ever left out more than one date.
	date := time.Date(year, month, dayOfMonth, 0, 0, 0, 0, time.UTC)
	want := floor(date.Unix(), day)
	t := date.Add(-48 * time.Hour)
	edges, _ := Windows(t, date.Add(96*time.Hour), ByDay, zone, 10)
	for _, edge := range edges[1:] {
		if dayReached(edge, zone) >= want {
			return edge
		}
	}
	panic(fmt.Sprintf("no day of %s in %s", date.Format(time.DateOnly), zone))
}

// cutter gathers edges.
type cutter struct {
	edges []time.Time
	to    time.Time
	limit int
}

func (c *cutter) full() bool { return len(c.edges) > c.limit }

// add puts an edge where the next bucket begins. One at the last edge, or not before the end, is none.
func (c *cutter) add(t time.Time) {
	if up := reckoner.BucketOf(t); up.Equal(t) {
		t = up
	} else {
		t = up.Add(reckoner.Bucket)
	}
	if t.After(c.edges[len(c.edges)-1]) && t.Before(c.to) {
		c.edges = append(c.edges, t)
	}
}

func (c *cutter) cutEvery(from time.Time, width time.Duration) {
	for t := from.Add(width); t.Before(c.to) && !c.full(); t = t.Add(width) {
		c.add(t)
	}
}

// cutClock goes from one change of the clock to the next; between two of them the wall clock is plain arithmetic.
func (c *cutter) cutClock(from time.Time, zone *time.Location, width int64) {
	reached := dayReached(from, zone)
	_, last := from.In(zone).Zone()
	for t := from; t.Before(c.to) && !c.full(); {
		_, offset := t.In(zone).Zone()
		end := c.nextChange(t, zone)
		local := t.Unix() + int64(offset)
		switch {
		case width == hour && offset != last:
			c.add(t)
		case width == day && floor(local, day) > reached: // midnight was left out
			reached = floor(local, day)
			c.add(t)
		}
		last = offset
		for next := floor(local+width-1, width) * width; !c.full(); next += width {
			at := time.Unix(next-int64(offset), 0)
			if !at.Before(end) {
				break
			}
			if date := floor(next, day); width == day && date <= reached {
				continue // the clock was turned back over midnight
			}
			reached = max(reached, floor(next, day))
			c.add(at)
		}
		t = end
	}
}

// nextChange returns a time after t, up to which the clock is not changed. It may not be changed there either: after the
// last change that a zone lists, the library ends its bounds with a year of 365 days, even before t.
func (c *cutter) nextChange(t time.Time, zone *time.Location) time.Time {
	_, end := t.In(zone).ZoneBounds()
	switch {
	case end.IsZero() || end.After(c.to):
		return c.to
	case !end.After(t):
		return reckoner.BucketOf(t).Add(reckoner.Bucket)
	}
	return end
}

// dayReached returns the greatest date, as a number of days, that a zone's wall clock has shown up to t: that of t, unless
// the clock was turned back over midnight just before.
func dayReached(t time.Time, zone *time.Location) int64 {
	date := func(t time.Time) int64 {
		_, offset := t.In(zone).Zone()
		return floor(t.Unix()+int64(offset), day)
	}
	reached := date(t)
	if start, _ := t.In(zone).ZoneBounds(); !start.IsZero() {
		reached = max(reached, date(start.Add(-time.Second)))
	}
	return reached
}

// floor divides and rounds down, below zero too.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
