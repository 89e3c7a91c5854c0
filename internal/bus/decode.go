package bus

import (
	"errors"
	"io"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// slabBytes is how much memory decode takes at once for keys and values.
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

// decode returns the records of a response from offset from on. It stops before a gap; when the gap comes first it
// returns a *GapError. Kafka sends whole batches, so records before from are passed over.
func decode(res *kafka.FetchResponse, from int64) ([]Record, error) {
	gap := func(got int64) error {
		return &GapError{Topic: res.Topic, Partition: res.Partition, Want: from, Got: got}
	}
	if got, ok := controlBatch(res.Records, from); ok {
		return nil, gap(got)
	}
	recs := make([]Record, 0, min(max(res.HighWatermark-from, 0), 4096))
	var mem slab
	for want := from; ; {
		rec, err := res.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return recs, nil
		}
		if err != nil {
			return nil, err
		}
		key, err := mem.read(rec.Key)
		if err != nil {
			return nil, err
		}
		value, err := mem.read(rec.Value)
		if err != nil {
			return nil, err
		}
		switch {
		case rec.Offset < want:
			continue
		case rec.Offset > want && len(recs) == 0:
			return nil, gap(rec.Offset)
		case rec.Offset > want:
			return recs, nil // the next fetch begins at the gap
		}
		want++
		recs = append(recs, Record{
			Topic: res.Topic, Partition: res.Partition, Offset: rec.Offset,
			Key: key, Value: value, Headers: headers(rec.Headers), Time: rec.Time,
		})
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
