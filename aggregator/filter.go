package aggregator

import (
	"sync"

	"github.com/bits-and-blooms/bloom/v3"
)

// filter tells which keys are surely not in a store. Most events bring an id that was never seen, and to find nothing
// costs the store more than all the rest of a decision. It never says that a key is there: that is the store's to say.
//
// A key is always in the filter before it is in the store. Keys are never taken out, of the store neither. It is safe for
// one goroutine that asks beside one that adds.
type filter struct {
	mu sync.RWMutex
	// parts are Bloom filters, each for four times the keys of the one before: how many there will be is not known.
	parts []*bloom.BloomFilter
	room  int // keys that the last part still takes
	// learnt is nil when all keys of the store are in the filter; else those from this one on may be missing, and the
	// filter says of no key that it is absent.
	learnt []byte
}

const (
	filterFirst = 32 << 10 // keys of the first part
	filterGrows = 4
	filterBits  = 10 // of a key; with as many hashes, about 1 % of the keys that are surely new cost a lookup
	filterHash  = 4
)

// absent reports whether a key is surely not in the store.
func (f *filter) absent(key []byte) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.learnt != nil {
		return false
	}
	for i := len(f.parts) - 1; i >= 0; i-- { // the greatest first: it holds most
		if f.parts[i].Test(key) {
			return false
		}
	}
	return true
}

// add adds a key and returns how many bytes the filter grew by.
func (f *filter) add(key []byte) (grown int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.room == 0 {
		f.room = filterFirst
		for range f.parts {
			f.room *= filterGrows
		}
		f.parts = append(f.parts, bloom.New(uint(f.room)*filterBits, filterHash))
		grown = f.room * filterBits / 8
	}
	f.parts[len(f.parts)-1].Add(key)
	f.room--
	return grown
}

// learnTo notes that all keys below one are in the filter; nil: all keys there are.
func (f *filter) learnTo(key []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.learnt = key
}

// next returns the first key that the filter may not know, nil when it knows all.
func (f *filter) next() []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.learnt
}

// bytes is what the filter takes of memory.
func (f *filter) bytes() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	n := 0
	for _, part := range f.parts {
		n += int(part.Cap() / 8)
	}
	return n
}
