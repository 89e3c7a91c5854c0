package aggregator

import (
	"context"
	"sync"
	"time"

	"reckoner"
)

// Limits say when what was decided is written. A flush is due when one of them is reached; more than RecordsMax and
// BytesMax never pile up before reading pauses.
type Limits struct {
	RecordsMax   int           // records decided and not yet on their way
	BytesMax     int           // their bytes
	Interval     time.Duration // age of the oldest of them
	WaitInterval time.Duration // from one flush's start to the next when someone waits for an outcome
}

// tally counts what was decided.
type tally struct {
	records, bytes int
	waited         bool
	outcomes       [int(reckoner.Undecodable) + 1]int
}

func (t *tally) add(rec *Record, f *effect) {
	t.records++
	t.bytes += len(rec.Key) + len(rec.Value)
	t.waited = t.waited || f.verdict != nil
	if f.entry != nil {
		t.outcomes[f.entry.Outcome]++
	} else {
		t.outcomes[f.refusal.Outcome]++
	}
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
	b.waited = b.waited || t.waited
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
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
		wait = min(wait, b.limits.WaitInterval-now.Sub(b.flushed))
	}
	return max(wait, 0)
}

// take starts a flush: what was noted is on its way, and there is room again.
func (b *budget) take(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records, b.bytes, b.waited, b.flushed = 0, 0, false, now
	close(b.room)
	b.room = make(chan struct{})
}
