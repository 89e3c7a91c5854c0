package awsmarketplace

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
)

const (
	day = 24 * time.Hour
	// takes is how long after its timestamp AWS takes a record. Ours have the start of their hour.
	takes = day
	// monthEnd is how long after the end of a month in UTC AWS still takes that month's records.
	monthEnd = 6 * time.Hour
	// lead is how long before that an hour is given up: a delivery needs time.
	lead = 5 * time.Minute
	// freshMax is how long ago the first report of an installation may begin.
	freshMax = 7 * day
	// openMax bounds the hours of which it is not known what came of them.
	openMax = 48
)

// taken reports whether AWS still takes records of the hour that starts then.
func taken(start, now time.Time) bool {
	until := start.Add(takes)
	y, m, _ := start.UTC().Date()
	if closed := time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).Add(monthEnd); closed.Before(until) {
		until = closed
	}
	return now.Before(until.Add(-lead))
}

// Due returns the hours to report: those of which it is not known what came of them, to be sent again as they were; and
// those that ended since. An hour that AWS takes no more is left out: what was used in it goes out with the next one.
func (t *Target) Due(terms *report.Terms, past []ledger.Report, now time.Time) ([]report.Part, error) {
	market, err := marketOf(terms)
	if err != nil {
		return nil, err
	}
	head, err := newest(past)
	if err != nil {
		return nil, err
	}
	from := begins(market)
	if head.Until.IsZero() && now.Sub(from) > freshMax {
		return nil, fmt.Errorf("installation %q: nothing is kept of what AWS was told of it, and from (%s) is more than %d days ago. If it was reported before, all since then would be billed again: set from to the first hour that AWS has not been told of (see BatchMeterUsage in CloudTrail)",
			terms.Installation.ID, from.Format(time.RFC3339), freshMax/day)
	}
	var parts []report.Part
	for i := range head.Open {
		if o := &head.Open[i]; o.learn(past, now).open {
			parts = append(parts, o.part())
		}
	}
	after := head.Until
	if after.After(now) {
		after = now.Add(-takes) // a clock that was ahead drafted hours to come
	}
	for start := now.Add(-takes).Truncate(time.Hour); !start.Add(time.Hour + t.grace).After(now); start = start.Add(time.Hour) {
		if start.Before(from) || start.Before(after) || !taken(start, now) || drafted(past, start) {
			continue
		}
		parts = append(parts, partOf(from, start))
	}
	slices.SortStableFunc(parts, func(a, b report.Part) int { return a.Day.Start.Compare(b.Day.Start) })
	return parts, nil
}

// Edges returns where the ledger is to be cut: at the hour, where resources change, and where dimensions begin. They are
// the same whatever was reported before.
func (*Target) Edges(terms *report.Terms, _ []ledger.Report, part report.Part) []time.Time {
	edges := terms.Edges(part)
	if market := terms.Installation.AWS; market != nil {
		for i := range market.Dimensions {
			if at := market.Start(&market.Dimensions[i]); part.Period.Contains(at) {
				edges = append(edges, at.UTC())
			}
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	return slices.CompactFunc(edges, time.Time.Equal)
}

// partOf returns the part of an hour. Its period is all the time that its figures are of.
func partOf(from, start time.Time) report.Part {
	start = start.UTC()
	return report.Part{
		Period: reckoner.Period{Start: from.UTC(), End: start.Add(time.Hour)},
		Day:    reckoner.Period{Start: start, End: start.Add(time.Hour)},
	}
}

// begins returns from when on anything is reported.
func begins(market *catalog.Marketplace) time.Time {
	from := market.Start(&market.Dimensions[0])
	for i := range market.Dimensions {
		if at := market.Start(&market.Dimensions[i]); at.Before(from) {
			from = at
		}
	}
	return from
}

func marketOf(terms *report.Terms) (*catalog.Marketplace, error) {
	market := terms.Installation.AWS
	if market == nil || len(market.Dimensions) == 0 {
		return nil, fmt.Errorf("installation %q: %w", terms.Installation.ID, errNoMarket)
	}
	return market, nil
}

var errNoMarket = errors.New("the catalog does not say how it is reported to AWS: it has no aws with dimensions")
