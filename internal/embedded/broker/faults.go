package broker

import (
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// FailProduce refuses the next n produce requests, of any topic, with NOT_ENOUGH_REPLICAS: their records are not
// stored. A negative n refuses them until the returned function is called; calling it is always allowed.
func (b *Broker) FailProduce(n int) (heal func()) {
	return b.fault(n, kmsg.Produce, kerr.NotEnoughReplicas)
}

// DropProduceAck stores the records of the next n produce requests and loses their acknowledgement: the client gets
// REQUEST_TIMED_OUT, as Kafka answers when the replicas are slow. A client that tries again leaves a second copy in
// the log. A negative n goes on until the returned function is called.
func (b *Broker) DropProduceAck(n int) (heal func()) {
	return b.fault(n, kmsg.Produce, kerr.RequestTimedOut)
}

// RefuseProduceTooLarge refuses the next n produce requests with MESSAGE_TOO_LARGE, for good.
func (b *Broker) RefuseProduceTooLarge(n int) (heal func()) {
	return b.fault(n, kmsg.Produce, kerr.MessageTooLarge)
}

// FailCreateTopics refuses the next n requests that create topics, with what a broker says that is no longer the
// controller. A negative n refuses them until the returned function is called.
func (b *Broker) FailCreateTopics(n int) (heal func()) {
	return b.fault(n, kmsg.CreateTopics, kerr.NotController)
}

// DropCreateTopicsAck creates the topics of the next n requests, and answers that it timed out. A negative n goes on
// until the returned function is called.
func (b *Broker) DropCreateTopicsAck(n int) (heal func()) {
	return b.fault(n, kmsg.CreateTopics, kerr.RequestTimedOut)
}

func (b *Broker) fault(n int, key kmsg.Key, err *kerr.Error) func() {
	if n == 0 {
		return func() {}
	}
	h := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err, Count: n})
	return h.Remove
}

// Pause holds requests of one kind before the broker sees them. It is safe for concurrent use.
type Pause struct {
	held    atomic.Int64
	resumed chan struct{}
	resume  func()
}

// Held is how many requests the pause has held so far.
func (p *Pause) Held() int { return int(p.held.Load()) }

// Resume lets the held requests go on; those of one connection keep their order. A second call does nothing.
func (p *Pause) Resume() { p.resume() }

// hold waits for Resume and returns true, or false when the connection was closed before.
func (p *Pause) hold(closed <-chan struct{}) bool {
	select {
	case <-p.resumed:
		return true
	default:
	}
	p.held.Add(1)
	select {
	case <-p.resumed:
		return true
	case <-closed:
		return false
	}
}

// PauseProduce holds every produce request until Resume. Other requests go on.
func (b *Broker) PauseProduce() *Pause { return b.conns.pause(kmsg.Produce.Int16()) }

// PauseFetch does the same to fetch requests.
func (b *Broker) PauseFetch() *Pause { return b.conns.pause(kmsg.Fetch.Int16()) }

// PauseCreateTopics does the same to requests that create topics.
func (b *Broker) PauseCreateTopics() *Pause { return b.conns.pause(kmsg.CreateTopics.Int16()) }

// CutConnections closes every client connection. The broker goes on and clients may connect again at once.
func (b *Broker) CutConnections() { b.conns.cut() }

// DeleteRecords forgets the records of a partition before offset, as retention does.
func (b *Broker) DeleteRecords(topic string, partition int, offset int64) error {
	if err := b.cluster.DeleteRecords(topic, int32(partition), offset); err != nil {
		return fmt.Errorf("delete records of %s/%d before %d: %w", topic, partition, offset, err)
	}
	return nil
}

// DeleteTopic deletes a topic with all it holds, and what groups committed for it.
func (b *Broker) DeleteTopic(topic string) error {
	if err := b.cluster.DeleteTopic(topic); err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	return nil
}

// MoveLeader makes another broker of the cluster the leader of a partition.
func (b *Broker) MoveLeader(topic string, partition, broker int) error {
	if err := b.cluster.MoveTopicPartition(topic, int32(partition), int32(broker)); err != nil {
		return fmt.Errorf("move the leader of %s/%d to broker %d: %w", topic, partition, broker, err)
	}
	return nil
}

// Leader is the number of the broker that leads a partition, -1 when there is none.
func (b *Broker) Leader(topic string, partition int) int {
	return int(b.cluster.LeaderFor(topic, int32(partition)))
}
