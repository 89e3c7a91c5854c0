package bus

import (
	"context"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"
)

// Range is what a partition holds: offsets from First to before Next. Next is the offset after the last record that
// every in-sync replica has.
type Range struct{ First, Next int64 }

// Offsets returns what one partition holds.
func (c *Client) Offsets(ctx context.Context, topic string, partition int) (first, next int64, err error) {
	ranges, err := c.offsets(ctx, topic, []int{partition})
	if err != nil {
		return 0, 0, err
	}
	r := ranges[partition]
	return r.First, r.Next, nil
}

// AllOffsets returns what every partition of the topic holds.
func (c *Client) AllOffsets(ctx context.Context, topic string) (map[int]Range, error) {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	partitions := make([]int, n)
	for i := range partitions {
		partitions[i] = i
	}
	return c.offsets(ctx, topic, partitions)
}

// EndOffsets returns the next offset of every partition of the topic, as Follow takes them.
func (c *Client) EndOffsets(ctx context.Context, topic string) (map[int]int64, error) {
	ranges, err := c.AllOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends := make(map[int]int64, len(ranges))
	for p, r := range ranges {
		ends[p] = r.Next
	}
	return ends, nil
}

// offsets asks for first and next in two requests: the client's answer to both in one cannot tell a missing first
// offset from 0.
func (c *Client) offsets(ctx context.Context, topic string, partitions []int) (map[int]Range, error) {
	first, err := c.list(ctx, topic, partitions, kafka.FirstOffset)
	if err != nil {
		return nil, err
	}
	next, err := c.list(ctx, topic, partitions, kafka.LastOffset)
	if err != nil {
		return nil, err
	}
	ranges := make(map[int]Range, len(partitions))
	for _, p := range partitions {
		ranges[p] = Range{First: first[p], Next: next[p]}
	}
	return ranges, nil
}

func (c *Client) list(ctx context.Context, topic string, partitions []int, which int64) (map[int]int64, error) {
	reqs := make([]kafka.OffsetRequest, len(partitions))
	for i, p := range partitions {
		reqs[i] = kafka.OffsetRequest{Partition: p, Timestamp: which}
	}
	res, err := c.kafka.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: reqs}})
	if err != nil {
		c.reset(err)
		return nil, fmt.Errorf("ask for the offsets of %s: %w", topic, err)
	}
	offsets := make(map[int]int64, len(partitions))
	for _, o := range res.Topics[topic] {
		if o.Error != nil {
			c.reset(o.Error)
			return nil, fmt.Errorf("ask for the offsets of %s/%d: %w", topic, o.Partition, o.Error)
		}
		offset := o.LastOffset
		if which == kafka.FirstOffset {
			offset = o.FirstOffset
		}
		if offset < 0 || !slices.Contains(partitions, o.Partition) {
			return nil, fmt.Errorf("ask for the offsets of %s/%d: %w", topic, o.Partition, kafka.LeaderNotAvailable)
		}
		offsets[o.Partition] = offset
	}
	if len(offsets) != len(partitions) {
		return nil, fmt.Errorf("ask for the offsets of %s: %w", topic, kafka.LeaderNotAvailable)
	}
	return offsets, nil
}
