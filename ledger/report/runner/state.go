package runner

import (
	"sync"
	"time"

	"reckoner/ledger"
)

// outcome is what a run came to for one installation. Of two the greater one is told.
type outcome uint8

const (
	unchanged outcome = iota + 1
	accepted
	superseded
	skipped
	failed
	refused
	unsendable
)

// standing is how an installation stands in this process.
type standing struct {
	busy       bool      // its reports are being made or sent
	last       outcome   // superseded and skipped change nothing; 0: none yet
	acceptedAt time.Time // by the reporter's clock, of what was accepted last
	seenAt     time.Time // when it was first worked, where nothing ever was accepted
	notBefore  time.Time // the partner asked to wait until then; by the monotonic clock
}

func (s *standing) failing() bool { return s.last == failed || s.last == refused }

// state is what a runner remembers of the installations. It decides who waits for whom, never what is reported.
type state struct {
	mu sync.Mutex
	of map[string]*standing
}

func newState() *state { return &state{of: make(map[string]*standing)} }

// with calls f with an installation's standing, alone.
func (s *state) with(id string, f func(*standing)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.of[id]
	if !ok {
		at = new(standing)
		s.of[id] = at
	}
	f(at)
}

// hold makes an installation busy; false: it is already, or its partner asked to wait.
func (s *state) hold(id string, now time.Time) (held bool) {
	s.with(id, func(at *standing) {
		if held = !at.busy && !now.Before(at.notBefore); held {
			at.busy = true
		}
	})
	return held
}

func (s *state) release(id string) { s.with(id, func(at *standing) { at.busy = false }) }

// failing reports whether the last report of an installation was not accepted.
func (s *state) failing(id string) (is bool) {
	s.with(id, func(at *standing) { is = at.failing() })
	return is
}

// learn takes in what the store says of an installation, in the order of timestamps, as far as this process knows less.
func (s *state) learn(id string, past []ledger.Report, now time.Time) {
	s.with(id, func(at *standing) {
		if at.seenAt.IsZero() {
			at.seenAt = now
		}
		for i := range past {
			if past[i].Status == ledger.ReportAccepted && past[i].Moment.After(at.acceptedAt) {
				at.acceptedAt = past[i].Moment
			}
		}
		if len(past) == 0 || at.last != 0 {
			return
		}
		switch past[len(past)-1].Status {
		case ledger.ReportAccepted:
			at.last = accepted
		case ledger.ReportFailed:
			at.last = failed
		case ledger.ReportRefused:
			at.last = refused
		default: // not known
		}
	})
}

// ended keeps what a run came to, and returns what it was before.
func (s *state) ended(id string, o outcome, acceptedAt time.Time) (before outcome) {
	s.with(id, func(at *standing) {
		before = at.last
		if acceptedAt.After(at.acceptedAt) {
			at.acceptedAt = acceptedAt
		}
		if o == accepted {
			at.notBefore = time.Time{}
		}
		if o != superseded && o != skipped {
			at.last = o
		}
	})
	return before
}

// keep forgets all installations but some.
func (s *state) keep(ids map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.of {
		if !ids[id] && !at.busy {
			delete(s.of, id)
		}
	}
}

// Counts is how many installations are in each state.
type Counts struct {
	OK         int `json:"ok"`
	Failing    int `json:"failing"`
	Refused    int `json:"refused"`
	Unsendable int `json:"unsendable"`
	Unknown    int `json:"unknown"` // not worked yet
	Busy       int `json:"busy"`    // of all of them: with a delivery under way
}

func (s *state) counts() (c Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.of {
		switch at.last {
		case accepted, unchanged:
			c.OK++
		case failed:
			c.Failing++
		case refused:
			c.Refused++
		case unsendable:
			c.Unsendable++
		default:
			c.Unknown++
		}
		if at.busy {
			c.Busy++
		}
	}
	return c
}

// oldest returns the moment of the acceptance that is longest ago among all installations; zero: there are none.
func (s *state) oldest() (oldest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.of {
		t := at.acceptedAt
		if t.IsZero() {
			t = at.seenAt
		}
		if !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	return oldest
}
