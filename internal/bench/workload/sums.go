package workload

// Sums are what the ledger has to come to after requests were sent and decided, however often each was sent.
type Sums struct {
	Requests   int64
	Events     int64
	Usages     int64 // that count: each id once
	Duplicates int64
	Reverts    int64
	Bytes      int64             // of JSON, of the usages
	Accounts   map[string]*Total // by account id
}

// Total is the net usage of one account, over its meters, in units.
type Total struct{ Quantity, Usages, Reverts int64 }

// Sum walks the first requests of a stream again, so many as were sent, and adds them up.
func (t *Sums) Sum(o Options, stream int, requests int64) {
	if t.Accounts == nil {
		t.Accounts = make(map[string]*Total)
	}
	s := New(o, stream)
	var r Request
	for range requests {
		n, pending := s.n, s.pending
		s.Next(&r)
		t.Requests++
		t.Events += int64(r.Events)
		switch {
		case r.Revert:
			a := t.account(s, pending-1)
			u := s.usage(pending-1, s.revertedUsage(pending-1))
			a.Quantity -= u.amount
			a.Reverts++
			t.Reverts++
		case r.Repeat:
			t.Duplicates += int64(r.Events)
			t.Bytes += int64(len(r.Body))
		default:
			a := t.account(s, n)
			for k := range s.o.Batch {
				u := s.usage(n, k)
				a.Quantity += u.amount
			}
			a.Usages += int64(s.o.Batch)
			t.Usages += int64(s.o.Batch)
			t.Bytes += int64(len(r.Body))
		}
	}
}

func (t *Sums) account(s *Stream, n uint64) *Total {
	id := AccountID(s.o.Seed, s.account(n))
	a := t.Accounts[id]
	if a == nil {
		a = &Total{}
		t.Accounts[id] = a
	}
	return a
}
