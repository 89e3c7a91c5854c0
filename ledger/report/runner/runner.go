package runner

import (
	"time"

	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report/partner"
)

// Runner reports to partners. Its methods may be called by many goroutines.
type Runner struct {
	o       Options
	targets map[string]partner.Target
	metrics *metrics
	state   *state
	fast    *lane
	slow    *lane
	retries chan struct{} // a token for each installation that waits to be tried again
	loop    loopStatus
}

// New returns a runner.
func New(o Options) (*Runner, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	r := &Runner{
		o: o, targets: make(map[string]partner.Target, len(o.Targets)), state: newState(),
		fast: newLane(o.Concurrency, o.Batch), slow: newLane(o.SlowConcurrency, o.Batch), retries: make(chan struct{}, batches*o.Batch),
	}
	for _, t := range o.Targets {
		r.targets[t.Name()] = t
	}
	r.metrics = newMetrics(o.Registerer, o.Targets, r.state, o.Now)
	return r, nil
}

// Request says what a run is to do.
type Request struct {
	Installation string    // empty: all
	At           time.Time // the moment by which days are reported; zero: the clock's. Timestamps rise all the same.
	// DryRun is handed every report that would be sent, one after the other. With it nothing is claimed, stored or sent. Nil: send.
	DryRun func(Drafted)
}

// Drafted is a report that was made and not sent.
type Drafted struct {
	Installation *catalog.Installation
	Report       ledger.Report
}

// Summary is what a run came to. Installations are counted once, in the worst that befell them, so Installations is the
// sum of Accepted, Unchanged, Failed, Refused, Superseded, Skipped and Unsendable; a dry run's are Accepted where there was
// something to send.
type Summary struct {
	Installations int `json:"installations"`
	Accepted      int `json:"accepted"`   // the partner has all that was sent
	Unchanged     int `json:"unchanged"`  // there was nothing to send
	Failed        int `json:"failed"`     // not accepted, and it may be later
	Refused       int `json:"refused"`    // the partner will never take it: see Errors
	Superseded    int `json:"superseded"` // another reporter reports them right now
	Skipped       int `json:"skipped"`    // a delivery of an earlier run is under way, or the partner asked to wait
	Unsendable    int `json:"unsendable"` // there is nowhere to send to, no token, or no report can be made: see Errors

	Reports int `json:"reports"` // accepted ones
	Stale   int `json:"stale"`   // reports made while the aggregator was behind
	Expired int `json:"expired"` // parts of days that nobody can be told of any more

	Errors []Error `json:"errors,omitzero"` // the first 100
}

// errorsMax bounds Summary.Errors.
const errorsMax = 100

// OK reports whether every installation's partner has what there was to tell, or another reporter tells it.
func (s *Summary) OK() bool { return s.Failed == 0 && s.Refused == 0 && s.Unsendable == 0 }

// Error is what went wrong with an installation.
type Error struct {
	Installation string `json:"installation"`
	What         string `json:"what"`
}
