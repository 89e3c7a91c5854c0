package accounts

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
)

// TestWhen: which periods a text names, at noon of 2026-06-15.
func TestWhen(t *testing.T) {
	date := func(text string) time.Time { return must(time.Parse(time.RFC3339, text)) }
	months := reckoner.Cycle{}
	tenth := reckoner.Cycle{Anchor: date("2026-01-10T08:00:00Z")}
	last := reckoner.Cycle{Anchor: date("2026-01-31T00:00:00Z")}
	weeks := reckoner.Cycle{Anchor: date("2026-06-01T00:00:00Z"), Every: reckoner.Week}
	years := reckoner.Cycle{Anchor: date("2024-02-29T00:00:00Z"), Every: reckoner.Year}
	for _, c := range []struct {
		text string
		row  reckoner.Cycle
		want string // starts
	}{
		{"", months, "2026-06-01"},
		{"current", tenth, "2026-06-10"},
		{"previous", months, "2026-05-01"},
		{"previous", last, "2026-04-30"},
		{"previous", years, "2025-02-28"},
		{"2026-06", months, "2026-06-01"},
		{"2026-06", tenth, "2026-06-10"}, // June's is the one that begins in June
		{"2026-02", last, "2026-02-28"},
		{"2026-06", last, ""}, // begins on the 30th
		{"2026-05", weeks, "2026-05-04 2026-05-11 2026-05-18 2026-05-25"},
		{"2026-06", weeks, "2026-06-01 2026-06-08 2026-06-15"}, // two have not begun
		{"2026-05", years, "2026-02-28"},
		{"2024-02", years, "2024-02-29"},
		{"2026-06-10", tenth, "2026-05-10"}, // the period begins at eight
		{"2026-06-10T08:00:00Z", tenth, "2026-06-10"},
		{"2026-06-10T07:59:59.999999999Z", tenth, "2026-05-10"},
		{"2026-06-10T10:00:00+02:00", tenth, "2026-06-10"},
		{"2026-07-01", months, ""},
		{"2199-12", months, ""},
		{"1970-01", tenth, "1970-01-10"},
		{"1970-01-01", tenth, "1969-12-10"},
	} {
		when, err := ParseWhen(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var starts []string
		for _, p := range when.Periods(c.row, noon()) {
			starts = append(starts, p.Start.Format(time.DateOnly))
		}
		if diff := cmp.Diff(c.want, strings.Join(starts, " ")); diff != "" {
			t.Errorf("%q of %v: %s", c.text, c.row, diff)
		}
	}
}

func TestBadWhen(t *testing.T) {
	for _, text := range []string{
		"now", "Current", "2026", "2026-13", "2026-6", "2026-02-30", "2026-06-10T10:00:00", "1969-12", "2200-01", "2026-06-10 10:00", " current", "20260610",
	} {
		_, err := ParseWhen(text)
		var e *reckoner.Error
		if !errors.As(err, &e) || e.Code != reckoner.Invalid || e.Field != "period" || !strings.Contains(e.Message, "2026-06") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzWhen: no text names a period that has not begun, or none and no error where it has; what is read is written as a text
// that is read as the same.
func FuzzWhen(f *testing.F) {
	for _, text := range []string{"current", "previous", "2026-06", "2026-06-10", "2026-06-10T10:00:00.5+02:00", "2199-12-31T23:59:59Z", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		when, err := ParseWhen(text)
		if err != nil {
			return
		}
		again, err := ParseWhen(when.String())
		if err != nil || again != when {
			t.Fatalf("%q is read as %v, and written and read as %v (%v)", text, when, again, err)
		}
		for _, row := range rows() {
			for _, p := range when.Periods(row, noon()) {
				if p.Start.After(noon()) || row.At(p.Start) != p {
					t.Fatalf("%q of %v: [%s, %s)", text, row, p.Start, p.End)
				}
			}
		}
	})
}

func rows() []reckoner.Cycle {
	anchor := time.Date(2026, 1, 31, 22, 7, 30, 0, time.UTC)
	return []reckoner.Cycle{
		{}, {Anchor: anchor}, {Anchor: anchor, Every: reckoner.Day}, {Anchor: anchor, Every: reckoner.Week}, {Anchor: anchor, Every: reckoner.Year},
	}
}

// In a row of months every period that is no longer than a month comes once.
func TestMonthsOfARowOfPeriods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := reckoner.Cycle{
			Anchor: time.Unix(rapid.Int64Range(0, 2e9).Draw(t, "anchor"), 0).UTC(),
			Every:  rapid.SampledFrom([]reckoner.Every{reckoner.Month, reckoner.Week, reckoner.Day}).Draw(t, "every"),
		}
		first := time.Date(2024, time.Month(rapid.IntRange(1, 24).Draw(t, "month")), 1, 0, 0, 0, 0, time.UTC)
		now := noon()
		var last reckoner.Period
		for m := first; !m.After(now); m = m.AddDate(0, 1, 0) {
			for _, p := range must(ParseWhen(m.Format("2006-01"))).Periods(row, now) {
				if !last.End.IsZero() && !p.Start.Equal(last.End) {
					t.Fatalf("[%s, %s) comes after [%s, %s)", p.Start, p.End, last.Start, last.End)
				}
				last = p
			}
		}
		if !last.Contains(now) {
			t.Fatalf("the last is [%s, %s)", last.Start, last.End)
		}
	})
}
