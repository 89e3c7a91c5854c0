package bus

import (
	"errors"
	"io"
	"math"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// slabBytes is how much memory a stream takes at once for keys and values.
const slabBytes = 64 << 10

// slab hands out pieces of large allocations, so that a record costs none of its own.
type slab struct{ free []byte }

func (s *slab) take(n int) []byte {
	if n > len(s.free) {
		s.free = make([]byte, max(n, slabBytes))
	}
	b := s.free[:n:n]
	s.free = s.free[n:]
	return b
}

// read copies b and gives its memory back to the client. A nil b stays nil.
func (s *slab) read(b protocol.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer b.Close()
	if b.Len() == 0 {
		return []byte{}, nil
	}
	out := s.take(b.Len())
	if _, err := io.ReadFull(b, out); err != nil {
		return nil, err
	}
	return out, nil
}

// stream is a response whose records are decoded as they are taken: those that are not decided yet are neither held
// twice nor out of the processor's cache by the time they are.
type stream struct {
	topic     string
	partition int
	next      int64              // the offset that the next record must have
	high      int64              // the log's end
	records   kafka.RecordReader // nil when nothing is left
	mem       slab
}

// newStream returns the records of a response from offset from on. When they begin behind a gap, it returns a *GapError.
// Kafka sends whole batches, so records before from are passed over.
func newStream(res *kafka.FetchResponse, from int64) (*stream, error) {
	s := &stream{topic: res.Topic, partition: res.Partition, next: from, high: res.HighWatermark, records: res.Records}
	if got, ok := controlBatch(res.Records, from); ok {
		return nil, s.gap(got)
	}
	return s, nil
}

func (s *stream) gap(got int64) error {
	return &GapError{Topic: s.topic, Partition: s.partition, Want: s.next, Got: got}
}

// take returns the next records, limit at most; 0: all that are left. None means that the stream is over. It is so before a
// gap, and before what cannot be decoded, too: what is wrong is an error only when it comes first, and the next response
// will begin with it.
func (s *stream) take(limit int) ([]Record, error) {
	if s.records == nil {
		return nil, nil
	}
	if limit <= 0 {
		limit = math.MaxInt
	}
	var recs []Record
	for len(recs) < limit {
		rec, key, value, err := s.one()
		if err != nil {
			s.records = nil
			if len(recs) > 0 || errors.Is(err, io.EOF) {
				err = nil
			}
			return recs, err
		}
		if recs == nil {
			recs = make([]Record, 0, min(max(s.high-s.next, 1), int64(limit), 4096))
		}
		s.next++
		recs = append(recs, Record{
			Topic: s.topic, Partition: s.partition, Offset: rec.Offset,
			Key: key, Value: value, Headers: headers(rec.Headers), Time: rec.Time,
		})
	}
	return recs, nil
}

// one reads the record at next, or returns io.EOF at the end.
func (s *stream) one() (rec *kafka.Record, key, value []byte, err error) {
	for {
		if rec, err = s.records.ReadRecord(); err != nil {
			return nil, nil, nil, err
		}
		if key, err = s.mem.read(rec.Key); err != nil {
			return nil, nil, nil, err
		}
		if value, err = s.mem.read(rec.Value); err != nil {
			return nil, nil, nil, err
		}
		if rec.Offset > s.next {
			return nil, nil, nil, s.gap(rec.Offset)
		}
		if rec.Offset == s.next {
			return rec, key, value, nil
		}
	}
}

// controlBatch reports a transaction marker at the head of a response. The client hides markers, and one at the end of
// the log would look like a log without anything new for ever.
func controlBatch(records kafka.RecordReader, from int64) (next int64, ok bool) {
	stream, _ := records.(*protocol.RecordStream)
	if stream == nil || len(stream.Records) == 0 {
		return 0, false
	}
	control, _ := stream.Records[0].(*protocol.ControlBatch)
	if control == nil || control.BaseOffset < from {
		return 0, false
	}
	return control.BaseOffset + 1, true
}

func headers(in []kafka.Header) []Header {
	if len(in) == 0 {
		return nil
	}
	out := make([]Header, len(in))
	for i, h := range in {
		out[i] = Header{Key: h.Key, Value: h.Value}
	}
	return out
}
