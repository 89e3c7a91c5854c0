package ledger

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
)

// zones have all the trouble there is: half hours and quarters, clocks that are changed by half an hour, at midnight, at
// a minute past it, over a whole day, and offsets of seconds.
var zones = []string{
	"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "America/Havana",
	"Pacific/Apia", "Pacific/Kiritimati", "Africa/Monrovia", "America/New_York", "Africa/Casablanca", "Antarctica/Troll", "Asia/Pyongyang",
}

func load(t interface{ Fatal(...any) }, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// naive walks every bucket and asks what the clock on the wall shows when it begins.
func naive(from, to time.Time, width Width, zone *time.Location) []time.Time {
	clock := func(t time.Time) (date, hour string) {
		local := t.In(zone)
		return local.Format(time.DateOnly), local.Format("2006-01-02 15 Z07:00:00")
	}
	edges := []time.Time{from}
	begun, lastHour := "", ""
	for t := from.Add(-72 * time.Hour); t.Before(to); t = t.Add(15 * time.Minute) {
		date, hour := clock(t)
		edge := width == ByBucket || width == ByHour && hour != lastHour || width == ByDay && date > begun
		if edge && t.After(from) {
			edges = append(edges, t)
		}
		begun, lastHour = max(begun, date), hour
	}
	return append(edges, to)
}

func TestWindowsAreThoseOfTheClockOnTheWall(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		zone := load(rt, rapid.SampledFrom(zones).Draw(rt, "zone"))
		width := rapid.SampledFrom([]Width{ByBucket, ByHour, ByDay}).Draw(rt, "width")
		near := time.Unix(rapid.Int64Range(10*86400, 4_000_000_000).Draw(rt, "near"), 0)
		if _, end := near.In(zone).ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(rt, "at a change") {
			near = end // changes of the clock are what can go wrong
		}
		from := reckoner.BucketOf(near).Add(-time.Duration(rapid.IntRange(0, 300).Draw(rt, "before")) * reckoner.Bucket)
		to := from.Add(time.Duration(rapid.IntRange(1, 600).Draw(rt, "buckets")) * reckoner.Bucket)
		got, ok := Windows(from, to, width, zone, 1000)
		if diff := cmp.Diff(naive(from, to, width, zone), got); !ok || diff != "" {
			rt.Fatalf("%s, %s to %s (-naive +got):\n%s", zone, from, to, diff)
		}
	})
}

func TestDaysOfZones(t *testing.T) {
	for _, c := range []struct {
		zone, from, to string // dates of which the windows are wanted, in the zone
		hours          []float64
	}{
		{"UTC", "2026-03-28", "2026-03-31", []float64{24, 24, 24}},
		{"Europe/Berlin", "2026-03-28", "2026-03-31", []float64{24, 23, 24}},
		{"Europe/Berlin", "2026-10-24", "2026-10-27", []float64{24, 25, 24}},
		{"Australia/Lord_Howe", "2026-04-04", "2026-04-07", []float64{24, 24.5, 24}},
		{"Australia/Lord_Howe", "2026-10-03", "2026-10-06", []float64{24, 23.5, 24}},
		{"America/St_Johns", "2026-03-07", "2026-03-10", []float64{24, 23, 24}},
		{"America/St_Johns", "2006-10-28", "2006-10-31", []float64{24, 25, 24}},  // back at a minute past midnight
		{"America/Sao_Paulo", "2018-11-03", "2018-11-06", []float64{24, 23, 24}}, // midnight is left out
		{"America/Sao_Paulo", "2018-02-16", "2018-02-19", []float64{24, 25, 24}}, // back at midnight
		{"Pacific/Apia", "2011-12-29", "2012-01-01", []float64{24, 24}},          // the 30th was left out
		{"Asia/Kathmandu", "1985-12-31", "1986-01-03", []float64{24, 23.75, 24}},
	} {
		t.Run(c.zone+" "+c.from, func(t *testing.T) {
			zone := load(t, c.zone)
			start := func(text string) time.Time {
				d, err := time.Parse(time.DateOnly, text)
				if err != nil {
					t.Fatal(err)
				}
				return StartOfDay(d.Year(), d.Month(), d.Day(), zone)
			}
			edges, ok := Windows(start(c.from), start(c.to), ByDay, zone, 10)
			if !ok || edges[0].In(zone).Format(time.DateOnly) != c.from {
				t.Fatalf("%v", edges)
			}
			var hours []float64
			for i, edge := range edges[1:] {
				hours = append(hours, edge.Sub(edges[i]).Hours())
			}
			if diff := cmp.Diff(c.hours, hours); diff != "" {
				t.Errorf("hours of the days from %s: %s", edges, diff)
			}
		})
	}
}

func TestHoursThatComeTwice(t *testing.T) {
	for _, c := range []struct {
		zone, from, to string
		want           []string // starts of windows on the wall
	}{
		{"Europe/Berlin", "2026-10-24T23:00:00Z", "2026-10-25T02:00:00Z", []string{"01:00 +02", "02:00 +02", "02:00 +01"}},
		{"Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z", []string{"01:00 +01", "03:00 +02"}},
		{"Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z", []string{"01:00 +11", "01:30 +1030", "02:00 +1030"}},
		{"Asia/Kathmandu", "2026-01-01T00:30:00Z", "2026-01-01T02:00:00Z", []string{"06:15 +0545", "07:00 +0545"}},
	} {
		zone := load(t, c.zone)
		from, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := time.Parse(time.RFC3339, c.to)
		if err != nil {
			t.Fatal(err)
		}
		edges, _ := Windows(from, to, ByHour, zone, 10)
		var got []string
		for _, edge := range edges[:len(edges)-1] {
			got = append(got, edge.In(zone).Format("15:04 Z07")[:6]+edge.In(zone).Format("Z0700")[:3]+trimZero(edge.In(zone).Format("Z0700")[3:]))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s from %s: %s", c.zone, c.from, diff)
		}
	}
}

func trimZero(minutes string) string {
	if minutes == "00" {
		return ""
	}
	return minutes
}

func TestWindowsAreBounded(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		width Width
		span  time.Duration
	}{{ByBucket, 15 * time.Minute}, {ByHour, time.Hour}, {ByDay, 24 * time.Hour}} {
		if edges, ok := Windows(from, from.Add(100*c.span), c.width, time.UTC, 100); !ok || len(edges) != 101 {
			t.Errorf("100 windows: %d edges, %t", len(edges), ok)
		}
		if _, ok := Windows(from, from.Add(101*c.span), c.width, time.UTC, 100); ok {
			t.Error("101 windows are more than 100")
		}
		if _, ok := Windows(reckoner.MinTime, reckoner.MaxTime, c.width, load(t, "Europe/Berlin"), 10_000); ok {
			t.Error("all of time is more than 10,000 windows")
		}
	}
	for _, name := range zones {
		zone := load(t, name)
		for year := 1971; year < 2100; year += 13 {
			for _, date := range []time.Time{time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(year, 10, 25, 0, 0, 0, 0, time.UTC)} {
				start := StartOfDay(date.Year(), date.Month(), date.Day(), zone)
				if got := fmt.Sprint(start.In(zone).Format(time.DateOnly)); got != date.Format(time.DateOnly) {
					t.Errorf("%s: the day %s begins on %s", name, date.Format(time.DateOnly), got)
				}
			}
		}
	}
}
