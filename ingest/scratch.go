package ingest

import "reckoner"

// scratch is the memory in which a request's usages become events. The next request uses it again: nothing that outlives
// the request may point into its slices. The texts that they hold may go anywhere.
type scratch struct {
	body       []byte
	usages     []usageMessage
	labels     []reckoner.Label
	events     []reckoner.Event
	quantities []reckoner.Quantity
}

// A scratch that has grown beyond these is not kept: few requests are as large.
const (
	scratchBytesMax  = 256 << 10
	scratchUsagesMax = 1000
	scratchLabelsMax = 8 * scratchUsagesMax
)

// borrow returns an empty scratch, to be given back when nothing of the request is at work any more.
func (s *Server) borrow() *scratch {
	if m, ok := s.scratches.Get().(*scratch); ok {
		return m
	}
	return &scratch{}
}

// giveBack keeps a scratch for another request. It holds on to nothing of this one.
func (s *Server) giveBack(m *scratch) {
	if cap(m.body) > scratchBytesMax || cap(m.usages) > scratchUsagesMax || cap(m.events) > scratchUsagesMax || cap(m.labels) > scratchLabelsMax {
		return
	}
	m.body = m.body[:0]
	m.usages, m.labels, m.events, m.quantities = emptied(m.usages), emptied(m.labels), emptied(m.events), emptied(m.quantities)
	s.scratches.Put(m)
}

func emptied[T any](list []T) []T {
	clear(list)
	return list[:0]
}

// cleared returns a list of n zero values, in the memory of an empty one where it has the room.
func cleared[T any](list []T, n int) []T {
	if cap(list) < n {
		return make([]T, n)
	}
	return list[:n] // it was emptied
}
