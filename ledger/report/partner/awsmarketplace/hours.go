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
	// doubtMax is how long AWS is asked what came of an hour.
	doubtMax = 7 * day
	// underWay is how long after a report was made it is left to who made it: longer than it takes to send and record it.
	underWay = 10 * time.Minute
	// hoursMax bounds the hours of a report: those that AWS still takes, and some of which it has to be found out what came
	// of them. With maxDimensions of the catalog an answer has room for what came of all their records.
	hoursMax = 30
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

// Due returns one part: from the first hour that AWS has to be told of to the end of the last one. None, if it has been
// told of all that ended.
func (t *Target) Due(terms *report.Terms, past []ledger.Report, now time.Time) ([]report.Part, error) {
	market, err := marketOf(terms)
	if err != nil {
		return nil, err
	}
	s, r, err := newest(past)
	if err != nil {
		return nil, err
	}
	if from := begins(market); r == nil && now.Sub(from) > freshMax {
		return nil, fmt.Errorf("installation %q: nothing is kept of what AWS was told of it, and from (%s) is more than %d days ago. If it was reported before, all since then would be billed again: set from to the first hour that AWS has not been told of (see BatchMeterUsage in CloudTrail)",
			terms.Installation.ID, from.Format(time.RFC3339), freshMax/day)
	}
	if sending(r, now) {
		return nil, nil
	}
	if err := s.settle(r, now); err != nil {
		return nil, err
	}
	again, fresh := t.plan(s, market, now)
	if len(again)+len(fresh) == 0 {
		return nil, nil
	}
	return []report.Part{partOf(market, again, fresh)}, nil
}

// sending reports whether another reporter is likely to be sending the newest report right now. To tell the same hours beside
// it would only bring doubt about what came of them.
func sending(r *ledger.Report, now time.Time) bool {
	return r != nil && r.Status == ledger.ReportSending && !now.Before(r.Moment) && now.Sub(r.Moment) < underWay
}

// plan returns the hours of a report: those of which it is not known what came of them, which are said again as they were;
// and those that AWS was not told of and still takes, in order. An hour that it takes no more is left out: what was used in it
// goes out with the next one.
func (t *Target) plan(s *state, market *catalog.Marketplace, now time.Time) (again, fresh []time.Time) {
	for start := now.Add(-takes).Truncate(time.Hour); !start.Add(time.Hour + t.grace).After(now); start = start.Add(time.Hour) {
		if !start.Before(begins(market)) && taken(start, now) && !s.told(start) && s.hour(start) == nil {
			fresh = append(fresh, start.UTC())
		}
	}
	for i := range s.Hours {
		if len(again)+len(fresh) < hoursMax {
			again = append(again, s.Hours[i].Start)
		}
	}
	return again, fresh
}

// partOf returns the part that some hours make. Its period is all the time that its figures are of.
func partOf(market *catalog.Marketplace, again, fresh []time.Time) report.Part {
	all := slices.Concat(again, fresh)
	day := reckoner.Period{Start: slices.MinFunc(all, time.Time.Compare).UTC(), End: slices.MaxFunc(all, time.Time.Compare).Add(time.Hour).UTC()}
	period := reckoner.Period{Start: begins(market).UTC(), End: day.End}
	if day.Start.Before(period.Start) {
		period.Start = day.Start
	}
	return report.Part{Period: period, Day: day}
}

// Edges returns where the ledger is to be cut: at the hours, where resources change, and where dimensions begin. They are
// the same whatever was reported before.
func (*Target) Edges(terms *report.Terms, _ []ledger.Report, part report.Part) []time.Time {
	edges := terms.Edges(part)
	for at := part.Day.Start; at.Before(part.Day.End); at = at.Add(time.Hour) {
		edges = append(edges, at.UTC())
	}
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
