package bus

import "time"

// Record is one record of a topic partition.
type Record struct {
	// Topic, Partition and Offset are where a record was read. Producing ignores them.
	Topic     string
	Partition int
	Offset    int64

	Key     []byte
	Value   []byte
	Headers []Header

	// Time is the producer's clock at writing, to the millisecond; zero when producing means now. The client shows
	// this even where the topic keeps the broker's time, so it informs people and never decides anything.
	Time time.Time
}

// Header is a named value beside a record's value.
type Header struct {
	Key   string
	Value []byte
}

// recordBytesOverhead bounds what Kafka's record format v2 adds to the bytes of key, value and headers: five varints
// of at most five or ten bytes each and the attributes.
const recordBytesOverhead = 40

// headerBytesOverhead bounds the two lengths of a header.
const headerBytesOverhead = 10

// bytes is an upper bound of the record's size in a batch, before compression.
func (r *Record) bytes() int {
	n := recordBytesOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += headerBytesOverhead + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}
