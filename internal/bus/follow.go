package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Follower is told what Follow reads. Its functions are never called at the same time.
type Follower struct {
	// Record gets every record, those of one partition in their order. An error ends Follow.
	Record func(Record) error
	// Skipped, when set, allows to go on behind records that are gone, and is told of them: the follower has missed
	// offsets [from, to) of the partition. When to is below from, the topic was made anew and is read from there.
	// When nil, missing records end Follow with a *GapError or *OutOfRangeError.
	Skipped func(partition int, from, to int64)
}

// Follow reads the partitions named in from, each from its offset on, until ctx ends, the follower fails, or records
// are missing that may not be. Brokers that go and come back are waited for, however long it takes. It returns the
// context's error when ctx ended.
//
// To see everything that is produced from now on, take from of EndOffsets before anything is produced.
func (c *Client) Follow(ctx context.Context, topic string, from map[int]int64, f Follower) error {
	group, ctx := errgroup.WithContext(ctx)
	var one sync.Mutex
	for _, partition := range slices.Sorted(maps.Keys(from)) {
		p := &following{
			reader: &Reader{client: c, topic: topic, partition: partition, next: from[partition], wait: newBackoff()},
			to:     f, one: &one,
		}
		group.Go(func() error { return p.run(ctx) })
	}
	return group.Wait()
}

// following is Follow for one partition.
type following struct {
	reader *Reader
	to     Follower
	one    *sync.Mutex
	failed bool // the last fetch failed, and the log says so
}

func (p *following) run(ctx context.Context) error {
	for {
		recs, _, err := p.reader.Fetch(ctx, Limits{MaxWait: time.Second})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if err := p.recover(err); err != nil {
				return err
			}
			continue
		}
		if err := p.deliver(recs); err != nil {
			return err
		}
	}
}

func (p *following) deliver(recs []Record) error {
	if p.failed && len(recs) > 0 {
		p.failed = false
		p.reader.client.log.Info("following goes on", "topic", p.reader.topic, "partition", p.reader.partition)
	}
	p.one.Lock()
	defer p.one.Unlock()
	for _, r := range recs {
		if err := p.to.Record(r); err != nil {
			return fmt.Errorf("follow %s/%d at offset %d: %w", r.Topic, r.Partition, r.Offset, err)
		}
	}
	return nil
}

// recover decides what becomes of a failure: nil to go on.
func (p *following) recover(err error) error {
	var gap *GapError
	var away *OutOfRangeError
	switch {
	case Retryable(err):
		if !p.failed {
			p.failed = true
			p.reader.client.log.Warn("following waits for Kafka", "topic", p.reader.topic, "partition", p.reader.partition, "error", err)
		}
		return nil
	case p.to.Skipped == nil:
		return err
	case errors.As(err, &gap):
		p.skip(gap.Got)
		return nil
	case errors.As(err, &away):
		p.skip(away.First)
		return nil
	default:
		return err
	}
}

func (p *following) skip(to int64) {
	p.one.Lock()
	defer p.one.Unlock()
	p.to.Skipped(p.reader.partition, p.reader.next, to)
	p.reader.next = to
}
