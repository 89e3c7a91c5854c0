package bus

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// Members returns how many members a consumer group has now. A group that does not exist has none.
func (c *Client) Members(ctx context.Context, group string) (int, error) {
	res, err := c.kafka.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return 0, fmt.Errorf("describe group %s: %w", group, err)
	}
	n := 0
	for _, g := range res.Groups {
		if g.Error != nil {
			return 0, fmt.Errorf("describe group %s: %w", group, g.Error)
		}
		n += len(g.Members)
	}
	return n, nil
}

// AddPartitions makes a topic have so many partitions in all. Keys then belong to other partitions: a log is only
// changed so when it is drained and nobody writes it (`reckoner migrate --new-log`).
func (c *Client) AddPartitions(ctx context.Context, topic string, total int) error {
	res, err := c.kafka.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: int32(total)}},
	})
	if err == nil {
		err = res.Errors[topic]
	}
	if err != nil {
		return fmt.Errorf("add partitions to %s, %d in all: %w", topic, total, err)
	}
	return nil
}
