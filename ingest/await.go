package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
)

// OutcomeLog is the topic usage.outcomes, as bus.Client reads it.
type OutcomeLog interface {
	EndOffsets(ctx context.Context, topic string) (map[int]int64, error)
	Follow(ctx context.Context, topic string, from map[int]int64, f bus.Follower) error
}

// Outcomes brings the verdicts on events to the requests that wait for them.
//
// Every awaited event gets a reply address of its own: a name unique to this start of the process, and a number. So
// several requests that wait for one id each get the verdict on their own event, also two events of one id in one request.
// A verdict that comes twice (the log may hold an event twice, and a decision may be published twice) is heard once.
type Outcomes struct {
	log    OutcomeLog
	from   map[int]int64
	prefix string // of this start's addresses
	logger *slog.Logger

	mu      sync.Mutex
	last    uint64
	max     int
	metrics *metrics
	slots   map[uint64]slot
	garbage uint64 // records that are no outcome
}

// slot is one awaited event.
type slot struct {
	w     *waiter
	index int
}

// waiter is one request that waits.
type waiter struct {
	o        *Outcomes
	first    uint64 // the number of its first event; the others follow
	events   []reckoner.Event
	verdicts []reckoner.Verdict
	missing  int
	done     chan struct{} // closed when none is missing
}

// OpenOutcomes finds out where the topic ends now. Nothing that a later request waits for can stand before that, so the
// process is ready only after it returned.
func OpenOutcomes(ctx context.Context, log OutcomeLog, logger *slog.Logger) (*Outcomes, error) {
	from, err := log.EndOffsets(ctx, bus.TopicOutcomes)
	if err != nil {
		return nil, fmt.Errorf("find the end of %s: %w", bus.TopicOutcomes, err)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Outcomes{
		log: log, from: from, logger: logger, prefix: uuid.NewString() + "/", slots: map[uint64]slot{}, max: DefaultLimits().WaitersMax,
	}, nil
}

func (o *Outcomes) observe(m *metrics, waitersMax int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.metrics, o.max = m, waitersMax
	m.passed(o.garbage) // what was read before there was anyone to count it
}

// Run follows the topic until ctx ends, and returns then its error. Any other error ends the process: requests would wait
// for nothing.
func (o *Outcomes) Run(ctx context.Context) error {
	return o.log.Follow(ctx, bus.TopicOutcomes, o.from, bus.Follower{
		Record: func(r bus.Record) error {
			v, err := wire.DecodeVerdict(r.Value)
			if err != nil {
				o.passed(&r, err)
				return nil
			}
			o.deliver(v)
			return nil
		},
		Skipped: func(partition int, from, to int64) {
			o.logger.Warn("outcomes expired before they were read; who waited for them is answered 202",
				"partition", partition, "from", from, "to", to)
		},
	})
}

// passed notes a record that is no outcome. Who can write such things can write many of them: the first is told, the others
// are counted.
func (o *Outcomes) passed(r *bus.Record, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.garbage++; o.garbage == 1 {
		o.logger.Warn("a record of "+bus.TopicOutcomes+" is not an outcome; look for what else writes there. More of them are only counted, in "+garbageMetric,
			"partition", r.Partition, "offset", r.Offset, "error", err)
	}
	if o.metrics != nil {
		o.metrics.passed(1)
	}
}

// await stamps a reply address into every event and begins to listen. It is called before the events are published; the
// caller must stop the waiter.
func (o *Outcomes) await(events []reckoner.Event) (*waiter, error) {
	w := &waiter{
		o: o, events: events, verdicts: make([]reckoner.Verdict, len(events)), missing: len(events), done: make(chan struct{}),
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.slots)+len(events) > o.max {
		return nil, &reckoner.Error{
			Code: reckoner.Unavailable, Message: "too many requests wait for their outcome; nothing was written, try again in a moment",
		}
	}
	w.first = o.last + 1
	o.last += uint64(len(events))
	for i := range events {
		n := w.first + uint64(i)
		events[i].ReplyTo = o.prefix + strconv.FormatUint(n, 10)
		o.slots[n] = slot{w, i}
	}
	o.gauge()
	return w, nil
}

func (o *Outcomes) deliver(v *reckoner.Verdict) {
	text, ours := strings.CutPrefix(v.ReplyTo, o.prefix)
	if !ours {
		return
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s, ok := o.slots[n]
	if !ok {
		return // heard before, or nobody waits any more
	}
	w, e := s.w, &s.w.events[s.index]
	if e.AccountID != v.AccountID || e.Kind != v.Kind || e.ID != v.ID {
		o.logger.Error("an outcome is not of the event that its address is of", "address", v.ReplyTo, "position", v.Position.String())
		return
	}
	delete(o.slots, n)
	w.verdicts[s.index] = *v
	if w.missing--; w.missing == 0 {
		close(w.done)
	}
	o.gauge()
}

func (o *Outcomes) gauge() {
	if o.metrics != nil {
		o.metrics.waiters.Set(float64(len(o.slots)))
	}
}

// stop ends the listening.
func (w *waiter) stop() {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	for i := range w.events {
		delete(w.o.slots, w.first+uint64(i))
	}
	w.o.gauge()
}

// wait returns the verdicts on all events, in their order, or false when not all came in time or ctx ended.
func (w *waiter) wait(ctx context.Context, d time.Duration) ([]reckoner.Verdict, bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-ctx.Done():
		return nil, false
	case <-timer.C:
		select {
		case <-w.done: // both were ready, or the time was 0
		default:
			return nil, false
		}
	}
	return w.verdicts, true
}
