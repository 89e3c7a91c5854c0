package accounts

import (
	"time"

	"reckoner"
)

// When says which billing periods of a row are asked for. The zero When is the current one.
type When struct {
	kind whenKind
	at   time.Time // of an instant that, of a month its first instant
}

type whenKind uint8

const (
	current whenKind = iota
	previous
	instant
	month
)

// WhenHelp says what ParseWhen reads.
const WhenHelp = "want current, previous, a month as 2026-06 (the periods that begin in it), or a date or a time as RFC 3339 writes it " +
	"(the period that holds it), in the years 1970 to 2199"

// ParseWhen reads which periods are asked for: `current` (also empty), `previous`, a month, a date, or a time. Dates and
// months are those of UTC.
func ParseWhen(text string) (When, error) {
	switch text {
	case "", "current":
		return When{}, nil
	case "previous":
		return When{kind: previous}, nil
	}
	for _, form := range []struct {
		kind   whenKind
		layout string
	}{{month, "2006-01"}, {instant, time.DateOnly}, {instant, time.RFC3339Nano}} {
		if t, err := time.Parse(form.layout, text); err == nil && reckoner.StorableTime(t) {
			return When{form.kind, t.UTC()}, nil
		}
	}
	return When{}, &reckoner.Error{Code: reckoner.Invalid, Field: "period", Message: WhenHelp}
}

// String returns a text that ParseWhen reads as the same.
func (w When) String() string {
	switch w.kind {
	case current:
		return "current"
	case previous:
		return "previous"
	case month:
		return w.at.Format("2006-01")
	default:
		return w.at.Format(time.RFC3339Nano)
	}
}

// Periods returns the periods of a row that are asked for and have begun, in order: of a month those that begin in it, or,
// where none does, the one that holds its first instant; else one. A time that has not begun has none.
func (w When) Periods(row reckoner.Cycle, now time.Time) []reckoner.Period {
	switch w.kind {
	case current:
		return []reckoner.Period{row.At(now)}
	case previous:
		return []reckoner.Period{row.At(row.At(now).Start.Add(-1))}
	case month:
		return w.inMonth(row, now)
	default:
		return begun(row.At(w.at), now)
	}
}

func (w When) inMonth(row reckoner.Cycle, now time.Time) []reckoner.Period {
	held := row.At(w.at)
	next := w.at.AddDate(0, 1, 0)
	p := held
	if p.Start.Before(w.at) {
		p = row.At(p.End)
	}
	if !p.Start.Before(next) {
		return begun(held, now)
	}
	var all []reckoner.Period
	for ; p.Start.Before(next); p = row.At(p.End) {
		all = append(all, begun(p, now)...)
	}
	return all
}

func begun(p reckoner.Period, now time.Time) []reckoner.Period {
	if p.Start.After(now) {
		return nil
	}
	return []reckoner.Period{p}
}
