package send

import "sync"

// A tracker knows the first line that is not delivered, whatever the order in which answers come.
//
// Every line below Next is delivered. Beyond a line that failed nothing is remembered: the next run starts there.
type tracker struct {
	mu        sync.Mutex
	next      int64
	delivered map[int64]struct{} // at or above next
	stuck     bool
	stuckAt   int64
	count     int64 // all that were delivered in this run
}

func newTracker(from int64) *tracker {
	return &tracker{next: from, delivered: make(map[int64]struct{})}
}

func (t *tracker) done(lines []line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count += int64(len(lines))
	for i := range lines {
		if seq := lines[i].seq; !t.stuck || seq < t.stuckAt {
			t.delivered[seq] = struct{}{}
		}
	}
	for {
		if _, ok := t.delivered[t.next]; !ok {
			return
		}
		delete(t.delivered, t.next)
		t.next++
	}
}

func (t *tracker) failed(lines []line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range lines {
		if seq := lines[i].seq; !t.stuck || seq < t.stuckAt {
			t.stuck, t.stuckAt = true, seq
		}
	}
}

// state returns the first line that is not delivered, and how many were in this run.
func (t *tracker) state() (next, count int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next, t.count
}
