package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"reckoner/internal/bus"
)

// reached is how far the topic was read and put in force.
type reached struct {
	mu   sync.Mutex
	next int64
	more chan struct{} // closed when next grows; nil: nobody waits
}

func (r *reached) set(next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = next
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// until waits until everything before an offset is in force.
func (r *reached) until(ctx context.Context, to int64) error {
	for {
		r.mu.Lock()
		if r.next >= to {
			r.mu.Unlock()
			return nil
		}
		if r.more == nil {
			r.more = make(chan struct{})
		}
		more := r.more
		r.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// retryPause is how long to wait before Kafka is asked again how far the topic goes.
const retryPause = 50 * time.Millisecond

// Sync waits until the reader's catalog has every change that was acknowledged to anybody before the call. A decision that
// rests on what is there asks for it first: this process may be a moment behind the one that answered last.
func (w *Writer) Sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.opts.Timeout)
	defer cancel()
	_, end, err := w.reader.client.Offsets(ctx, bus.TopicCatalog, 0)
	for err != nil && bus.Retryable(err) && sleep(ctx, retryPause) == nil {
		_, end, err = w.reader.client.Offsets(ctx, bus.TopicCatalog, 0)
	}
	if err == nil {
		err = w.reader.reached.until(ctx, end)
	}
	if err != nil {
		return fmt.Errorf("read the catalog to its end: %w", errors.Join(err, w.reader.Err()))
	}
	return nil
}
