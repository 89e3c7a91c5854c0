package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"reckoner"
)

func ordered(all []measure) []measure {
	slices.SortFunc(all, measure.compare)
	return slices.Compact(all)
}

// rowKey orders rows: by meter, the roll-up before the resources.
type rowKey struct {
	measure
	resource string
}

func (k rowKey) compare(o rowKey) int {
	return cmp.Or(k.measure.compare(o.measure), cmp.Compare(k.resource, o.resource))
}

// figures are what a row adds up.
type figures struct {
	day, period reckoner.Quantity
	limit       limit
}

// limit is the sum of the limits of some subscriptions, as far as each of them has one.
type limit struct {
	sum       reckoner.Quantity
	unlimited bool
	last      string // the subscription that was added last: none counts twice
}

// rows returns the usage of every resource that has begun in the period, and beside it the roll-up: the fold of its rows.
func (m *maker) rows() ([]Row, error) {
	rows := make(map[rowKey]*figures)
	whole := make(map[measure]*limit)
	for _, a := range m.accounts {
		for _, of := range a.measures {
			for _, s := range m.stretches[a.id] {
				if err := m.count(rows, whole, &a, of, s); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(m.terms.Installation.Resources) > 0 {
		if err := rollUp(rows, whole); err != nil {
			return nil, err
		}
	}
	out := make([]Row, 0, len(rows))
	for _, k := range slices.SortedFunc(maps.Keys(rows), rowKey.compare) {
		f := rows[k]
		row := Row{ResourceID: k.resource, Meter: m.meter(k.measure), Day: f.day, Period: f.period}
		if !f.limit.unlimited {
			row.Limit = &f.limit.sum
		}
		out = append(out, row)
	}
	return out, nil
}

// count adds what a stretch comes to to the row of its resource.
func (m *maker) count(rows map[rowKey]*figures, whole map[measure]*limit, a *account, of measure, s stretch) error {
	k := rowKey{of, s.resource}
	f, ok := rows[k]
	if !ok {
		f = new(figures)
		rows[k] = f
	}
	if whole[of] == nil {
		whole[of] = new(limit)
	}
	if err := cmp.Or(f.limit.add(a, of), whole[of].add(a, of)); err != nil {
		return err
	}
	readings := m.book[line{a.id, of}]
	window := s.Period
	if window.Start.Before(m.part.Day.Start) {
		window.Start = m.part.Day.Start
	}
	if window.End.After(m.part.Day.End) {
		window.End = m.part.Day.End
	}
	inDay, err := fold(readings, window, m.dayMoment)
	if err != nil {
		return outOfRange(k, err)
	}
	inPeriod, err := fold(readings, s.Period, m.periodMoment)
	if err != nil {
		return outOfRange(k, err)
	}
	return f.join(k, inDay, inPeriod)
}

func (f *figures) join(k rowKey, inDay, inPeriod reckoner.Quantity) (err error) {
	if f.day, err = join(k.kind, f.day, inDay); err != nil {
		return outOfRange(k, err)
	}
	if f.period, err = join(k.kind, f.period, inPeriod); err != nil {
		return outOfRange(k, err)
	}
	return nil
}

// add adds a subscription's limit on a meter. Stretches of one subscription come one after the other.
func (l *limit) add(a *account, of measure) (err error) {
	if a.subscription == nil || a.subscription.Limit == nil || a.subscription.Meter != of.meter || of.kind != reckoner.Interval {
		l.unlimited = true
		return nil
	}
	if l.last == a.id {
		return nil
	}
	l.last = a.id
	if l.sum, err = l.sum.Add(*a.subscription.Limit); err != nil {
		return fmt.Errorf("limits on meter %q: %w", of.meter, err)
	}
	return nil
}

// rollUp folds the rows of the resources into those of the installation.
func rollUp(rows map[rowKey]*figures, whole map[measure]*limit) error {
	for _, k := range slices.SortedFunc(maps.Keys(rows), rowKey.compare) {
		to := rowKey{measure: k.measure}
		f, ok := rows[to]
		if !ok {
			f = &figures{limit: *whole[k.measure]}
			rows[to] = f
		}
		if err := f.join(to, rows[k].day, rows[k].period); err != nil {
			return err
		}
	}
	return nil
}

func outOfRange(k rowKey, err error) error {
	return fmt.Errorf("usage of meter %q by resource %q: %w", k.meter, k.resource, err)
}
