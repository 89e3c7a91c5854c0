package awsmarketplace

import (
	"fmt"
	"time"

	"reckoner/ledger"
)

// settle takes what came of the newest report into the accounts. What was surely not taken is owed again; an hour of which
// AWS has nothing counts as never told, so that it can be told anew. An hour with a record that may have been taken is kept,
// to be told again as it was: AWS answers that it has it, or takes it. Once AWS takes that hour no more and has said so, or
// after a week, the record counts as taken, because AWS gives nothing back.
func (s *state) settle(r *ledger.Report, now time.Time) error {
	if r == nil {
		return nil
	}
	n := 0
	for i := range s.Hours {
		if s.Hours[i].Sent {
			n += len(s.Hours[i].Amounts)
		}
	}
	came := resultsOf(r, n)
	var left []hour
	for _, o := range s.Hours {
		if o.Sent {
			mine := came[:len(o.Amounts)]
			came = came[len(o.Amounts):]
			o.Known = o.Known.then(mine)
		}
		o.Sums = nil
		answered := o.Sent && r.Status == ledger.ReportRefused
		o.Sent = false
		if !o.Known.certain() && (taken(o.Start, now) || !answered && now.Sub(o.Start) < doubtMax) {
			left = append(left, o)
			continue
		}
		if err := s.giveBack(&o); err != nil {
			return err
		}
		if !o.Known.unused() {
			s.Told = append(s.Told, o.Start)
		}
	}
	s.Hours = left
	s.Told = s.Told[max(0, len(s.Told)-toldMax):]
	return nil
}

// giveBack makes what was surely not taken owed again.
func (s *state) giveBack(o *hour) error {
	p, err := decodeTelling(o.Telling)
	if err != nil {
		return err
	}
	if len(p.Records) != len(o.Amounts) || len(o.Meters) != len(o.Amounts) || len(o.Known) != len(o.Amounts) {
		return fmt.Errorf("what is kept of the hour from %s has %d records and %d amounts", o.Start.Format(time.RFC3339), len(p.Records), len(o.Amounts))
	}
	for i := range p.Records {
		if !o.Known.notTaken(i) {
			continue
		}
		for j := range s.Accounts {
			a := &s.Accounts[j]
			if a.Dimension != p.Records[i].Dimension || a.Meter != o.Meters[i] {
				continue // it counts another meter by now
			}
			if a.Owed, err = a.Owed.Add(o.Amounts[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
