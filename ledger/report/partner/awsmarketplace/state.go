package awsmarketplace

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report"
)

// state is what a report carries on. The newest report of an installation has all that the next one needs, so nothing is
// lost when older ones are out of sight. It counts every hour that was ever drafted as taken; what turns out not to be is
// given back when that hour is settled.
type state struct {
	Until    time.Time `json:"until"` // the end of the newest hour that was drafted
	Accounts []account `json:"accounts"`
	Open     []hour    `json:"open"` // drafted hours of which it was not known what came of them, this report's among them
	// Sums are how this report's quantities came about, in the order of its records. Empty: it was drafted before, and is
	// sent again.
	Sums []sum `json:"sums,omitempty"`
}

// account is how a dimension stands, in the meter's unit.
type account struct {
	Dimension string            `json:"dimension"`
	Meter     string            `json:"meter"`
	Owed      reckoner.Quantity `json:"owed"` // used, and not reported; negative: reported, and reverted later
	// Used is what is counted in Owed so far, by subscription. One that is reported no more keeps what it had.
	Used map[string]reckoner.Quantity `json:"used"`
}

// hour is a drafted hour.
type hour struct {
	Start   time.Time           `json:"start"`
	From    time.Time           `json:"from"`            // of its part's period
	Payload json.RawMessage     `json:"payload"`         // the exact bytes
	Amounts []reckoner.Quantity `json:"amounts"`         // what its records come to in the meter's unit
	Meters  []string            `json:"meters"`          // and of which meter that is
	Known   results             `json:"known,omitempty"` // of the reports before this one; empty: there were none
}

// sum says that a quantity is the whole units in Base and what was used.
type sum struct {
	Base reckoner.Quantity `json:"base"`
	Unit reckoner.Quantity `json:"unit"`
}

func (s *state) encode() ([]byte, error) {
	b, err := encode(s)
	if err != nil {
		return nil, fmt.Errorf("what is carried on to the next hour: %w", err)
	}
	return b, nil
}

func decodeState(r *ledger.Report) (*state, error) {
	s := new(state)
	if err := decode(r.State, s); err != nil {
		return nil, fmt.Errorf("what the report of %s carries on cannot be read, so it is not known what AWS has been told: %w",
			r.Timestamp.Format(time.RFC3339Nano), err)
	}
	return s, nil
}

// newest returns the state of the newest report that has one: an empty one if nothing was ever reported.
func newest(past []ledger.Report) (*state, error) {
	var last *ledger.Report
	for i := range past {
		if r := &past[i]; counts(r) && (last == nil || r.Timestamp.After(last.Timestamp)) {
			last = r
		}
	}
	if last == nil {
		return new(state), nil
	}
	return decodeState(last)
}

// counts reports whether a report was, or may have been, sent.
func counts(r *ledger.Report) bool {
	return len(r.State) > 0 && r.Status != ledger.ReportSuperseded && r.Status != ledger.ReportExpired
}

// lastOf returns the newest report of the hour that starts then, or nil.
func lastOf(past []ledger.Report, start time.Time) *ledger.Report {
	var last *ledger.Report
	for i := range past {
		if r := &past[i]; counts(r) && r.Day.Start.Equal(start) && (last == nil || r.Timestamp.After(last.Timestamp)) {
			last = r
		}
	}
	return last
}

// drafted reports whether AWS may hold records of an hour.
func drafted(past []ledger.Report, start time.Time) bool {
	r := lastOf(past, start)
	if r == nil {
		return false
	}
	s, err := decodeState(r)
	if err != nil || s.hour(start) == nil {
		return true
	}
	o := s.hour(start)
	return r.Status != ledger.ReportRefused || !o.Known.then(resultsOf(r, len(o.Amounts))).unused()
}

func (s *state) hour(start time.Time) *hour {
	for i := range s.Open {
		if s.Open[i].Start.Equal(start) {
			return &s.Open[i]
		}
	}
	return nil
}

// account returns the account of a dimension. Of another meter than before it begins anew.
func (s *state) account(dimension, meter string) *account {
	i := slices.IndexFunc(s.Accounts, func(a account) bool { return a.Dimension == dimension })
	if i < 0 {
		s.Accounts = append(s.Accounts, account{Dimension: dimension})
		i = len(s.Accounts) - 1
	}
	if a := &s.Accounts[i]; a.Meter != meter {
		*a = account{Dimension: dimension, Meter: meter, Used: map[string]reckoner.Quantity{}}
	}
	return &s.Accounts[i]
}

func (o *hour) part() report.Part { return partOf(o.From, o.Start) }
