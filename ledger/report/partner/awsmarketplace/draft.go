package awsmarketplace

import (
	"crypto/sha256"
	"errors"
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

// Draft makes the report of an hour: what is owed by the end of it, in whole units. An hour that was drafted before, and of
// which it is not known what came of it, is sent again as it was. Nil: it has been told.
func (t *Target) Draft(in *report.Input, past []ledger.Report) (*partner.Draft, error) {
	d, err := t.draft(in, past)
	if err != nil {
		return nil, fmt.Errorf("report of installation %q to AWS for the hour from %s: %w",
			in.Terms.Installation.ID, in.Part.Day.Start.Format(time.RFC3339), err)
	}
	return d, nil
}

func (t *Target) draft(in *report.Input, past []ledger.Report) (*partner.Draft, error) {
	market, err := marketOf(in.Terms)
	if err != nil {
		return nil, err
	}
	s, err := newest(past)
	if err != nil {
		return nil, err
	}
	start := in.Part.Day.Start
	if o := s.hour(start); o != nil {
		came := o.learn(past, in.Moment)
		if !came.open {
			return nil, nil
		}
		s.Sums, o.Known = nil, came.known
		return s.seal(o.Payload, in.Terms.Scope(o.part(), o.part().Day.End))
	}
	if drafted(past, start) || start.Before(s.Until) && !s.Until.After(in.Moment) {
		return nil, nil
	}
	if err := s.settle(past, in.Moment); err != nil {
		return nil, err
	}
	b, err := s.bill(in.Terms, market, in.Part, in.Readings)
	if err != nil {
		return nil, err
	}
	return s.seal(b, in.Terms.Scope(in.Part, in.Part.Day.End))
}

func (s *state) seal(payload []byte, scope []ledger.ReportScope) (*partner.Draft, error) {
	text, err := s.encode()
	if err != nil {
		return nil, err
	}
	return &partner.Draft{Payload: payload, Figures: sha256.Sum256(payload), State: text, Scope: scope}, nil
}

// bill adds to the accounts what was used, says what is owed in whole units, and counts that as reported.
func (s *state) bill(terms *report.Terms, market *catalog.Marketplace, part report.Part, readings []report.Reading) ([]byte, error) {
	start := part.Day.Start
	o := hour{Start: start.UTC(), From: part.Period.Start.UTC()}
	p := newPayload(market)
	s.Sums = nil
	for i := range market.Dimensions {
		d := &market.Dimensions[i]
		if market.Start(d).After(start) {
			continue
		}
		used, err := usedBy(terms, part, market.Start(d), d.Meter, readings)
		if err != nil {
			return nil, err
		}
		a := s.account(d.Dimension, d.Meter)
		base, err := a.count(used)
		if err != nil {
			return nil, fmt.Errorf("dimension %q: %w", d.Dimension, err)
		}
		n, amount, err := whole(a.Owed, d.Unit)
		if err == nil {
			a.Owed, err = a.Owed.Sub(amount)
		}
		if err != nil {
			return nil, fmt.Errorf("dimension %q: %w", d.Dimension, err)
		}
		p.add(market, d.Dimension, start, n)
		o.Amounts, o.Meters = append(o.Amounts, amount), append(o.Meters, d.Meter)
		s.Sums = append(s.Sums, sum{Base: base, Unit: d.Unit})
	}
	if len(p.Records) == 0 {
		return nil, errors.New("no dimension has begun by then")
	}
	b, err := p.encode()
	if err != nil {
		return nil, err
	}
	o.Payload = b
	s.Open = append(s.Open, o)
	s.Until = part.Day.End.UTC()
	return b, nil
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

// usedBy adds up what each of the reported subscriptions used of a meter from a time to the end of the hour. Only what is
// reported for the installation at that time counts.
func usedBy(terms *report.Terms, part report.Part, from time.Time, meter string, readings []report.Reading) (map[string]reckoner.Quantity, error) {
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
		if r.Slice.End.After(part.Day.End) || !within(r.Slice, times[r.SubscriptionID]) {
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

// Redraft makes the bytes of a report again: from what was used at its position, and from what it kept of what was owed
// besides. One that was sent again is as it kept it; the proof is that of the first.
func (t *Target) Redraft(r *ledger.Report, readings []report.Reading) (*partner.Draft, error) {
	terms, err := report.DecodeTerms(r.Inputs)
	if err != nil {
		return nil, err
	}
	market, err := marketOf(terms)
	if err != nil {
		return nil, err
	}
	s, err := decodeState(r)
	if err != nil {
		return nil, err
	}
	o := s.hour(r.Day.Start)
	if o == nil {
		return nil, fmt.Errorf("the report of installation %q for the hour from %s carries on nothing of that hour", r.InstallationID, r.Day.Start.Format(time.RFC3339))
	}
	part := o.part()
	payload := []byte(o.Payload)
	if len(s.Sums) > 0 {
		if payload, err = s.again(terms, market, part, readings); err != nil {
			return nil, err
		}
	}
	return &partner.Draft{Payload: payload, Figures: sha256.Sum256(payload), State: r.State, Scope: terms.Scope(part, part.Day.End)}, nil
}

// again makes the payload from its sums.
func (s *state) again(terms *report.Terms, market *catalog.Marketplace, part report.Part, readings []report.Reading) ([]byte, error) {
	p := newPayload(market)
	for i := range market.Dimensions {
		d := &market.Dimensions[i]
		if market.Start(d).After(part.Day.Start) {
			continue
		}
		if len(p.Records) == len(s.Sums) {
			return nil, fmt.Errorf("it has %d sums, and the catalog had more dimensions", len(s.Sums))
		}
		used, err := usedBy(terms, part, market.Start(d), d.Meter, readings)
		if err != nil {
			return nil, err
		}
		owed := s.Sums[len(p.Records)].Base
		for is := range maps.Values(used) {
			if owed, err = owed.Add(is); err != nil {
				return nil, err
			}
		}
		n, _, err := whole(owed, s.Sums[len(p.Records)].Unit)
		if err != nil {
			return nil, err
		}
		p.add(market, d.Dimension, part.Day.Start, n)
	}
	return p.encode()
}
