package bus

import (
	"errors"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"pgregory.net/rapid"
)

// batch is a response's batch with these offsets; control makes it a transaction marker.
func batch(control bool, offsets ...int64) protocol.RecordReader {
	recs := make([]kafka.Record, len(offsets))
	for i, o := range offsets {
		recs[i] = kafka.Record{Offset: o, Key: protocol.NewBytes([]byte("k")), Value: protocol.NewBytes([]byte{})}
	}
	if control {
		return &protocol.ControlBatch{BaseOffset: offsets[0], Records: protocol.NewRecordReader(recs...)}
	}
	return &protocol.RecordBatch{BaseOffset: offsets[0], Records: protocol.NewRecordReader(recs...)}
}

func response(batches ...protocol.RecordReader) *kafka.FetchResponse {
	return &kafka.FetchResponse{Topic: "t", Partition: 3, Records: &protocol.RecordStream{Records: batches}}
}

// all takes a response's records, so many at once.
func all(res *kafka.FetchResponse, from int64, limit int) (recs []Record, err error) {
	s, err := newStream(res, from)
	for err == nil {
		var some []Record
		some, err = s.take(limit)
		if recs = append(recs, some...); len(some) == 0 {
			break
		}
	}
	if len(recs) > 0 {
		err = nil // the next response begins with it
	}
	return recs, err
}

func TestDecodeGaps(t *testing.T) {
	for _, tc := range []struct {
		name    string
		res     *kafka.FetchResponse
		from    int64
		records int
		gap     int64 // the offset found instead; 0 for no gap
	}{
		{"nothing", response(), 5, 0, 0},
		{"dense", response(batch(false, 5, 6), batch(false, 7)), 5, 3, 0},
		{"begins earlier", response(batch(false, 3, 4, 5, 6)), 5, 2, 0},
		{"all earlier", response(batch(false, 3, 4)), 5, 0, 0},
		{"first offset is missing", response(batch(false, 6, 7)), 5, 0, 6},
		{"compacted within a batch", response(batch(false, 5, 7)), 5, 1, 0},
		{"gap between batches", response(batch(false, 5), batch(false, 9)), 5, 1, 0},
		{"marker at the head", response(batch(true, 5)), 5, 0, 6},
		{"marker, then records", response(batch(true, 5), batch(false, 6)), 5, 0, 6},
		{"records, then a marker", response(batch(false, 5), batch(true, 6), batch(false, 7)), 5, 1, 0},
		{"marker before", response(batch(true, 4), batch(false, 5)), 5, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			recs, err := all(tc.res, tc.from, 0)
			var gap *GapError
			if errors.As(err, &gap) != (tc.gap != 0) || tc.gap != 0 && *gap != (GapError{"t", 3, tc.from, tc.gap}) {
				t.Fatalf("got %v", err)
			}
			if len(recs) != tc.records {
				t.Errorf("%d records, want %d", len(recs), tc.records)
			}
			for i, r := range recs {
				if r.Offset != tc.from+int64(i) || r.Partition != 3 || r.Value == nil {
					t.Errorf("record %d is %+v", i, r)
				}
			}
		})
	}
}

// TestDecodeIsDense decodes any response: what comes out has no gap, whatever went in.
func TestDecodeIsDense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var batches []protocol.RecordReader
		present := map[int64]bool{}
		at := int64(0)
		for range rapid.IntRange(0, 5).Draw(t, "batches") {
			var offsets []int64
			control := rapid.IntRange(0, 5).Draw(t, "control") == 0
			n := rapid.IntRange(1, 5).Draw(t, "records")
			if control {
				n = 1
			}
			for range n {
				at += rapid.Int64Range(1, 8).Draw(t, "step") / 7 // 0 or 1: mostly no gap
				offsets = append(offsets, at)
				present[at] = !control
				at++
			}
			batches = append(batches, batch(control, offsets...))
		}
		from := rapid.Int64Range(0, at+1).Draw(t, "from")
		limit := rapid.IntRange(0, 4).Draw(t, "limit")
		recs, err := all(response(batches...), from, limit)
		for i, r := range recs {
			if r.Offset != from+int64(i) || !present[r.Offset] {
				t.Fatalf("record %d has offset %d", i, r.Offset)
			}
		}
		if err == nil && len(recs) == 0 && present[from] {
			t.Fatalf("offset %d is there and did not come", from)
		}
	})
}
