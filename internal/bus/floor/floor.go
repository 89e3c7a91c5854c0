// Package floor is what Kafka costs anyone who uses kafka-go well and does nothing else: the benchmark measures the
// product against it. The product never uses it.
package floor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
)

// Cluster is a Kafka cluster, reached with nothing of ours in between.
type Cluster struct {
	addr   string
	client *kafka.Client
}

// Open returns a cluster. It does not connect.
func Open(broker string) *Cluster {
	return &Cluster{addr: broker, client: &kafka.Client{Addr: kafka.TCP(broker), Timeout: 10 * time.Second, Transport: &kafka.Transport{}}}
}

// Close drops the connections.
func (c *Cluster) Close() { c.client.Transport.(*kafka.Transport).CloseIdleConnections() }

// CreateTopic makes a topic and returns when it takes records.
func (c *Cluster) CreateTopic(ctx context.Context, topic string, partitions int) error {
	res, err := c.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: topic, NumPartitions: partitions, ReplicationFactor: -1},
	}})
	if err == nil {
		err = res.Errors[topic]
	}
	if err != nil {
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	for ctx.Err() == nil {
		if _, err = c.Ends(ctx, topic, partitions); err == nil {
			return nil
		}
		c.Close() // and with it what was known of the cluster
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return err
}

// DeleteTopics removes topics; one that is not there is no error.
func (c *Cluster) DeleteTopics(ctx context.Context, topics ...string) error {
	res, err := c.client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: topics})
	if err != nil {
		return fmt.Errorf("delete topics %v: %w", topics, err)
	}
	var errs []error
	for topic, err := range res.Errors {
		if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			errs = append(errs, fmt.Errorf("delete topic %s: %w", topic, err))
		}
	}
	return errors.Join(errs...)
}

// Ends returns the next offset of each partition.
func (c *Cluster) Ends(ctx context.Context, topic string, partitions int) ([]int64, error) {
	ask := make([]kafka.OffsetRequest, partitions)
	for p := range ask {
		ask[p] = kafka.LastOffsetOf(p)
	}
	res, err := c.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: ask}})
	if err != nil {
		return nil, fmt.Errorf("offsets of topic %s: %w", topic, err)
	}
	ends := make([]int64, partitions)
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("offsets of %s/%d: %w", topic, p.Partition, p.Error)
		}
		ends[p.Partition] = p.LastOffset
	}
	return ends, nil
}

// Records returns how many records a topic holds, none of which was ever deleted.
func (c *Cluster) Records(ctx context.Context, topic string, partitions int) (int64, error) {
	ends, err := c.Ends(ctx, topic, partitions)
	var n int64
	for _, end := range ends {
		n += end
	}
	return n, err
}

// Writer writes to one topic, acknowledged by every in-sync replica, to the partition of Kafka's default partitioner.
// It may be used by many goroutines.
type Writer struct{ w *kafka.Writer }

// NewWriter returns a writer. What arrives within the linger goes out together: kafka-go's Writer always waits for
// that, and its default of a second suits nobody who waits for the answer.
func (c *Cluster) NewWriter(topic string, linger time.Duration) *Writer {
	return &Writer{&kafka.Writer{
		Addr: c.client.Addr, Topic: topic, Balancer: kafka.Murmur2Balancer{}, RequiredAcks: kafka.RequireAll,
		BatchSize: 1000, BatchBytes: 1_000_000, BatchTimeout: linger, Transport: c.client.Transport,
	}}
}

// Write writes one value n times under a key and returns when every in-sync replica has it.
func (w *Writer) Write(ctx context.Context, key, value []byte, n int) error {
	messages := make([]kafka.Message, n)
	for i := range messages {
		messages[i] = kafka.Message{Key: key, Value: value}
	}
	return w.w.WriteMessages(ctx, messages...)
}

// Close writes what is left.
func (w *Writer) Close() error { return w.w.Close() }

// Produce writes one record to a partition, without a writer's linger, and returns its offset.
func (c *Cluster) Produce(ctx context.Context, topic string, partition int, key, value []byte) (offset int64, err error) {
	res, err := c.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(kafka.Record{Key: kafka.NewBytes(key), Value: kafka.NewBytes(value)}),
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return 0, fmt.Errorf("produce to %s/%d: %w", topic, partition, err)
	}
	return res.BaseOffset, nil
}

// Record is one record that was read. Its bytes are valid until take returns.
type Record struct {
	Offset     int64
	Key, Value []byte
}

// fetchBytes is asked for at once: what the product's own default is.
const fetchBytes = 8 << 20

// Fetch reads a partition from an offset to before another one and hands the records over, a response at a time.
func (c *Cluster) Fetch(ctx context.Context, topic string, partition int, from, to int64, take func([]Record) error) error {
	var all []byte
	for from < to {
		res, err := c.client.Fetch(ctx, &kafka.FetchRequest{
			Topic: topic, Partition: partition, Offset: from, MinBytes: 1, MaxBytes: fetchBytes, MaxWait: time.Second,
		})
		if err == nil {
			err = res.Error
		}
		if err != nil {
			return fmt.Errorf("fetch %s/%d from %d: %w", topic, partition, from, err)
		}
		all = all[:0]
		recs := make([]Record, 0, 4096)
		for {
			rec, err := res.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("read %s/%d from %d: %w", topic, partition, from, err)
			}
			var key, value []byte
			if all, key, err = read(all, rec.Key); err != nil {
				return err
			}
			if all, value, err = read(all, rec.Value); err != nil {
				return err
			}
			if rec.Offset >= from && rec.Offset < to { // a batch comes whole
				recs = append(recs, Record{rec.Offset, key, value})
			}
		}
		if len(recs) == 0 {
			continue
		}
		from = recs[len(recs)-1].Offset + 1
		if err := take(recs); err != nil {
			return err
		}
	}
	return nil
}

// read copies b behind what all holds and gives its memory back. What was read before stays valid when all moves.
func read(all []byte, b kafka.Bytes) ([]byte, []byte, error) {
	if b == nil {
		return all, nil, nil
	}
	defer b.Close()
	n := b.Len()
	if cap(all)-len(all) < n {
		all = make([]byte, 0, max(n, 1<<20))
	}
	start := len(all)
	all = all[:start+n]
	out := all[start : start+n : start+n]
	_, err := io.ReadFull(b, out)
	return all, out, err
}
