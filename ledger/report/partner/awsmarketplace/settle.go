package awsmarketplace

import (
	"fmt"
	"time"

	"reckoner/ledger"
)

// outcome is what is known of a drafted hour.
type outcome struct {
	known results // of every report of it
	open  bool    // it is to be sent again
}

// learn finds out what came of an hour. It is open while an answer can still be had. Else it is settled: what was surely
// not taken is owed again, and what may have been taken counts as taken, since AWS gives nothing back.
func (o *hour) learn(past []ledger.Report, now time.Time) outcome {
	n := len(o.Amounts)
	r := lastOf(past, o.Start)
	if r == nil {
		return outcome{known: unknown(n)} // out of sight: AWS took it, or it can be found out no more
	}
	if r.Status == ledger.ReportAccepted {
		return outcome{known: all(success, n)}
	}
	known := unknown(n)
	if s, err := decodeState(r); err == nil {
		if then := s.hour(o.Start); then != nil {
			known = then.Known
		}
	}
	known = known.then(resultsOf(r, n))
	switch {
	case r.Status == ledger.ReportRefused:
		return outcome{known: known}
	case r.Status == ledger.ReportFailed && known.certain() && !taken(o.Start, now):
		return outcome{known: known}
	default:
		return outcome{known: known, open: true}
	}
}

// settle takes what came of earlier hours into the accounts.
func (s *state) settle(past []ledger.Report, now time.Time) error {
	var open []hour
	for i := range s.Open {
		o := s.Open[i]
		came := o.learn(past, now)
		if came.open {
			open = append(open, o)
			continue
		}
		if err := s.giveBack(&o, came.known); err != nil {
			return err
		}
	}
	if len(open) > openMax {
		open = open[len(open)-openMax:]
	}
	s.Open = open
	return nil
}

// giveBack makes what was surely not taken owed again.
func (s *state) giveBack(o *hour, known results) error {
	p, err := decodePayload(o.Payload)
	if err != nil {
		return err
	}
	if len(p.Records) != len(o.Amounts) || len(o.Meters) != len(o.Amounts) || len(known) != len(o.Amounts) {
		return fmt.Errorf("the report of the hour from %s has %d records and %d amounts", o.Start.Format(time.RFC3339), len(p.Records), len(o.Amounts))
	}
	for i := range p.Records {
		if !known.notTaken(i) {
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
