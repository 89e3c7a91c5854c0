package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"
)

// Limits bound one Fetch. Zero values take the defaults.
type Limits struct {
	// MaxRecords bounds the records returned (default: no bound). What was fetched beyond it comes with the next call.
	MaxRecords int
	// MaxBytes bounds what is asked of the broker at once (default 4 MiB). A larger batch still comes whole.
	MaxBytes int
	// MaxWait is how long to wait for the first record (default 500 ms; at least 1 ms, at most half of the I/O timeout).
	MaxWait time.Duration
}

// Reader reads one partition, offset by offset. It never skips one. It is for one goroutine at a time.
type Reader struct {
	client    *Client
	topic     string
	partition int
	next      int64   // the offset the next record must have
	fetched   *stream // what was fetched and not returned yet; nil: nothing
	high      int64
	wait      *backoff.ExponentialBackOff
	notBefore time.Time // no fetch before this: the last one failed
	failed    error     // how it failed
}

// OpenReader returns a reader of a partition whose first record will be that of offset from. It returns a
// *OutOfRangeError when the log does not reach from; the offset after the last record is within reach.
func (c *Client) OpenReader(ctx context.Context, topic string, partition int, from int64) (*Reader, error) {
	r := &Reader{client: c, topic: topic, partition: partition, next: from, wait: newBackoff()}
	first, next, err := c.reach(ctx, topic, partition, from, from)
	if err != nil {
		return nil, err
	}
	if from < first || from > next {
		return nil, &OutOfRangeError{Topic: topic, Partition: partition, Want: from, First: first, Next: next}
	}
	r.high = next
	return r, nil
}

// Next is the offset of the record that the next Fetch begins with.
func (r *Reader) Next() int64 { return r.next }

// Fetch returns the next records and the high watermark, the offset before which every in-sync replica has the log.
// Offsets are dense: each record's is one above the last one's. No records and no error mean that none came in time.
//
// The errors: *GapError and *OutOfRangeError are final, the reader stays where it is. Of others Retryable tells; a
// retryable failure is to be answered by calling again, and the reader paces itself: it waits before it tries again,
// no longer than MaxWait in one call, and a call that only waits returns the failure once more. So *never* is a log that
// cannot be read taken for one without anything new. The records belong to the caller.
func (r *Reader) Fetch(ctx context.Context, l Limits) (recs []Record, high int64, err error) {
	l.MaxBytes = orDefault(l.MaxBytes, 4<<20)
	l.MaxWait = min(max(orDefault(l.MaxWait, 500*time.Millisecond), time.Millisecond), r.client.opt.IOTimeout/2)
	if r.fetched != nil {
		recs, _ = r.fetched.take(l.MaxRecords) // after an error there are none, and the next response begins with it
	}
	if len(recs) == 0 {
		if recs, err = r.fill(ctx, l); err != nil {
			return nil, r.high, err
		}
	}
	r.next += int64(len(recs))
	return recs, r.high, nil
}

// fill fetches once, when it is time to, and returns the first records.
func (r *Reader) fill(ctx context.Context, l Limits) ([]Record, error) {
	r.fetched = nil
	if pause := time.Until(r.notBefore); pause > 0 {
		if err := sleep(ctx, min(pause, l.MaxWait)); err != nil {
			return nil, err
		}
		if pause > l.MaxWait {
			return nil, r.failed
		}
	}
	s, recs, err := r.client.fetch(ctx, r.topic, r.partition, r.next, l)
	if err != nil {
		if Retryable(err) && ctx.Err() == nil {
			r.client.reset(err)
			r.notBefore, r.failed = time.Now().Add(r.wait.NextBackOff()), err
		}
		return nil, err
	}
	r.wait.Reset()
	r.fetched = s
	if s.high >= 0 {
		r.high = s.high
	}
	return recs, nil
}

// ReadRecord returns one record by its offset. It waits out failures of the network until ctx ends. The other errors
// are those of Fetch; the offset after the last record is out of range here.
func (c *Client) ReadRecord(ctx context.Context, topic string, partition int, offset int64) (Record, error) {
	for wait := newBackoff(); ; {
		s, recs, err := c.fetch(ctx, topic, partition, offset, Limits{MaxRecords: 1, MaxBytes: 64 << 10, MaxWait: 100 * time.Millisecond})
		switch {
		case err == nil && len(recs) > 0:
			return recs[0], nil
		case err == nil && s.high <= offset:
			err = c.outOfRange(ctx, topic, partition, offset, offset+1)
		case err == nil:
			err = fmt.Errorf("read %s/%d offset %d: %w", topic, partition, offset, kafka.OffsetNotAvailable)
		}
		if !Retryable(err) {
			return Record{}, err
		}
		c.reset(err)
		if sleep(ctx, wait.NextBackOff()) != nil {
			return Record{}, err
		}
	}
}

// fetch asks once for records from an offset, and returns the first of them beside what is left.
func (c *Client) fetch(ctx context.Context, topic string, partition int, from int64, l Limits) (*stream, []Record, error) {
	res, err := c.kafka.Fetch(ctx, &kafka.FetchRequest{
		Topic: topic, Partition: partition, Offset: from,
		MinBytes: 1, MaxBytes: int64(l.MaxBytes), MaxWait: l.MaxWait,
	})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return nil, nil, c.outOfRange(ctx, topic, partition, from, from)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("fetch %s/%d from offset %d: %w", topic, partition, from, err)
	}
	var recs []Record
	s, err := newStream(res, from)
	if err == nil {
		recs, err = s.take(l.MaxRecords)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("decode %s/%d from offset %d: %w", topic, partition, from, err)
	}
	return s, recs, nil
}

// outOfRange asks for the range. A log that reaches to need after all did not only for a moment: its leader moved.
func (c *Client) outOfRange(ctx context.Context, topic string, partition int, want, need int64) error {
	first, next, err := c.reach(ctx, topic, partition, want, need)
	if err != nil {
		return err
	}
	if want >= first && need <= next {
		return fmt.Errorf("fetch %s/%d from offset %d: %w", topic, partition, want, kafka.LeaderNotAvailable)
	}
	return &OutOfRangeError{Topic: topic, Partition: partition, Want: want, First: first, Next: next}
}

// reach returns what a partition holds, and does not believe at once that it ends before need. A broker that led the
// partition and was frozen answers, when it wakes up, as if it still did, and the end that it tells is the one of then.
// The client sends no leader epochs, so nobody refuses. Hence the log has to be short for half of the I/O timeout, with
// the layout asked for anew each time. A frozen leader knows better as soon as it hears of the controller.
func (c *Client) reach(ctx context.Context, topic string, partition int, want, need int64) (first, next int64, err error) {
	deadline := time.Now().Add(c.opt.IOTimeout / 2)
	for wait := newBackoff(); ; {
		first, next, err = c.Offsets(ctx, topic, partition)
		if err != nil || want < first || need <= next || time.Now().After(deadline) {
			return first, next, err
		}
		c.transport.CloseIdleConnections()
		if err := sleep(ctx, min(wait.NextBackOff(), 500*time.Millisecond)); err != nil {
			return 0, 0, err
		}
	}
}
