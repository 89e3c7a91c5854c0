package bus

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"reckoner/internal/embedded/broker/brokertest"
)

// staleLeader answers some times as a leader of the past does: the log ends at offset 1.
type staleLeader struct {
	kafka.RoundTripper
	left atomic.Int32
}

func (s *staleLeader) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	res, err := s.RoundTripper.RoundTrip(ctx, addr, req)
	if err != nil {
		return nil, err
	}
	switch r := res.(type) {
	case *listoffsets.Response:
		if s.left.Add(-1) >= 0 {
			for i := range r.Topics[0].Partitions {
				p := &r.Topics[0].Partitions[i]
				p.Offset = min(p.Offset, 1)
			}
		}
	case *fetch.Response:
		if s.left.Add(-1) >= 0 {
			p := &r.Topics[0].Partitions[0]
			p.ErrorCode, p.HighWatermark, p.RecordSet = int16(kafka.OffsetOutOfRange), 1, protocol.RecordSet{}
		}
	}
	return res, nil
}

// TestStaleLeaderIsNotBelieved: a log that is short for a moment is not one that lost records.
func TestStaleLeaderIsNotBelieved(t *testing.T) {
	b := brokertest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := Open(Options{Brokers: b.Addrs(), IOTimeout: 4 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.EnsureTopics(ctx, []TopicSpec{{Name: "t", Partitions: 1}}); err != nil {
		t.Fatal(err)
	}
	p := c.NewProducer(ProducerOptions{})
	if err := p.Produce(ctx, "t", []Record{{Value: []byte("0")}, {Value: []byte("1")}, {Value: []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	stale := &staleLeader{RoundTripper: c.kafka.Transport}
	c.kafka.Transport = stale

	stale.left.Store(3)
	r, err := c.OpenReader(ctx, "t", 0, 2)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	stale.left.Store(3)
	var recs []Record
	for len(recs) == 0 {
		if recs, _, err = r.Fetch(ctx, Limits{}); err != nil && !Retryable(err) {
			t.Fatalf("fetch: %v", err)
		}
	}
	if len(recs) != 1 || recs[0].Offset != 2 {
		t.Errorf("got %v", recs)
	}
	stale.left.Store(3)
	if rec, err := c.ReadRecord(ctx, "t", 0, 2); err != nil || rec.Offset != 2 {
		t.Errorf("read: %v, %v", rec, err)
	}

	// At the end of the log there is nothing to read, and nothing is out of range.
	stale.left.Store(3)
	if recs, _, err := r.Fetch(ctx, Limits{MaxWait: time.Millisecond}); len(recs) > 0 || err != nil && !Retryable(err) {
		t.Errorf("at the end: %v, %v", recs, err)
	}

	// One that stays short is believed in the end.
	stale.left.Store(1 << 30)
	var away *OutOfRangeError
	if _, err := c.OpenReader(ctx, "t", 0, 2); !errors.As(err, &away) || away.Next != 1 {
		t.Errorf("short for good: %v", err)
	}
}
