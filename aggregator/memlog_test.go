package aggregator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"reckoner/internal/bus"
)

// memLog is a log in memory, as a Source.
type memLog struct {
	mu    sync.Mutex
	recs  map[int32][]Record
	first map[int32]int64 // what retention left
	grown chan struct{}   // closed when something changes
	opens int
}

func newMemLog() *memLog {
	return &memLog{recs: make(map[int32][]Record), first: make(map[int32]int64), grown: make(chan struct{})}
}

// add appends records to a partition.
func (l *memLog) add(partition int32, recs ...Record) {
	l.change(func() { l.recs[partition] = append(l.recs[partition], recs...) })
}

func (l *memLog) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.grown)
	l.grown = make(chan struct{})
}

// Offsets implements Source.
func (l *memLog) Offsets(_ context.Context, partition int32) (first, next int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first[partition], int64(len(l.recs[partition])), nil
}

// Record implements Source.
func (l *memLog) Record(_ context.Context, partition int32, offset int64) (Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recs := l.recs[partition]
	if offset < l.first[partition] || offset >= int64(len(recs)) {
		return Record{}, &bus.OutOfRangeError{Partition: int(partition), Want: offset, First: l.first[partition], Next: int64(len(recs))}
	}
	return recs[offset], nil
}

// Open implements Source.
func (l *memLog) Open(_ context.Context, partition int32, from int64) (Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opens++
	if next := int64(len(l.recs[partition])); from < l.first[partition] || from > next {
		return nil, &bus.OutOfRangeError{Partition: int(partition), Want: from, First: l.first[partition], Next: next}
	}
	return &memReader{log: l, partition: partition, next: from}, nil
}

type memReader struct {
	log       *memLog
	partition int32
	next      int64
}

// Fetch implements Reader. It returns at most 7 records.
func (r *memReader) Fetch(ctx context.Context) ([]Record, int64, error) {
	wait := time.NewTimer(20 * time.Millisecond)
	defer wait.Stop()
	for {
		r.log.mu.Lock()
		recs, grown := r.log.recs[r.partition], r.log.grown
		r.log.mu.Unlock()
		high := int64(len(recs))
		if high < r.next {
			return nil, high, fmt.Errorf("the log ends at %d, wanted %d", high, r.next)
		}
		if high > r.next {
			recs = recs[r.next:min(high, r.next+7)]
			r.next += int64(len(recs))
			return recs, high, nil
		}
		select {
		case <-grown:
		case <-wait.C:
			return nil, high, nil
		case <-ctx.Done():
			return nil, high, ctx.Err()
		}
	}
}
