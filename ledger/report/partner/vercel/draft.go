package vercel

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

// Draft makes the report of a part. Of a part that has ended it is nil when the partner holds these very figures, or has
// refused them. The current part is always reported: the partner wants to hear, and that is how a mended token is found.
func (t *Target) Draft(in *report.Input, past []ledger.Report) (*partner.Draft, error) {
	d, err := draft(in)
	if err != nil {
		return nil, err
	}
	if ended := !in.Part.Day.End.After(in.Moment); ended && settled(d, in.Part, past) {
		return nil, nil
	}
	return d, nil
}

// Redraft makes a report again, by the rules that it was made by.
func (t *Target) Redraft(r *ledger.Report, readings []report.Reading) (*partner.Draft, error) {
	if r.Rules != report.Rules {
		return nil, fmt.Errorf("report of installation %q with timestamp %s: it was made by rules %d and this build knows %d: use a newer build",
			r.InstallationID, r.Timestamp.UTC().Format(time.RFC3339Nano), r.Rules, report.Rules)
	}
	terms, err := report.DecodeTerms(r.Inputs)
	if err != nil {
		return nil, fmt.Errorf("report of installation %q with timestamp %s: %w", r.InstallationID, r.Timestamp.UTC().Format(time.RFC3339Nano), err)
	}
	return draft(&report.Input{
		Terms: terms, Part: report.Part{Period: r.Period, Day: r.Day}, Readings: readings, AsOf: r.AsOf, Moment: r.Moment, Timestamp: r.Timestamp,
	})
}

func draft(in *report.Input) (*partner.Draft, error) {
	s, err := report.Make(*in)
	if err != nil {
		return nil, err
	}
	p := s.Payload()
	d := &partner.Draft{Scope: in.Terms.Scope(in.Part, in.Moment)}
	if d.Payload, err = p.Encode(); err != nil {
		return nil, err
	}
	p.Timestamp = report.Time{}
	said, err := p.Encode()
	if err != nil {
		return nil, err
	}
	d.Figures = sha256.Sum256(said)
	return d, nil
}

// settled reports whether there is no use in sending the figures of a part that has ended. Whether the partner holds a
// report that failed, or is still being sent, is not known, so its figures are sent again.
func settled(d *partner.Draft, part report.Part, past []ledger.Report) bool {
	last := newest(past, func(r *ledger.Report) bool { return samePart(r, part) })
	if last == nil || last.Figures != d.Figures {
		return false
	}
	switch last.Status {
	case ledger.ReportAccepted:
		return true
	case ledger.ReportRefused:
		// It may have been the token or the installation that was refused, not the figures. Once the partner took another
		// report after that one, it is worth another try.
		took := newest(past, func(r *ledger.Report) bool { return r.Status == ledger.ReportAccepted })
		return last.Code == http.StatusBadRequest || took == nil || took.Timestamp.Before(last.Timestamp)
	default:
		return false
	}
}

// newest returns the report with the greatest timestamp of those that fit. What was superseded was never sent.
func newest(past []ledger.Report, fits func(*ledger.Report) bool) *ledger.Report {
	var last *ledger.Report
	for i := range past {
		r := &past[i]
		if r.Target != Name || r.Status == ledger.ReportSuperseded || !fits(r) {
			continue
		}
		if last == nil || r.Timestamp.After(last.Timestamp) || r.Timestamp.Equal(last.Timestamp) && r.Revision > last.Revision {
			last = r
		}
	}
	return last
}

// samePart compares by what the partner tells parts apart: the times on the wire.
func samePart(r *ledger.Report, part report.Part) bool {
	same := func(a, b time.Time) bool { return a.Truncate(time.Millisecond).Equal(b.Truncate(time.Millisecond)) }
	return same(r.Day.End, part.Day.End) && same(r.Period.Start, part.Period.Start) && same(r.Period.End, part.Period.End)
}
