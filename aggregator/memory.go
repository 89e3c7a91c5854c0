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
//
// Memories are kept in their stored form: most are written once and never read again, and a text costs the garbage
// collector nothing to keep. Totals and what counts against limits change with every event, so they are changed in place.
type layer struct {
	below    view
	memories map[string]string // by key
	totals   map[string]*ledger.Total
	useds    map[string]*reckoner.Quantity
	changed  func(*ledger.Total) // told of every change of a total, in order; nil: nobody

	texts texts // keys and stored forms
	value []byte
	rows  chunks[ledger.Total]
}

func newLayer(below view) *layer { return newLayerLike(below, &layer{}) }

// newLayerLike returns a layer with room for as much as another one holds.
func newLayerLike(below view, other *layer) *layer {
	return &layer{
		below:    below,
		memories: make(map[string]string, len(other.memories)),
		totals:   make(map[string]*ledger.Total, len(other.totals)),
		useds:    make(map[string]*reckoner.Quantity, len(other.useds)),
	}
}

func (l *layer) memory(key []byte) (memory, bool, error) {
	if v, ok := l.memories[string(key)]; ok {
		m, err := parseMemory(key, []byte(v))
		return m, true, err
	}
	return l.below.memory(key)
}

func (l *layer) total(key []byte) (ledger.Total, bool, error) {
	if t, ok := l.totals[string(key)]; ok {
		return *t, true, nil
	}
	return l.below.total(key)
}

func (l *layer) used(key []byte) (reckoner.Quantity, bool, error) {
	if q, ok := l.useds[string(key)]; ok {
		return *q, true, nil
	}
	return l.below.used(key)
}

func (l *layer) setMemory(key []byte, m *memory) {
	l.value = appendMemory(l.value[:0], m)
	l.memories[l.texts.add(key)] = l.texts.add(l.value)
}

// ownTotal returns the layer's own copy of a total, to be changed in place; nil when there is no such total. Who has
// changed it calls totalSet.
func (l *layer) ownTotal(key []byte) (*ledger.Total, error) {
	if t, ok := l.totals[string(key)]; ok {
		return t, nil
	}
	t, found, err := l.below.total(key)
	if err != nil || !found {
		return nil, err
	}
	return l.addTotal(key, &t), nil
}

// addTotal adds a total that the layer does not hold yet, and returns its own copy.
func (l *layer) addTotal(key []byte, t *ledger.Total) *ledger.Total {
	own := l.rows.next()
	*own = *t
	l.totals[l.texts.add(key)] = own
	return own
}

func (l *layer) totalSet(t *ledger.Total) {
	if l.changed != nil {
		l.changed(t)
	}
}

func (l *layer) addUsed(key []byte, q reckoner.Quantity) error {
	own, ok := l.useds[string(key)]
	if !ok {
		used, _, err := l.below.used(key)
		if err != nil {
			return err
		}
		own = &used
		l.useds[l.texts.add(key)] = own
	}
	sum, err := own.Add(q)
	if err == nil {
		*own = sum
	}
	return err
}

// void is the view that holds nothing: the state before the first event.
type void struct{}

func (void) memory([]byte) (memory, bool, error)          { return memory{}, false, nil }
func (void) total([]byte) (ledger.Total, bool, error)     { return ledger.Total{}, false, nil }
func (void) used([]byte) (reckoner.Quantity, bool, error) { return reckoner.Quantity{}, false, nil }
