package awsmarketplace

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"math/big"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

// Draft makes a report: of each hour what is owed by the end of it, in whole units. An hour that AWS was told of, and of
// which it is not known what came of it, is told again as it was. Nil: AWS has been told of all.
func (t *Target) Draft(in *report.Input, past []ledger.Report) (*partner.Draft, error) {
	d, err := t.draft(in, past)
	if err != nil {
		return nil, fmt.Errorf("report of installation %q to AWS: %w", in.Terms.Installation.ID, err)
	}
	return d, nil
}

func (t *Target) draft(in *report.Input, past []ledger.Report) (*partner.Draft, error) {
	market, err := marketOf(in.Terms)
	if err != nil {
		return nil, err
	}
	s, r, err := newest(past)
	if err != nil {
		return nil, err
	}
	if sending(r, in.Moment) {
		return nil, nil
	}
	if err := s.settle(r, in.Moment); err != nil {
		return nil, err
	}
	again, fresh := t.plan(s, market, in.Moment)
	if len(again)+len(fresh) == 0 {
		return nil, nil
	}
	if part := partOf(market, again, fresh); !part.Day.Start.Equal(in.Part.Day.Start) || !part.Day.End.Equal(in.Part.Day.End) {
		return nil, fmt.Errorf("the hours to report are those of %s", part)
	}
	for _, start := range again {
		s.hour(start).Sent = true
	}
	for _, start := range fresh {
		if err := s.bill(in.Terms, market, in.Part, start, in.Readings); err != nil {
			return nil, fmt.Errorf("the hour from %s: %w", start.Format(time.RFC3339), err)
		}
	}
	text, err := encode(s)
	if err != nil {
		return nil, err
	}
	return s.seal(text, in.Terms.Scope(in.Part, in.Part.Day.End))
}

// seal returns the report of the hours that are to be sent.
func (s *state) seal(text []byte, scope []ledger.ReportScope) (*partner.Draft, error) {
	var p payload
	for i := range s.Hours {
		if s.Hours[i].Sent {
			p.Hours = append(p.Hours, s.Hours[i].Telling)
		}
	}
	b, err := encode(p)
	if err != nil {
		return nil, err
	}
	return &partner.Draft{Payload: b, Figures: sha256.Sum256(b), State: text, Scope: scope}, nil
}

// bill adds to the accounts what was used until the end of an hour, says what is owed in whole units, and counts that as
// reported.
func (s *state) bill(terms *report.Terms, market *catalog.Marketplace, part report.Part, start time.Time, readings []report.Reading) error {
	o := hour{Start: start.UTC(), Sent: true}
	p := newTelling(market)
	for i := range market.Dimensions {
		d := &market.Dimensions[i]
		if market.Start(d).After(start) {
			continue
		}
		a := s.account(d.Dimension, d.Meter)
		used, err := usedBy(terms, part, market.Start(d), start, d.Meter, readings)
		if err != nil {
			return err
		}
		base, err := a.count(used)
		if err != nil {
			return fmt.Errorf("dimension %q: %w", d.Dimension, err)
		}
		n, amount, err := whole(a.Owed, d.Unit)
		if err == nil {
			a.Owed, err = a.Owed.Sub(amount)
		}
		if err != nil {
			return fmt.Errorf("dimension %q: %w", d.Dimension, err)
		}
		p.add(market, d.Dimension, start, n)
		o.Amounts, o.Meters, o.Sums = append(o.Amounts, amount), append(o.Meters, d.Meter), append(o.Sums, sum{Base: base, Unit: d.Unit})
	}
	var err error
	o.Telling, err = encode(p)
	s.Hours = append(s.Hours, o)
	return err
}

// count makes what was used the account's, and returns what was owed beside it.
func (a *account) count(used map[string]reckoner.Quantity) (base reckoner.Quantity, err error) {
	base = a.Owed
	for id, is := range used {
		if base, err = base.Sub(a.Used[id]); err != nil {
			return base, err
		}
		if is.IsZero() {
			delete(a.Used, id)
		} else {
			a.Used[id] = is
		}
	}
	a.Owed = base
	for _, is := range used {
		if a.Owed, err = a.Owed.Add(is); err != nil {
			return base, err
		}
	}
	return base, nil
}

