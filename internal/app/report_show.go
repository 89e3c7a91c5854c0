package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

// ReportShowOptions say what of an installation's reports is shown.
type ReportShowOptions struct {
	Installation string
	Day          string // a date, or `latest`
	Payload      bool   // with the exact bytes of the newest report of each part
	Limit        int    // entries behind each figure that are shown at most; 0: all
	JSON         bool
}

const dayLatest = "latest"

// ReportShow is the command `report show`: what was sent for a day, and what stands behind it, down to ids of events.
func ReportShow(ctx context.Context, p *Process, out io.Writer, o ReportShowOptions) error {
	l, err := p.reportLedger(ctx)
	if err != nil {
		return err
	}
	s, err := (&shower{ledger: l, targets: p.targetsByName()}).show(ctx, o)
	if err != nil {
		return err
	}
	if o.JSON {
		return writeJSON(out, s)
	}
	return s.print(out)
}

// shownDay is what there is of an installation's reports for a day.
type shownDay struct {
	Installation string       `json:"installation"`
	Target       string       `json:"target"`
	Account      string       `json:"account"`
	Parts        []*shownPart `json:"parts"`
}

// shownPart is a part of a day, and every report of it.
type shownPart struct {
	DayStart    time.Time     `json:"day_start"`
	DayEnd      time.Time     `json:"eod"`
	PeriodStart time.Time     `json:"period_start"`
	PeriodEnd   time.Time     `json:"period_end"`
	Reports     []shownReport `json:"reports"`
	// Of is the timestamp of the report whose figures follow: the newest that was not superseded. Zero: none holds any.
	Of      time.Time      `json:"figures_of,omitzero"`
	Rows    []shownRow     `json:"rows,omitzero"`
	Figures []*shownFigure `json:"figures,omitzero"`
	// Differ is in how many places the report that was sent says otherwise than these figures. 0, unless one was damaged.
	Differ   int    `json:"figures_differ,omitzero"`
	Payload  string `json:"payload,omitzero"`
	newest   *ledger.Report
	withSent bool
}

