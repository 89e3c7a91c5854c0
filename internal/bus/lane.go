package bus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// call is one call of Produce. It is over when each of its chunks has an answer.
type call struct {
	ctx     context.Context
	recs    []Record
	release func()
	done    chan struct{}
	left    atomic.Int32
	failed  atomic.Bool // an answer was an error, or nobody waits any more

	mu  sync.Mutex
	err error
}

func newCall(ctx context.Context, recs []Record, release func()) *call {
	return &call{ctx: ctx, recs: recs, release: release, done: make(chan struct{})}
}

// expect says how many answers will come; it is called before the first can.
func (c *call) expect(chunks int) { c.left.Store(int32(chunks)) }

func (c *call) answer(err error) {
	if err != nil {
		c.failed.Store(true)
		c.mu.Lock()
		if c.err == nil {
			c.err = err
		}
		c.mu.Unlock()
	}
	if c.left.Add(-1) == 0 {
		c.release()
		close(c.done)
	}
}

func (c *call) wait() error {
	select {
	case <-c.done:
	case <-c.ctx.Done():
		c.failed.Store(true) // what is not on its way yet stays here
		return &UnknownError{Err: context.Cause(c.ctx)}
	}
	if c.err != nil {
		return &UnknownError{Err: c.err}
	}
	return nil
}

// chunk is what a call writes to one partition in one batch.
type chunk struct {
	call  *call
	lane  *lane
	index []int32 // into call.recs
	bytes int
}

var errAbandoned = errors.New("an earlier part of the call failed, or its caller stopped waiting")

// lane writes the batches of one partition, one at a time.
type lane struct {
	producer  *Producer
	topic     *producerTopic
	partition int

	mu      sync.Mutex
	queue   []*chunk
	running bool
}

func (l *lane) add(c *chunk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, c)
	if !l.running {
		l.running = true
		go l.run()
	}
}

// run writes batches until nothing waits.
func (l *lane) run() {
	for {
		batch := l.take()
		if batch == nil {
			return
		}
		err := l.write(batch)
		for _, c := range batch {
			c.call.answer(err)
		}
	}
}

// take returns what goes into the next batch, or nil when nothing waits; then the lane is at rest.
//
// A chunk of a failed call is dropped here. Else its later records could be stored without the earlier ones, and the
// retry would then put the earlier ones behind them: a revert would come before its usage.
func (l *lane) take() []*chunk {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch []*chunk
	size, n := 0, 0
	for _, c := range l.queue {
		if c.call.failed.Load() {
			c.call.answer(errAbandoned)
		} else if batch == nil || size+c.bytes <= l.producer.opt.BatchBytes {
			batch = append(batch, c)
			size += c.bytes
		} else {
			break
		}
		n++
	}
	clear(l.queue[:n])
	l.queue = l.queue[n:]
	if batch == nil {
		l.queue = nil
		l.running = false
	}
	return batch
}

// write tries until every in-sync replica has the batch, until trying again cannot help, until time is up, or until
// nobody waits for it any more. After an attempt that failed on the way, a further one may leave a second copy.
func (l *lane) write(batch []*chunk) error {
	b := Batch{Topic: l.topic.name, Partition: l.partition}
	for _, c := range batch {
		b.Records += len(c.index)
		b.Bytes += c.bytes
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(l.producer.ctx, l.producer.opt.DeliveryTimeout)
	defer cancel()
	wait := newBackoff()
	for {
		b.Attempts++
		b.Err = l.attempt(ctx, batch)
		if b.Err == nil || !Retryable(b.Err) {
			break
		}
		l.producer.client.reset(b.Err)
		l.producer.client.log.Warn("Kafka did not take a batch; trying again",
			"topic", b.Topic, "partition", b.Partition, "records", b.Records, "attempt", b.Attempts, "error", b.Err)
		if sleep(ctx, wait.NextBackOff()) != nil || abandoned(batch) {
			break
		}
	}
	b.Took = time.Since(begin)
	if l.producer.opt.OnBatch != nil {
		l.producer.opt.OnBatch(b)
	}
	return b.Err
}

func abandoned(batch []*chunk) bool {
	for _, c := range batch {
		if !c.call.failed.Load() {
			return false
		}
	}
	return true
}

func (l *lane) attempt(ctx context.Context, batch []*chunk) error {
	client := l.producer.client
	if n, err := client.Partitions(ctx, l.topic.name); err == nil && n != len(l.topic.lanes) {
		return &PartitionsChangedError{Topic: l.topic.name, Was: len(l.topic.lanes), Is: n}
	}
	res, err := client.kafka.Produce(ctx, &kafka.ProduceRequest{
		Topic:        l.topic.name,
		Partition:    l.partition,
		RequiredAcks: kafka.RequireAll,
		Records:      &batchRecords{batch: batch},
	})
	if err != nil {
		return err
	}
	return res.Error
}

// batchRecords hands the records of a batch to the client, one after the other in the same memory.
type batchRecords struct {
	batch      []*chunk
	at         int // next of batch[0].index
	rec        kafka.Record
	key, value byteReader
}

type byteReader struct{ bytes.Reader }

func (*byteReader) Close() error { return nil }

func (r *batchRecords) ReadRecord() (*kafka.Record, error) {
	for len(r.batch) > 0 && r.at == len(r.batch[0].index) {
		r.batch, r.at = r.batch[1:], 0
	}
	if len(r.batch) == 0 {
		return nil, io.EOF
	}
	rec := &r.batch[0].call.recs[r.batch[0].index[r.at]]
	r.at++
	r.rec = kafka.Record{Time: rec.Time}
	if rec.Key != nil {
		r.key.Reset(rec.Key)
		r.rec.Key = &r.key
	}
	if rec.Value != nil {
		r.value.Reset(rec.Value)
		r.rec.Value = &r.value
	}
	for _, h := range rec.Headers {
		r.rec.Headers = append(r.rec.Headers, kafka.Header{Key: h.Key, Value: h.Value})
	}
	return &r.rec, nil
}