// usedBy adds up what each of the reported subscriptions used of a meter from a time to the end of an hour. Only what is
// reported for the installation at that time counts.
func usedBy(terms *report.Terms, part report.Part, from, start time.Time, meter string, readings []report.Reading) (map[string]reckoner.Quantity, error) {
	used := make(map[string]reckoner.Quantity)
	times := make(map[string][]reckoner.Period)
	for _, s := range terms.Scope(part, part.Day.End) {
		times[s.SubscriptionID] = append(times[s.SubscriptionID], s.Period)
	}
	for _, id := range terms.SubscriptionIDs() {
		used[id] = reckoner.Quantity{}
	}
	for i := range readings {
		r := &readings[i]
		if r.Meter != meter || r.MeterType != reckoner.Interval || r.Slice.Start.Before(from) {
			continue
		}
		sum, reported := used[r.SubscriptionID]
		if !reported {
			return nil, fmt.Errorf("a reading of subscription %q, which is not reported", r.SubscriptionID)
		}
		if r.Slice.End.After(start.Add(time.Hour)) || !within(r.Slice, times[r.SubscriptionID]) {
			continue
		}
		var err error
		if used[r.SubscriptionID], err = sum.Add(r.Quantity); err != nil {
			return nil, fmt.Errorf("usage of meter %q: %w", meter, err)
		}
	}
	return used, nil
}

func within(slice reckoner.Period, times []reckoner.Period) bool {
	for _, p := range times {
		if !slice.Start.Before(p.Start) && !slice.End.After(p.End) {
			return true
		}
	}
	return false
}

// whole returns how many whole units there are in what is owed, as many as one record takes, and what they come to.
func whole(owed, unit reckoner.Quantity) (n int32, amount reckoner.Quantity, err error) {
	if owed.Sign() <= 0 {
		return 0, amount, nil
	}
	count := new(big.Int).Quo(owed.Big(), unit.Big())
	if most := big.NewInt(math.MaxInt32); count.Cmp(most) > 0 {
		count = most
	}
	amount, err = reckoner.QuantityFromBig(new(big.Int).Mul(count, unit.Big()))
	return int32(count.Int64()), amount, err //nolint:gosec // at most MaxInt32
}

// Redraft makes the bytes of a report again: of each hour from what was used at its position, and from what it kept of what
// was owed besides. What was told again is as it kept it; the proof is that of the first.
func (t *Target) Redraft(r *ledger.Report, readings []report.Reading) (*partner.Draft, error) {
	terms, err := report.DecodeTerms(r.Inputs)
	if err != nil {
		return nil, err
	}
	market, err := marketOf(terms)
	if err != nil {
		return nil, err
	}
	s := new(state)
	if err := decode(r.State, s); err != nil {
		return nil, fmt.Errorf("what the report carries on: %w", err)
	}
	part := report.Part{Period: r.Period, Day: r.Day}
	for i := range s.Hours {
		if o := &s.Hours[i]; o.Sent && len(o.Sums) > 0 {
			if err := o.again(terms, market, part, readings); err != nil {
				return nil, fmt.Errorf("the hour from %s: %w", o.Start.Format(time.RFC3339), err)
			}
		}
	}
	return s.seal(r.State, terms.Scope(part, part.Day.End))
}

// again tells an hour by its sums.
func (o *hour) again(terms *report.Terms, market *catalog.Marketplace, part report.Part, readings []report.Reading) error {
	p := newTelling(market)
	for i := range market.Dimensions {
		d := &market.Dimensions[i]
		if market.Start(d).After(o.Start) {
			continue
		}
		if len(p.Records) == len(o.Sums) {
			return fmt.Errorf("it has %d sums, and the catalog had more dimensions", len(o.Sums))
		}
		used, err := usedBy(terms, part, market.Start(d), o.Start, d.Meter, readings)
		if err != nil {
			return err
		}
		by := o.Sums[len(p.Records)]
		owed := by.Base
		for is := range maps.Values(used) {
			if owed, err = owed.Add(is); err != nil {
				return err
			}
		}
		n, _, err := whole(owed, by.Unit)
		if err != nil {
			return err
		}
		p.add(market, d.Dimension, o.Start, n)
	}
	var err error
	o.Telling, err = encode(p)
	return err
}
