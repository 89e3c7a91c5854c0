package aggregator

import (
	"context"
	"errors"
	"time"

	"reckoner/internal/bus"
)

// Source is the log of events, by partition.
type Source interface {
	// Offsets returns the first offset that a partition still holds and the next that it will take.
	Offsets(ctx context.Context, partition int32) (first, next int64, err error)
	// Record returns one record by its offset.
	Record(ctx context.Context, partition int32, offset int64) (Record, error)
	// Open returns a reader whose first record has offset from.
	Open(ctx context.Context, partition int32, from int64) (Reader, error)
}

// Reader reads one partition, offset by offset, and never skips one.
type Reader interface {
	// Fetch returns the next records and the offset before which the log is readable. No records and no error mean
	// that none came in time. After an error that Retryable knows, it may be called again.
	Fetch(ctx context.Context) (recs []Record, next int64, err error)
}

// Publisher writes records to topics: bus.Producer.
type Publisher interface {
	Produce(ctx context.Context, topic string, recs []bus.Record) error
}

// Generation is one membership of the group: partitions that are this process's until its context ends.
type Generation interface {
	Partitions() []int32
	// Commit tells the group the next offset of each partition.
	Commit(ctx context.Context, next map[int]int64) error
}

// Group is the membership of this process in the consumer group of the log.
type Group interface {
	// Run joins the group and calls work with each generation in turn, until ctx ends or work fails. The context that
	// work gets ends with the generation, and Run waits for work to return. When ctx ends it leaves the group, so
	// that others take over at once.
	Run(ctx context.Context, work func(ctx context.Context, g Generation) error) error
}

// KafkaSource reads the log from Kafka.
type KafkaSource struct {
	Client     *bus.Client
	Topic      string
	FetchBytes int           // asked of the broker at once
	MaxWait    time.Duration // for the first record of a fetch
}

// Offsets implements Source.
func (s *KafkaSource) Offsets(ctx context.Context, partition int32) (first, next int64, err error) {
	return s.Client.Offsets(ctx, s.Topic, int(partition))
}

// Record implements Source.
func (s *KafkaSource) Record(ctx context.Context, partition int32, offset int64) (Record, error) {
	return s.Client.ReadRecord(ctx, s.Topic, int(partition), offset)
}

// Open implements Source.
func (s *KafkaSource) Open(ctx context.Context, partition int32, from int64) (Reader, error) {
	r, err := s.Client.OpenReader(ctx, s.Topic, int(partition), from)
	if err != nil {
		return nil, err
	}
	return &kafkaReader{r, bus.Limits{MaxBytes: s.FetchBytes, MaxRecords: decideMax, MaxWait: s.MaxWait}}, nil
}

// decideMax is how many records of a fetch are decided at once. All partitions may decide that many beyond the limits of
// a flush; a whole fetch of each would be more than a flush holds.
const decideMax = 1000

type kafkaReader struct {
	reader *bus.Reader
	limits bus.Limits
}

// Fetch implements Reader.
func (r *kafkaReader) Fetch(ctx context.Context) ([]Record, int64, error) {
	return r.reader.Fetch(ctx, r.limits)
}

// retryable reports whether an error of the log may pass by itself. The end of the context is not such a case.
func retryable(err error) bool {
	return bus.Retryable(err) && !errors.Is(err, context.Canceled)
}
