package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// ProducerOptions bound a producer. Zero values take the defaults.
type ProducerOptions struct {
	// InFlightBytes bounds the bytes accepted and not yet answered, of all calls together (default 64 MiB).
	InFlightBytes int64
	// BusyWait is how long a call waits for room under that bound before ErrBusy (default 100 ms).
	BusyWait time.Duration
	// DeliveryTimeout bounds the attempts to write one batch (default 10 s).
	DeliveryTimeout time.Duration
	// RecordBytes bounds one record (default 1,000,000; Kafka's own limit is 1,048,588 for a batch).
	RecordBytes int
	// BatchBytes bounds a batch of several records (default 1,000,000).
	BatchBytes int
	// Partitions are the numbers of partitions that topics must have, where a key's partition is part of a contract. While
	// the cluster says another number, or still the old one, nothing is written: PartitionsChangedError.
	Partitions map[string]int
	// OnBatch is told of every batch, for metrics. It is called by many goroutines and must not block.
	OnBatch func(Batch)
}

// Batch is what became of one batch of records of one partition.
type Batch struct {
	Topic     string
	Partition int
	Records   int
	Bytes     int // at most, before compression
	Attempts  int
	Took      time.Duration // from the first attempt to the answer
	Err       error         // nil when every in-sync replica has the batch
}

func (o *ProducerOptions) defaults() {
	o.InFlightBytes = orDefault(o.InFlightBytes, 64<<20)
	o.BusyWait = orDefault(o.BusyWait, 100*time.Millisecond)
	o.DeliveryTimeout = orDefault(o.DeliveryTimeout, 10*time.Second)
	o.RecordBytes = orDefault(o.RecordBytes, 1_000_000)
	o.BatchBytes = orDefault(o.BatchBytes, 1_000_000)
}

// Producer writes records. It is safe for concurrent use; share one per process.
//
// Each partition has a lane with one batch on its way at a time: what arrives meanwhile rides the next. So a lone
// record waits for nothing, a crowd forms large batches by itself, and the order of a lane is the order of the calls.
type Producer struct {
	client *Client
	opt    ProducerOptions
	room   *semaphore.Weighted
	ctx    context.Context // ends when the last attempts are to stop
	stop   context.CancelFunc

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
	topics map[string]*producerTopic
}

type producerTopic struct {
	name  string
	lanes []*lane // one a partition; their number is that of the first write, for good
}

// NewProducer returns a producer. Close it before the client.
func (c *Client) NewProducer(o ProducerOptions) *Producer {
	o.defaults()
	ctx, stop := context.WithCancel(context.Background())
	return &Producer{
		client: c, opt: o, room: semaphore.NewWeighted(o.InFlightBytes),
		ctx: ctx, stop: stop, topics: make(map[string]*producerTopic),
	}
}

// Produce writes records to the partitions of their keys (PartitionFor). It returns nil only when every in-sync
// replica of every record's partition has it. Records of one key keep their order within a call, and from one call to
// the next that begins after it returned.
//
// The errors: *TooLargeError and ErrBusy, then nothing was written; *UnknownError, then it is open what was; any other
// error comes before anything was written. Sending again may leave a record in the log twice, also within one
// successful call. After an error the records may still be on their way: they must not be changed.
func (p *Producer) Produce(ctx context.Context, topic string, recs []Record) error {
	return p.produce(ctx, topic, -1, recs)
}

// ProduceTo is Produce to one partition, whatever the keys say.
func (p *Producer) ProduceTo(ctx context.Context, topic string, partition int, recs []Record) error {
	if partition < 0 {
		return fmt.Errorf("partition %d of topic %s does not exist", partition, topic)
	}
	return p.produce(ctx, topic, partition, recs)
}

func (p *Producer) produce(ctx context.Context, topic string, partition int, recs []Record) error {
	if len(recs) == 0 {
		return nil
	}
	if err := p.enter(); err != nil {
		return err
	}
	defer p.calls.Done()
	total, err := p.measure(recs)
	if err != nil {
		return err
	}
	t, err := p.topic(ctx, topic)
	if err != nil {
		return err
	}
	if partition >= len(t.lanes) {
		return fmt.Errorf("partition %d of topic %s does not exist: it has %d", partition, topic, len(t.lanes))
	}
	weight := min(total, p.opt.InFlightBytes) // a call larger than the bound goes alone
	if err := p.reserve(ctx, weight); err != nil {
		return err
	}
	call := newCall(ctx, recs, func() { p.room.Release(weight) })
	chunks := p.split(call, t, partition)
	call.expect(len(chunks))
	for _, c := range chunks {
		c.lane.add(c)
	}
	return call.wait()
}

func (p *Producer) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.calls.Add(1)
	return nil
}

// measure adds up the records, and refuses the call for one that is too large.
func (p *Producer) measure(recs []Record) (int64, error) {
	var total int64
	for i := range recs {
		n := recs[i].bytes()
		if n > p.opt.RecordBytes {
			return 0, &TooLargeError{Index: i, Bytes: n, Max: p.opt.RecordBytes}
		}
		total += int64(n)
	}
	return total, nil
}

func (p *Producer) reserve(ctx context.Context, weight int64) error {
	if p.room.TryAcquire(weight) {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, p.opt.BusyWait)
	defer cancel()
	if p.room.Acquire(wait, weight) != nil {
		return ErrBusy
	}
	return nil
}

// topic returns the lanes of a topic. They are made at the first write and stay, because a key must stay in its
// partition; lanes refuse to go on when the topic changes.
func (p *Producer) topic(ctx context.Context, name string) (*producerTopic, error) {
	p.mu.Lock()
	t := p.topics[name]
	p.mu.Unlock()
	if t != nil {
		return t, nil
	}
	n, err := p.client.Partitions(ctx, name)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("topic %s has no partitions", name)
	}
	if want := p.opt.Partitions[name]; want > 0 && n != want {
		return nil, &PartitionsChangedError{Topic: name, Was: want, Is: n}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.topics[name]; t != nil {
		return t, nil
	}
	t = &producerTopic{name: name, lanes: make([]*lane, n)}
	for i := range t.lanes {
		t.lanes[i] = &lane{producer: p, topic: t, partition: i}
	}
	p.topics[name] = t
	return t, nil
}

// split distributes the call's records to lanes, in chunks that each fit a batch.
func (p *Producer) split(c *call, t *producerTopic, partition int) []*chunk {
	var chunks []*chunk
	current := make(map[int]*chunk, min(len(t.lanes), len(c.recs)))
	for i := range c.recs {
		to := partition
		if to < 0 {
			to = PartitionFor(c.recs[i].Key, len(t.lanes))
		}
		n := c.recs[i].bytes()
		at := current[to]
		if at == nil || at.bytes+n > p.opt.BatchBytes {
			at = &chunk{call: c, lane: t.lanes[to]}
			current[to] = at
			chunks = append(chunks, at)
		}
		at.index = append(at.index, int32(i))
		at.bytes += n
	}
	return chunks
}

// Close refuses new calls and waits for those that run. When ctx ends first, they get an UnknownError.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.calls.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(errors.New("records were still on their way to Kafka"), ctx.Err())
	}
	p.stop()
	<-done
	return err
}
