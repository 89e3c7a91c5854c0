package receiver

import (
	"cmp"
	"container/list"
	"slices"
	"sync"
	"time"
)

// heldOverhead is what a held report costs beside its body.
const heldOverhead = 512

// held is a report on the shelf. Its rows are read again from the body when somebody asks for them.
type held struct {
	installation string
	at           time.Time
	timestamp    time.Time
	part         part
	body         []byte

	arrival *list.Element // in shelf.arrivals
}

func (h *held) size() int64 { return int64(len(h.body)+len(h.installation)) + heldOverhead }

// shelf keeps reports within two bounds: of how many an installation has, and of how many bytes there are. Beyond them the oldest
// arrival goes; of that arrival's installation first one that a newer timestamp replaced, so that what is latest stays right.
type shelf struct {
	keep      int
	keepBytes int64

	mu            sync.Mutex
	installations map[string][]*held // in order of arrival
	arrivals      *list.List         // of *held, all
	bytes         int64
}

func newShelf(keep int, keepBytes int64) *shelf {
	return &shelf{keep: keep, keepBytes: keepBytes, installations: make(map[string][]*held), arrivals: list.New()}
}

func (s *shelf) put(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.arrival = s.arrivals.PushBack(h)
	s.installations[h.installation] = append(s.installations[h.installation], h)
	s.bytes += h.size()
	if len(s.installations[h.installation]) > s.keep {
		s.drop(h.installation)
	}
	for s.bytes > s.keepBytes && s.arrivals.Len() > 1 {
		s.drop(s.arrivals.Front().Value.(*held).installation)
	}
}

func (s *shelf) drop(installation string) {
	all := s.installations[installation]
	stands := latest(all)
	i := max(0, slices.IndexFunc(all, func(h *held) bool { return stands[h.part] != h }))
	s.arrivals.Remove(all[i].arrival)
	s.bytes -= all[i].size()
	if all = slices.Delete(all, i, i+1); len(all) == 0 {
		delete(s.installations, installation)
		return
	}
	s.installations[installation] = all
}

// of returns an installation's reports in order of arrival.
func (s *shelf) of(installation string) []*held {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.installations[installation])
}

// summary is an installation on the shelf.
type summary struct {
	id      string
	reports int
	newest  *held // the last to arrive
}

// all returns the installations, the one that reported last first.
func (s *shelf) all() []summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]summary, 0, len(s.installations))
	for id, of := range s.installations {
		out = append(out, summary{id, len(of), of[len(of)-1]})
	}
	slices.SortFunc(out, func(a, b summary) int { return cmp.Or(b.newest.at.Compare(a.newest.at), cmp.Compare(a.id, b.id)) })
	return out
}

// latest returns the report that stands for each part: that of the newest timestamp, and of equal ones the first.
func latest(all []*held) map[part]*held {
	stands := make(map[part]*held)
	for _, h := range all {
		if was, ok := stands[h.part]; !ok || h.timestamp.After(was.timestamp) {
			stands[h.part] = h
		}
	}
	return stands
}
