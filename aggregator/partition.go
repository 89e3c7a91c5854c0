package aggregator

import (
	"errors"
	"fmt"
	"sync"

	"reckoner/ledger"
)

// errState says that the local state failed or holds what it cannot hold. Going on could not be right: the process ends,
// and the log redelivers to one that opens its state anew.
var errState = errors.New("local state")

// partition is the state of one partition of the log and what it has decided: a pending batch that grows, and at most
// one sealed batch on its way to the ledger. It can be stepped by hand: decide, seal, settle, abandon.
//
// It is safe for one goroutine that decides beside one that seals and settles.
type partition struct {
	log ledger.Log

	mu      sync.Mutex
	machine machine
	store   *store
	settled ledger.Checkpoint
	sealed  *batch // nil when none is on its way
	pending *batch
	torn    error // why nothing of it may be written until it is abandoned

	totalChanged func(*ledger.Total) // of a replay that looks at every change; nil otherwise
}

func newPartition(l ledger.Log, number int32, of Partitioner, s *store) *partition {
	s.wake()
	return &partition{
		log:     l,
		machine: machine{log: l, number: number, partitionOf: of},
		store:   s,
		settled: s.checkpoint,
		pending: newBatch(s, s.checkpoint),
	}
}

// next is the offset of the next record to decide.
func (p *partition) next() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending.checkpoint.Next
}

// settledAt is the checkpoint of the durable state. The ledger has had it.
func (p *partition) settledAt() ledger.Checkpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settled
}

// settledNext is the offset before which everything is part of the durable state.
func (p *partition) settledNext() int64 {
	return p.settledAt().Next
}

// decide decides records in order and adds them to the pending batch. An error stops at the record that it is about;
// those before it are decided. A gap and newer rules are found before anything changes; after any other error the
// partition is torn: nothing more of it is written, and it must be abandoned.
func (p *partition) decide(recs []Record) (t tally, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.torn != nil {
		return t, p.torn
	}
	defer func() {
		if t.records > 0 {
			p.pending.hashed(&recs[t.records-1])
		}
	}()
	for i := range recs {
		b, rec := p.pending, &recs[i]
		if want := b.checkpoint.Next; rec.Offset != want {
			return t, &GapError{Partition: p.machine.number, Want: want, Got: rec.Offset}
		}
		f, err := p.machine.step(b, rec)
		if errors.Is(err, ErrNewerRules) {
			return t, err
		}
		if err != nil {
			p.torn = fmt.Errorf("%w: partition %d: %w", errState, p.machine.number, err)
			return t, p.torn
		}
		b.add(rec, &f)
		t.add(rec, &f)
	}
	return t, nil
}

// seal takes the pending batch to be written, or returns nil when there is nothing to write or the batch before is
// still on its way. A new pending batch goes on top of it.
func (p *partition) seal() *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed != nil || p.pending.records == 0 || p.torn != nil {
		return nil
	}
	p.sealed = p.pending
	p.pending = p.sealed.onTop()
	p.pending.layer.changed = p.totalChanged
	return p.sealed
}

// settle makes the sealed batch part of the state, once the ledger has it. After an error the store must be opened
// again.
func (p *partition) settle() error {
	p.mu.Lock()
	b := p.sealed
	p.mu.Unlock()
	if b == nil {
		return fmt.Errorf("%w: partition %d: nothing to settle", errState, p.machine.number)
	}
	// The store takes reads while it commits, and a sealed layer never changes, so deciding goes on meanwhile.
	if err := p.store.commit(b.layer, b.checkpoint, p.log); err != nil {
		return fmt.Errorf("%w: partition %d: %w", errState, p.machine.number, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sealed, p.settled = nil, b.checkpoint
	p.pending.layer.below = p.store
	return nil
}

// stop makes sure that nothing of the partition is written any more, and that deciding fails with err, until it is
// abandoned. Nothing of it may be on its way.
func (p *partition) stop(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sealed, p.torn = nil, err
}

// abandon forgets everything that is not settled: it will be decided again from the log.
func (p *partition) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sealed, p.torn = nil, nil
	p.pending = newBatch(p.store, p.settled)
}

func (p *partition) close() error { return p.store.close() }