// shownReport is one report.
type shownReport struct {
	Timestamp time.Time `json:"timestamp"`
	Status    string    `json:"status"`
	Attempt   uint32    `json:"attempt"`
	Code      int       `json:"code"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	AsOf      string    `json:"as_of,omitzero"`
	Stale     bool      `json:"stale,omitzero"`
	SHA256    string    `json:"payload_sha256,omitzero"`
	Response  string    `json:"response,omitzero"`
	Error     string    `json:"error,omitzero"`
	Reporter  string    `json:"reporter"`
}

// shownRow is what the report says of a meter.
type shownRow struct {
	Resource string             `json:"resource,omitzero"` // empty: the whole installation
	Meter    string             `json:"meter"`
	Type     string             `json:"type"`
	Unit     string             `json:"unit"`
	Day      reckoner.Quantity  `json:"day"`
	Period   reckoner.Quantity  `json:"period"`
	Limit    *reckoner.Quantity `json:"limit,omitzero"`
}

// shower shows reports.
type shower struct {
	ledger  provingLedger
	targets map[string]partner.Target
}

// partKey is a part of a day, whatever zones its times are written in.
type partKey [4]int64

func keyOf(r *ledger.Report) partKey {
	return partKey{r.Period.Start.UnixNano(), r.Period.End.UnixNano(), r.Day.Start.UnixNano(), r.Day.End.UnixNano()}
}

// show gathers the parts of the day, by time.
func (w *shower) show(ctx context.Context, o ReportShowOptions) (*shownDay, error) {
	day, latest, err := w.day(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &shownDay{Installation: o.Installation}
	by := map[partKey]*shownPart{}
	// What shares time with this day ends after its start. A part is a day long at most, and what AWS is told of, where an
	// hour is in doubt, a week.
	q := ledger.ReportQuery{InstallationID: o.Installation, EODFrom: day.Start, EODTo: day.End.Add(8 * 24 * time.Hour)}
	for r, err := range w.ledger.Reports(ctx, q) {
		if err != nil {
			return nil, err
		}
		part := keyOf(&r)
		if latest != nil && part != *latest || !r.Day.End.After(day.Start) || !r.Day.Start.Before(day.End) {
			continue
		}
		if by[part] == nil {
			by[part] = &shownPart{DayStart: r.Day.Start, DayEnd: r.Day.End, PeriodStart: r.Period.Start, PeriodEnd: r.Period.End, withSent: o.Payload}
			s.Parts = append(s.Parts, by[part])
		}
		s.Target, s.Account = r.Target, r.AccountID
		by[part].add(&r)
	}
	if len(s.Parts) == 0 {
		return nil, fmt.Errorf("nothing was reported of installation %q for %s; `reckoner report status` lists the installations", o.Installation, o.Day)
	}
	slices.SortFunc(s.Parts, func(a, b *shownPart) int {
		return cmp.Or(a.DayStart.Compare(b.DayStart), a.PeriodStart.Compare(b.PeriodStart))
	})
	for _, part := range s.Parts {
		if err := w.prove(ctx, part, o.Limit); err != nil {
			return nil, fmt.Errorf("figures of the report of %s: %w", moment(part.Of), err)
		}
	}
	return s, nil
}

// day returns which time is asked for: the whole of a date in UTC, or the part that was reported last.
func (w *shower) day(ctx context.Context, o ReportShowOptions) (day reckoner.Period, latest *partKey, err error) {
	if o.Day != dayLatest {
		start, err := time.Parse(time.DateOnly, o.Day)
		if err != nil {
			return day, nil, fmt.Errorf("--day %q: want a date as in 2026-03-15, or %s", o.Day, dayLatest)
		}
		return reckoner.Period{Start: start, End: start.AddDate(0, 0, 1)}, nil, nil
	}
	for sum, err := range w.ledger.ReportSummaries(ctx) {
		if err != nil {
			return day, nil, err
		}
		if sum.InstallationID == o.Installation {
			key := keyOf(&sum.Last)
			return sum.Last.Day, &key, nil
		}
	}
	return day, nil, fmt.Errorf("nothing was ever reported of installation %q; `reckoner report status` lists the installations", o.Installation)
}

func (p *shownPart) add(r *ledger.Report) {
	one := shownReport{
		Timestamp: r.Timestamp, Status: r.Status.String(), Attempt: r.Attempt, Code: r.Code, SentAt: r.SentAt, Stale: r.Stale,
		Response: r.Response, Error: r.Error, Reporter: r.Reporter,
	}
	if r.AsOf != nil {
		one.AsOf = r.AsOf.String()
	}
	if len(r.Payload) > 0 {
		sum := sha256.Sum256(r.Payload)
		one.SHA256 = hex.EncodeToString(sum[:])
	}
	p.Reports = append(p.Reports, one)
	if r.Status == ledger.ReportSuperseded || len(r.Payload) == 0 || p.newest != nil && r.Timestamp.Before(p.newest.Timestamp) {
		return
	}
	kept := *r
	p.newest, p.Of = &kept, r.Timestamp
	if p.withSent {
		p.Payload = string(r.Payload)
	}
}

// prove reads what the newest report of a part was made from, at its position, and what stands behind it.
func (w *shower) prove(ctx context.Context, p *shownPart, limit int) error {
	if p.newest == nil {
		return nil
	}
	r := p.newest
	terms, err := report.DecodeTerms(r.Inputs)
	if err != nil {
		return err
	}
	q, err := query(w.targets, r)
	if err != nil {
		return err
	}
	answers, err := w.ledger.FiguresAt(ctx, []ledger.FiguresQuery{q})
	if err != nil {
		return err
	}
	figures := answers[0].Rows
	p.Differ = len((&prover{targets: w.targets}).compare(r, figures))
	if p.Figures, err = behind(ctx, w.ledger, q, figures, r.Day, limit); err != nil {
		return err
	}
	part := report.Part{Period: r.Period, Day: r.Day}
	if own := terms.Calendar().At(r.Day.Start); keyOf(&ledger.Report{Period: own.Period, Day: own.Day}) != keyOf(r) {
		return nil // the target has parts of its own, of which there is no statement
	}
	made, err := report.Make(report.Input{
		Terms: terms, Part: part, Readings: readingsOf(figures), AsOf: r.AsOf, Moment: r.Moment, Timestamp: r.Timestamp,
	})
	if err != nil {
		return err
	}
	for _, row := range made.Rows {
		p.Rows = append(p.Rows, shownRow{
			Resource: row.ResourceID, Meter: row.Meter.Name, Type: row.Meter.Type.String(), Unit: row.Meter.Unit, Day: row.Day, Period: row.Period, Limit: row.Limit,
		})
	}
	return nil
}
