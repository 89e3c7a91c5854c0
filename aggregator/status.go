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
	Open      bool      // its state is open
	Next      int64     // the ledger holds everything before it; -1 when not known yet
	LogNext   int64     // the log ended before it when last seen; -1 when not seen yet
	Moved     time.Time // when Next last rose, rows were restored, the partition had nothing left to do, or it was assigned
	Err       error     // the last failure since then; nil when none
}

// Lag is the number of records in the log that the ledger does not hold.
func (s PartitionStatus) Lag() int64 { return max(s.LogNext-s.Next, 0) }

// Outside is how a process stands that has no generation of its group.
type Outside struct {
	Since time.Time
	Err   error // the last failure to join since then; nil when none was seen
}

// status is what the process knows of its progress. Health is read from it.
//
// A partition that stays over several generations is one whose progress goes on, or does not: a neighbour that comes and
// goes all the time begins generations, and nothing else.
type status struct {
	metrics *metrics
	now     func() time.Time

	mu         sync.Mutex
	outside    *Outside // nil within a generation
	partitions map[int32]*PartitionStatus
	before     map[int32]*PartitionStatus // of the generation before, while there is none
}

func newStatus(m *metrics) *status {
	return &status{metrics: m, now: time.Now, outside: &Outside{Since: time.Now()}, partitions: make(map[int32]*PartitionStatus)}
}

// Status returns the partitions of the current generation, and whether there is one.
func (a *Aggregator) Status() (partitions []PartitionStatus, assigned bool) {
	s := a.status
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, number := range slices.Sorted(maps.Keys(s.partitions)) {
		partitions = append(partitions, *s.partitions[number])
	}
	return partitions, s.outside == nil
}

// Outside returns since when and why the process has no generation, nil when it has one, be it without partitions.
func (a *Aggregator) Outside() *Outside {
	a.status.mu.Lock()
	defer a.status.mu.Unlock()
	if a.status.outside == nil {
		return nil
	}
	o := *a.status.outside
	return &o
}

// NotJoined takes a failure to join the group. It is bus.GroupOptions.OnError.
func (a *Aggregator) NotJoined(err error) {
	a.status.mu.Lock()
	defer a.status.mu.Unlock()
	if a.status.outside != nil {
		a.status.outside.Err = err
	}
}

// begin begins a generation. For a partition that was there in the one before, the clock goes on where it stood when that
// ended: the time between the two is not the partition's.
func (s *status) begin(numbers []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, number := range numbers {
		p := &PartitionStatus{Partition: number, Next: -1, LogNext: -1, Moved: now}
		if old := s.before[number]; old != nil && s.outside != nil {
			p = old
			p.Open, p.Moved = false, p.Moved.Add(now.Sub(s.outside.Since))
		}
		s.partitions[number] = p
	}
	s.outside, s.before = nil, nil
	s.metrics.assigned.Set(float64(len(numbers)))
	s.metrics.member.Set(1)
}

func (s *status) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outside = &Outside{Since: s.now()}
	s.before, s.partitions = s.partitions, make(map[int32]*PartitionStatus)
	s.metrics.released()
	s.metrics.stopped.Set(0)
}

// opened notes where a partition goes on. Its state may have been restored for it: that is progress, unless it had one.
func (s *status) opened(number int32, next int64) {
	s.update(number, func(p *PartitionStatus) {
		if next > p.Next {
			p.Moved = s.now()
		}
		p.Next, p.Open = next, true
	})
}

// restoring notes that a restore goes on: slow, not stuck. One that is made again and again, because of rows that only a
// person can mend, is stuck.
func (s *status) restoring(number int32) {
	s.update(number, func(p *PartitionStatus) {
		if !final(p.Err) {
			p.Moved = s.now()
		}
	})
}

// seen notes where the log ends. Nothing is wrong with a partition that has nothing left to do, and it cannot stall.
func (s *status) seen(number int32, logNext int64) {
	s.update(number, func(p *PartitionStatus) {
		if p.LogNext = logNext; p.Lag() == 0 {
			p.Moved, p.Err = s.now(), nil
		}
	})
}

// settled notes progress. It ends a failure.
func (s *status) settled(c ledger.Checkpoint) {
	s.update(c.Partition, func(p *PartitionStatus) { p.Next, p.Moved, p.Err = c.Next, s.now(), nil })
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
