package ingest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// The bounds of one answer.
const (
	usageRowsMax = 10_000 // and as many windows, and when no limit is given
	storyMax     = 1000
	storyLimit   = 100 // when none is given
	zoneBytesMax = 64
)

// byPeriod is the window that is not cut by the clock: a billing period.
const byPeriod ledger.Width = 0

// windowNames are what windows are asked for by.
func windowNames() map[string]ledger.Width {
	return map[string]ledger.Width{"bucket": ledger.ByBucket, "hour": ledger.ByHour, "day": ledger.ByDay, "period": byPeriod}
}

// windowQuery is what a request for usage asks for. Times that are absent are zero.
type windowQuery struct {
	from, to time.Time
	meter    string
	window   string
	width    ledger.Width
	zone     *time.Location
	limit    int
	after    *ledger.UsageCursor
}

// queryReader takes parameters one by one and gathers what is wrong with them.
type queryReader struct {
	fieldsError
	values url.Values
}

// readQuery reads a query that may have no other parameters than these, each once: one that is misspelt would else give
// figures of something that was not asked for.
func readQuery(raw string, names ...string) (*queryReader, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, invalid("invalid query: %s", clip(err.Error()))
	}
	q := &queryReader{values: values}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(names, name):
			q.add(clip(name), "unknown parameter: there are "+strings.Join(names, ", "))
		case len(values[name]) > 1:
			q.add(name, "given more than once")
		}
	}
	return q, nil
}

// text returns a parameter; an empty one is absent.
func (q *queryReader) text(name string) string { return q.values.Get(name) }

// limit reads how many rows are wanted.
func (q *queryReader) limit(fallback, most int) int {
	text := q.text("limit")
	if text == "" {
		return fallback
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n < 1 || int(n) > most {
		q.add("limit", fmt.Sprintf("want a number from 1 to %d", most))
		return fallback
	}
	return int(n)
}

// parseWindowQuery reads the query of a request for usage.
func parseWindowQuery(raw string) (windowQuery, error) {
	q, err := readQuery(raw, "from", "to", "meter", "window", "tz", "limit", "page_token")
	if err != nil {
		return windowQuery{}, err
	}
	u := windowQuery{meter: q.text("meter"), window: q.text("window"), zone: q.zone("tz"), limit: q.limit(usageRowsMax, usageRowsMax)}
	if len(u.meter) > reckoner.MaxTextBytes {
		q.add("meter", fmt.Sprintf("want at most %d bytes", reckoner.MaxTextBytes))
	}
	if u.window == "" {
		u.window = "day"
	}
	width, ok := windowNames()[u.window]
	if !ok {
		q.add("window", "want bucket, hour, day or period")
	}
	u.width = width
	anywhere := ok && width == byPeriod
	u.from = q.bound("from", u.zone, anywhere)
	u.to = q.bound("to", u.zone, anywhere)
	if token := q.text("page_token"); token != "" {
		cursor, ok := parseUsageToken(token)
		if !ok {
			q.add("page_token", "want one that an answer gave")
		}
		u.after = &cursor
	}
	return u, q.err()
}

// zone reads the name of a time zone; UTC when there is none.
func (q *queryReader) zone(name string) *time.Location {
	text := q.text(name)
	if text == "" {
		return time.UTC
	}
	// "Local" is wherever this process runs, and the zones of right/ count leap seconds, which no bucket does.
	if len(text) <= zoneBytesMax && text != "Local" && !strings.HasPrefix(text, "right/") {
		if zone, err := time.LoadLocation(text); err == nil {
			return zone
		}
	}
	q.add(name, "want the name of a time zone, as Europe/Berlin")
	return time.UTC
}

// bound reads a bound of time: a time, or a date, which is the begin of that day in the zone. It has to be one of a bucket,
// unless it may lie anywhere.
func (q *queryReader) bound(name string, zone *time.Location, anywhere bool) time.Time {
	text := q.text(name)
	if text == "" {
		return time.Time{}
	}
	t, ok := parseTime(text)
	if date, err := time.Parse(time.DateOnly, text); err == nil && reckoner.StorableTime(date) {
		t, ok = ledger.StartOfDay(date.Year(), date.Month(), date.Day(), zone), true
	}
	switch {
	case !ok:
		q.add(name, "want a time as RFC 3339 writes it (a + in a URL is written %2B), or a date as 2026-03-29")
	case !reckoner.StorableTime(t) && !t.Equal(reckoner.MaxTime):
		q.add(name, "want a time in the years 1970 to 2199")
	case !anywhere && !t.Equal(reckoner.BucketOf(t)):
		q.add(name, "want a multiple of 15 minutes: usage is kept in buckets of that width (with window=period it may be any time)")
	default:
		return t
	}
	return time.Time{}
}

// usageTokenBytes are a version, the two ends of a window, and a meter's type; the meter's name follows.
const usageTokenBytes = 1 + 8 + 8 + 1

// usageToken is the place after which the next page begins. What came before it is never shown again, whatever was added
// meanwhile.
func usageToken(c ledger.UsageCursor) string {
	b := append(make([]byte, 0, usageTokenBytes+len(c.Meter)), 1)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Window.Start.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Window.End.UnixNano()))
	b = append(append(b, byte(c.MeterType)), c.Meter...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseUsageToken(s string) (ledger.UsageCursor, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < usageTokenBytes || b[0] != 1 || !reckoner.MeterType(b[17]).Valid() {
		return ledger.UsageCursor{}, false
	}
	at := func(i int) time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(b[i:]))).UTC() }
	c := ledger.UsageCursor{
		Window: reckoner.Period{Start: at(1), End: at(9)}, MeterType: reckoner.MeterType(b[17]), Meter: string(b[usageTokenBytes:]),
	}
	return c, reckoner.StorableTime(c.Window.Start) && c.Window.Start.Before(c.Window.End) && !c.Window.End.After(reckoner.MaxTime)
}
