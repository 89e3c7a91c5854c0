package awsmarketplace

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// toldMax is how many of the hours that AWS was told of are kept: it takes those of a day.
const toldMax = 64

// state is what a report carries on. The newest report of an installation has all that the next one needs, so nothing is
// lost when older ones are out of sight. It counts all that was ever said as taken; what turns out not to be is given back
// when that hour is settled.
type state struct {
	Told     []time.Time `json:"told"` // hours that are settled, the last to be so last
	Accounts []account   `json:"accounts"`
	Hours    []hour      `json:"hours"` // those of which it was not known what came of them, this report's among them
}

// account is how a dimension stands, in the meter's unit.
type account struct {
	Dimension string            `json:"dimension"`
	Meter     string            `json:"meter"`
	Owed      reckoner.Quantity `json:"owed"` // used, and not reported; negative: reported, and reverted later
	// Used is what is counted in Owed so far, by subscription. One that is reported no more keeps what it had.
	Used map[string]reckoner.Quantity `json:"used"`
}

// hour is one that AWS was, or may have been, told of.
type hour struct {
	Start   time.Time           `json:"start"`
	Telling json.RawMessage     `json:"telling"` // the exact bytes
	Amounts []reckoner.Quantity `json:"amounts"` // what its records come to in the meter's unit
	Meters  []string            `json:"meters"`  // and of which meter that is
	Known   results             `json:"known"`   // by the reports before this one; empty: there were none
	Sent    bool                `json:"sent"`    // it is in this report
	// Sums are how this report's quantities came about. Empty: it was told before, and is told again.
	Sums []sum `json:"sums,omitempty"`
}

// sum says that a quantity is the whole units in Base and what was used.
type sum struct {
	Base reckoner.Quantity `json:"base"`
	Unit reckoner.Quantity `json:"unit"`
}

// newest returns the newest report that was, or may have been, sent, and its state: an empty one if there is none.
func newest(past []ledger.Report) (*state, *ledger.Report, error) {
	s := new(state)
	var last *ledger.Report
	for i := range past {
		r := &past[i]
		if len(r.State) > 0 && r.Status != ledger.ReportSuperseded && r.Status != ledger.ReportExpired &&
			(last == nil || r.Timestamp.After(last.Timestamp)) {
			last = r
		}
	}
	if last == nil {
		return s, nil, nil
	}
	if err := decode(last.State, s); err != nil {
		return nil, nil, fmt.Errorf("what the report of %s carries on cannot be read, so it is not known what AWS has been told: %w",
			last.Timestamp.Format(time.RFC3339Nano), err)
	}
	return s, last, nil
}

// told reports whether AWS was told of an hour, as far as that can be known.
func (s *state) told(start time.Time) bool { return slices.ContainsFunc(s.Told, start.Equal) }

func (s *state) hour(start time.Time) *hour {
	for i := range s.Hours {
		if s.Hours[i].Start.Equal(start) {
			return &s.Hours[i]
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
	if a := &s.Accounts[i]; a.Meter != meter || a.Used == nil {
		*a = account{Dimension: dimension, Meter: meter, Used: map[string]reckoner.Quantity{}}
	}
	return &s.Accounts[i]
}
