package ingest

import (
	"strings"
	"time"
)

// parseISO reads a point in time as ISO 8601 writes it, or says what is wrong with it. Beside the form of RFC 3339 it takes
// what clients of the dialect send: no seconds, a space for the T, an offset without its colon or its minutes. A time
// without an offset is refused: it would be a guess by hours, and a guess is billed.
func parseISO(s string) (time.Time, string) {
	const want = "want a time as 2026-06-15T12:00:00Z or 2026-06-15T14:00:00+02:00"
	const date = len("2026-06-15")
	if len(s) <= date {
		return time.Time{}, want
	}
	clock, zone := s[date+1:], ""
	switch s[date] {
	case 'T', 't', ' ':
	default:
		return time.Time{}, want
	}
	if i := strings.IndexAny(clock, "Zz+-"); i >= 0 {
		clock, zone = clock[:i], strings.ToUpper(clock[i:])
	}
	switch len(zone) {
	case 0:
		return time.Time{}, "give the offset: " + want
	case len("+02"):
		zone += ":00"
	case len("+0200"):
		zone = zone[:3] + ":" + zone[3:]
	}
	if len(clock) == len("12:00") {
		clock += ":00"
	}
	t, ok := parseTime(s[:date] + "T" + strings.Replace(clock, ",", ".", 1) + zone)
	if !ok {
		return time.Time{}, want
	}
	return t, ""
}
