package report

import (
	"fmt"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
)

// Input is all that a statement is made from.
type Input struct {
	Terms    *Terms
	Part     Part
	Readings []Reading          // of the slices between Terms.Edges(Part), in any order
	AsOf     *reckoner.Position // what the readings include; nil: there are none
	// Moment is the reporter's clock, taken before the readings were read. It decides what a level is now, and which
	// resources have begun; never what usage counts. It never lies before the part.
	Moment time.Time
	// Timestamp is the report's own, which only rises. It orders reports and decides nothing else, so it may lie beyond the
	// part where a clock was set back. Zero: the moment.
	Timestamp time.Time
}

// Statement is what an installation used, and what it costs, in one part of a day and in its period so far. Rows, items and
// discounts are in a fixed order.
type Statement struct {
	InstallationID string
	Part           Part
	Moment         time.Time
	Timestamp      time.Time
	AsOf           *reckoner.Position
	Rules          int
	Rows           []Row
	Items          []Item
	Discounts      []Discount
}

// Row is the usage of one meter by one resource, or by the whole installation.
type Row struct {
	ResourceID string // empty: the whole installation
	Meter      reckoner.Meter
	Day        reckoner.Quantity  // of an interval meter used in the part of the day, of a level now or at the part's end, of a rate the peak in the part
	Period     reckoner.Quantity  // the same of the period
	Limit      *reckoner.Quantity // of the period; nil: none
}

// Make returns the statement of an input. An error says that the input does not fit together, or that a sum is out of
// range; never that something is missing in the ledger.
func Make(in Input) (*Statement, error) {
	s, err := in.make()
	if err != nil {
		return nil, fmt.Errorf("statement of installation %q for %s: %w", in.Terms.Installation.ID, in.Part, err)
	}
	return s, nil
}

func (in *Input) make() (*Statement, error) {
	if at := in.Terms.Calendar().At(in.Part.Day.Start); !at.same(in.Part) {
		return nil, fmt.Errorf("the installation's calendar has %s there", at)
	}
	if in.Moment.Before(in.Part.Day.Start) {
		return nil, fmt.Errorf("it has not begun at %s", in.Moment.UTC().Format(time.RFC3339Nano))
	}
	b, err := read(in.Terms, in.Part, in.Readings)
	if err != nil {
		return nil, err
	}
	m := &maker{
		terms: in.Terms, book: b, part: in.Part,
		dayMoment: within(in.Moment, in.Part.Day), periodMoment: within(in.Moment, in.Part.Period),
	}
	m.stretches = in.Terms.stretches(in.Part.Period, m.periodMoment)
	m.accounts = m.accountsOf()
	s := &Statement{
		InstallationID: in.Terms.Installation.ID, Part: in.Part, Moment: in.Moment.UTC(), Timestamp: in.Timestamp.UTC(),
		AsOf: in.AsOf, Rules: Rules,
	}
	if in.Timestamp.IsZero() {
		s.Timestamp = s.Moment
	}
	if s.Rows, err = m.rows(); err != nil {
		return nil, err
	}
	if s.Items, err = m.items(); err != nil {
		return nil, err
	}
	if s.Discounts, err = m.discounts(); err != nil {
		return nil, err
	}
	return s, nil
}

// within returns the moment, or the last instant of a time that is over.
func within(moment time.Time, p reckoner.Period) time.Time {
	if last := p.End.Add(-1); moment.After(last) {
		return last
	}
	return moment
}

// maker holds what a statement is made of.
type maker struct {
	terms                   *Terms
	book                    book
	part                    Part
	dayMoment, periodMoment time.Time // the moment, or the last of the part and of the period
	stretches               map[string][]stretch
	accounts                []account
}

// account is a subscription and what is counted of it; or usage that names none.
type account struct {
	id           string
	subscription *catalog.Subscription // nil: none
	plan         *catalog.Plan         // nil: none
	measures     []measure             // in order
}

// accountsOf returns the subscriptions in the order of their ids. Their measures are the meters of plan and subscription,
// used or not, and those that have readings.
func (m *maker) accountsOf() []account {
	all := make([]account, 0, len(m.terms.Subscriptions)+1)
	all = append(all, account{})
	for _, s := range m.terms.Subscriptions {
		a := account{id: s.ID, subscription: s, plan: m.terms.Plans[s.Plan]}
		if s.Meter != "" {
			a.measures = append(a.measures, m.measure(s.Meter))
		}
		if a.plan != nil {
			for i := range a.plan.Prices {
				a.measures = append(a.measures, m.measure(a.plan.Prices[i].Meter))
			}
		}
		all = append(all, a)
	}
	for _, id := range m.terms.Gone {
		all = append(all, account{id: id})
	}
	at := make(map[string]int, len(all))
	for i := range all {
		at[all[i].id] = i
	}
	for l := range m.book {
		all[at[l.subscription]].measures = append(all[at[l.subscription]].measures, l.measure)
	}
	for i := range all {
		all[i].measures = ordered(all[i].measures)
	}
	return all
}

// measure returns a meter as the catalog has it now.
func (m *maker) measure(meter string) measure {
	if known, ok := m.terms.Meters[meter]; ok {
		return measure{meter, known.Type}
	}
	return measure{meter, reckoner.Interval}
}

// meter returns a measure's meter. The unit of one that the catalog no longer has is what the catalog takes for a meter
// without a unit.
func (m *maker) meter(of measure) reckoner.Meter {
	unit := "units"
	if known, ok := m.terms.Meters[of.meter]; ok {
		unit = known.Unit
	}
	return reckoner.Meter{Name: of.meter, Unit: unit, Type: of.kind}
}
