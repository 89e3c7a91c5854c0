package receiver

import (
	"fmt"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// takes is how long after its end a part is taken.
const takes = 24 * time.Hour

// cents is how many decimals a total is rounded to.
const cents = 2

// rules checks what the values say, as far as they could be read.
func (r *reader) rules(t *Taken, now time.Time) {
	if r.stopped {
		return
	}
	r.times(t, now)
	names := make(map[string]bool, len(t.Usage))
	for i := range t.Usage {
		names[t.Usage[i].Name] = true
	}
	for i := range t.Items {
		if !r.itemBroken[i] {
			r.charged(r.items+"["+strconv.Itoa(i)+"]", &t.Items[i], names)
		}
	}
	for i := range t.Discounts {
		r.span(fmt.Sprintf("billing.discounts[%d]", i), t.Discounts[i].Start, t.Discounts[i].End)
	}
	if !r.usageBroken {
		r.rollUps(t.Usage)
	}
}

func (r *reader) times(t *Taken, now time.Time) {
	if !t.PeriodStart.IsZero() && !t.PeriodEnd.IsZero() && !t.PeriodStart.Before(t.PeriodEnd) {
		r.fault("period", "it ends at %s, not after its start", t.PeriodEnd.Format(wireLayout))
	}
	if !t.EOD.IsZero() && !t.PeriodStart.IsZero() && t.EOD.Before(t.PeriodStart) {
		r.fault("eod", "%s is before the period's start", t.EOD.Format(wireLayout))
	}
	if !t.EOD.IsZero() && !t.PeriodEnd.IsZero() && t.EOD.After(t.PeriodEnd) {
		r.fault("eod", "%s is after the period's end", t.EOD.Format(wireLayout))
	}
	for _, end := range []struct {
		path string
		at   time.Time
	}{{"period.end", t.PeriodEnd}, {"eod", t.EOD}} {
		if !end.at.IsZero() && now.Sub(end.at) > takes {
			r.fault(end.path, "%s is older than 24 hours: it is %s", end.at.Format(wireLayout), now.UTC().Format(wireLayout))
		}
	}
}

// charged checks an item: it is of a metric, and its total is its price times its quantity, rounded once.
func (r *reader) charged(path string, i *Item, names map[string]bool) {
	if !r.usageBroken && !names[i.Name] {
		r.fault(path, "%q is the name of no metric in usage", clip(i.Name))
	}
	if want := i.Price.Mul(i.Quantity).RoundBank(cents); !want.Equal(i.Total) {
		r.fault(path, "total is %s, and price × quantity is %s", i.Total, want.StringFixed(cents))
	}
	r.span(path, i.Start, i.End)
}

func (r *reader) span(path string, start, end time.Time) {
	if !start.IsZero() && !end.IsZero() && end.Before(start) {
		r.fault(path, "it ends at %s, before its start", end.Format(wireLayout))
	}
}

// metric is what the rows of several resources are of.
type metric struct{ name, kind string }

// sum is the rows of a metric's resources, folded.
type sum struct {
	rows, rollUps int
	units         string
	day, period   decimal.Decimal
}

// rollUps checks that every row is there once, and that beside the rows of resources stands the roll-up that they come to.
func (r *reader) rollUps(rows []Usage) {
	sums := make(map[metric]*sum)
	var order []metric // faults in the order of the body
	seen := make(map[[3]string]bool, len(rows))
	for i := range rows {
		u := &rows[i]
		key := [3]string{u.ResourceID, u.Name, u.Type}
		if seen[key] {
			r.fault(fmt.Sprintf("usage[%d]", i), "%s is given twice", u.describe())
		}
		seen[key] = true
		m := metric{u.Name, u.Type}
		if sums[m] == nil {
			sums[m] = &sum{units: u.Units}
			order = append(order, m)
		}
		s := sums[m]
		if s.units != u.Units {
			r.fault(fmt.Sprintf("usage[%d]", i), "%s is in %q, and in %q before", u.describe(), clip(u.Units), clip(s.units))
		}
		if u.ResourceID == "" {
			s.rollUps++
		} else {
			s.rows++
			s.day, s.period = u.join(s.day, u.Day), u.join(s.period, u.Period)
		}
	}
	for _, m := range order {
		if s := sums[m]; s.rows > 0 && s.rollUps == 0 {
			r.fault("usage", "%s (%s) has rows of resources and no roll-up beside them", clip(m.name), m.kind)
		}
	}
	for i := range rows {
		u := &rows[i]
		s := sums[metric{u.Name, u.Type}]
		if u.ResourceID == "" && s.rows > 0 && (!u.Day.Equal(s.day) || !u.Period.Equal(s.period)) {
			r.fault(fmt.Sprintf("usage[%d]", i), "the roll-up of %s has dayValue %s and periodValue %s, and its resources come to %s and %s",
				clip(u.Name), u.Day, u.Period, s.day, s.period)
		}
	}
}

// join puts a row's value beside those of other resources: of a rate the greater one, of all else the sum.
func (u *Usage) join(a, b decimal.Decimal) decimal.Decimal {
	if u.Type == "rate" {
		return decimal.Max(a, b)
	}
	return a.Add(b)
}

func (u *Usage) describe() string {
	if u.ResourceID == "" {
		return fmt.Sprintf("%s (%s) of the whole installation", clip(u.Name), u.Type)
	}
	return fmt.Sprintf("%s (%s) of resource %s", clip(u.Name), u.Type, clip(u.ResourceID))
}
