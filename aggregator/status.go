package aggregator

import (
	"maps"
	"slices"
	"sync"
	"time"

	"reckoner/ledger"
)

// PartitionStatus is how one partition of this process stands.
type PartitionStatus struct {
	Partition int32
	Next      int64     // the ledger holds everything before it; -1 until the first flush or fetch
	LogNext   int64     // the log ended before it when last seen; -1 when not seen yet
	Moved     time.Time // when Next last rose, the partition had nothing left to do, or it was assigned
	Err       error     // the last failure since then; nil when none
}

// Lag is the number of records in the log that the ledger does not hold.
func (s PartitionStatus) Lag() int64 { return max(s.LogNext-s.Next, 0) }

// status is what the process knows of its progress. Health is read from it.
type status struct {
	metrics *metrics

	mu         sync.Mutex
	assigned   bool
	partitions map[int32]*PartitionStatus
}

func newStatus(m *metrics) *status {
	return &status{metrics: m, partitions: make(map[int32]*PartitionStatus)}
}

// Status returns the partitions of the current generation, and whether there is one.
func (a *Aggregator) Status() (partitions []PartitionStatus, assigned bool) {
	s := a.status
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, number := range slices.Sorted(maps.Keys(s.partitions)) {
		partitions = append(partitions, *s.partitions[number])
	}
	return partitions, s.assigned
}

func (s *status) begin(numbers []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assigned = true
	s.metrics.assigned.Set(float64(len(numbers)))
	for _, number := range numbers {
		s.partitions[number] = &PartitionStatus{Partition: number, Next: -1, LogNext: -1, Moved: time.Now()}
	}
}

func (s *status) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assigned = false
	clear(s.partitions)
	s.metrics.released()
	s.metrics.stopped.Set(0)
}

// opened notes where a partition goes on.
func (s *status) opened(number int32, next int64) {
	s.update(number, func(p *PartitionStatus) { p.Next = next })
}

// seen notes where the log ends. Nothing is wrong with a partition that has nothing left to do, and it cannot stall.
func (s *status) seen(number int32, logNext int64) {
	s.update(number, func(p *PartitionStatus) {
		if p.LogNext = logNext; p.Lag() == 0 {
			p.Moved, p.Err = time.Now(), nil
		}
	})
}

// settled notes progress. It ends a failure.
func (s *status) settled(c ledger.Checkpoint) {
	s.update(c.Partition, func(p *PartitionStatus) { p.Next, p.Moved, p.Err = c.Next, time.Now(), nil })
}

func (s *status) fail(number int32, err error) {
	s.update(number, func(p *PartitionStatus) { p.Err = err })
}

// failAll notes a failure that may pass. It hides none that does not.
func (s *status) failAll(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.partitions {
		if !final(p.Err) {
			p.Err = err
		}
	}
}

func (s *status) update(number int32, change func(*PartitionStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.partitions[number]
	if p == nil {
		return
	}
	change(p)
	s.metrics.position(p)
	stopped := 0
	for _, p := range s.partitions {
		if final(p.Err) {
			stopped++
		}
	}
	s.metrics.stopped.Set(float64(stopped))
}
