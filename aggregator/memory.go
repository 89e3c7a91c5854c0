package aggregator

import (
	"time"

	"reckoner"
	"reckoner/ledger"
)

// memory is what a partition knows about an ID: enough to repeat its answer, to tell a repetition from a conflict,
// and to revert it. IDs never expire.
type memory struct {
	fingerprint reckoner.Fingerprint
	outcome     reckoner.Outcome
	quantity    reckoner.Quantity // what counted, signed
	counted     *counted          // of a usage that counts; nil otherwise
}

// counted says where a usage counts, and whether it was reverted.
type counted struct {
	total    ledger.TotalKey // AccountID is the memory's own account
	typ      string
	time     time.Time // time of use
	reverted bool
}

// view is a partition's state as a decision sees it. Keys are those of codec.go. What is absent is reported by false;
// an error is a failure of the store and says nothing about the key.
type view interface {
	memory(key []byte) (memory, bool, error)
	total(key []byte) (ledger.Total, bool, error)
	// used is the net quantity that counts for a subscription's meter in a period.
	used(key []byte) (reckoner.Quantity, bool, error)
}

// layer is a set of changes over a view below it. Reads fall through to what it does not hold.
type layer struct {
	below    view
	memories map[string]memory
	totals   map[string]ledger.Total
	useds    map[string]reckoner.Quantity
	changed  func(*ledger.Total) // told of every change of a total, in order; nil: nobody
}

func newLayer(below view) *layer {
	return &layer{
		below:    below,
		memories: make(map[string]memory),
		totals:   make(map[string]ledger.Total),
		useds:    make(map[string]reckoner.Quantity),
	}
}

func (l *layer) memory(key []byte) (memory, bool, error) {
	if m, ok := l.memories[string(key)]; ok {
		return m, true, nil
	}
	return l.below.memory(key)
}

func (l *layer) total(key []byte) (ledger.Total, bool, error) {
	if t, ok := l.totals[string(key)]; ok {
		return t, true, nil
	}
	return l.below.total(key)
}

func (l *layer) used(key []byte) (reckoner.Quantity, bool, error) {
	if q, ok := l.useds[string(key)]; ok {
		return q, true, nil
	}
	return l.below.used(key)
}

func (l *layer) setTotal(key []byte, t *ledger.Total) {
	l.totals[string(key)] = *t
	if l.changed != nil {
		l.changed(t)
	}
}

// void is the view that holds nothing: the state before the first event.
type void struct{}

func (void) memory([]byte) (memory, bool, error)          { return memory{}, false, nil }
func (void) total([]byte) (ledger.Total, bool, error)     { return ledger.Total{}, false, nil }
func (void) used([]byte) (reckoner.Quantity, bool, error) { return reckoner.Quantity{}, false, nil }
