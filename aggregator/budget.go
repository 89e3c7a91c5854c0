package aggregator

import (
	"context"
	"sync"
	"time"

	"reckoner"
)

// Limits say when what was decided is written. A flush is due when one of them is reached; when RecordsMax or BytesMax
// is, reading pauses, too, until that flush starts.
type Limits struct {
	RecordsMax int           // records decided and not yet on their way
	BytesMax   int           // the memory that they hold, about
	Interval   time.Duration // age of the oldest of them
	// WaitInterval is the time from one flush's start to the next when someone waits for an outcome. It is longer while
	// flushes are large and slow: they take half of the time at most.
	WaitInterval time.Duration
	// Patience is how long someone waits for an outcome: an event that was received longer ago hurries no flush. 0: for ever.
	Patience time.Duration
}

// recordBytes is what a decided record holds in memory beside its texts, which are about as long as its bytes: a row, the
// memory of its id, its part of a total, and what maps and slices have to spare.
const recordBytes = 1400

// tally counts what was decided.
type tally struct {
	records, bytes int
	awaited        time.Time // when the last event that someone waits for was received; zero: none
	outcomes       [int(reckoner.Undecodable) + 1]int
}

func (t *tally) add(rec *Record, f *effect) {
	t.records++
	t.bytes += recordBytes + len(rec.Key) + len(rec.Value)
	outcome, received := f.outcome()
	t.outcomes[outcome]++
	if f.verdict != nil && received.After(t.awaited) {
		t.awaited = received
	}
}

// outcome returns what became of the record, and when it was received.
func (f *effect) outcome() (reckoner.Outcome, time.Time) {
	if f.entry != nil {
		return f.entry.Outcome, f.entry.ReceivedAt
	}
	return f.refusal.Outcome, f.refusal.ReceivedAt
}

// budget bounds what all partitions of a process have decided and not yet sent on, and knows when a flush is due.
type budget struct {
	limits Limits

	mu      sync.Mutex
	records int
	bytes   int
	waited  bool
	oldest  time.Time
	flushed time.Time     // start of the last flush
	sent    int           // records that it took with it
	took    time.Duration // how long it took, if that puts off the next one
	room    chan struct{} // closed when a flush starts
	changed chan struct{} // holds one token when something was added
}

func newBudget(l Limits) *budget {
	return &budget{limits: l, room: make(chan struct{}), changed: make(chan struct{}, 1)}
}

// wait returns when there is room for more, or with ctx's error.
func (b *budget) wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		full, room := b.full(), b.room
		b.mu.Unlock()
		if !full {
			return ctx.Err()
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *budget) full() bool { return b.records >= b.limits.RecordsMax || b.bytes >= b.limits.BytesMax }

// add notes what was decided at a time.
func (b *budget) add(t *tally, now time.Time) {
	if t.records == 0 {
		return
	}
	b.mu.Lock()
	if b.records == 0 {
		b.oldest = now
	}
	b.records += t.records
	b.bytes += t.bytes
	b.waited = b.waited || b.patient(t.awaited, now)
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// patient reports whether someone still waits for the outcome of an event that was received at a time. By which clock
// that was, decides when rows are written and nothing else.
func (b *budget) patient(received, now time.Time) bool {
	return !received.IsZero() && (b.limits.Patience == 0 || now.Sub(received) <= b.limits.Patience)
}

// due returns how long to wait until a flush is due: 0 for now, negative for not before something is added.
func (b *budget) due(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.records == 0 {
		return -1
	}
	if b.full() {
		return 0
	}
	wait := b.limits.Interval - now.Sub(b.oldest)
	if b.waited {
		wait = min(wait, max(b.limits.WaitInterval, 2*b.took)-now.Sub(b.flushed))
	}
	return max(wait, 0)
}

// take starts a flush: what was noted is on its way, and there is room again.
func (b *budget) take(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent, b.records, b.bytes, b.waited, b.flushed = b.records, 0, 0, false, now
	close(b.room)
	b.room = make(chan struct{})
}

// done ends a flush. A slow one costs much, most of it whatever its size, so the next one for those who wait is put off,
// and carries more. One that was slow without being large waited for the disk: to put the next one off would save nobody's
// work, and only make who waits wait twice as long.
func (b *budget) done(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.took = 0
	if b.sent >= largeFlush {
		b.took = now.Sub(b.flushed)
	}
}

// largeFlush is how many records make the processor's part of a flush worth saving.
const largeFlush = 1000
