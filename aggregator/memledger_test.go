package aggregator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

var errLedgerDown = errors.New("the ledger is down")

// memLedger is a ledger with the rules of ReplacingMergeTree: rows of one key replace each other, totals by position,
// checkpoints by offset. It checks what must always be true of the rows that it is given: a row that is written again
// is the same row.
type memLedger struct {
	t testing.TB
	// fault decides how a write goes, when set: how many of its rows are stored (all when it is nil), and its error.
	fault func(b *ledger.Batch) (stored *ledger.Batch, err error)

	mu          sync.Mutex
	entries     map[rowKey]ledger.Entry
	refusals    map[rowKey]ledger.Refusal
	totals      map[ledger.TotalKey]ledger.Total
	checkpoints map[int32]ledger.Checkpoint
	writes      int
}

type rowKey struct {
	account, event string
	position       reckoner.Position
}

func newMemLedger(t testing.TB) *memLedger {
	return &memLedger{
		t: t, entries: make(map[rowKey]ledger.Entry), refusals: make(map[rowKey]ledger.Refusal),
		totals: make(map[ledger.TotalKey]ledger.Total), checkpoints: make(map[int32]ledger.Checkpoint),
	}
}

// Write implements ledger.Writer.
func (m *memLedger) Write(ctx context.Context, b *ledger.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	fault := m.fault
	m.writes++
	m.mu.Unlock()
	var err error
	if fault != nil {
		b, err = fault(b)
	}
	if b != nil {
		m.store(b)
	}
	return err
}

// store takes rows, whenever they come.
func (m *memLedger) store(b *ledger.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range b.Entries {
		replace(m.t, m.entries, rowKey{e.AccountID, e.EventID, e.Position}, e)
	}
	for _, r := range b.Refusals {
		replace(m.t, m.refusals, rowKey{r.AccountID, r.EventID, r.Position}, r)
	}
	for _, t := range b.Totals {
		if have, ok := m.totals[t.TotalKey]; !ok || t.Position.Cmp(have.Position) > 0 {
			m.totals[t.TotalKey] = t
		} else if have.Position == t.Position {
			replace(m.t, m.totals, t.TotalKey, t)
		}
	}
	for _, c := range b.Checkpoints {
		if have, ok := m.checkpoints[c.Partition]; !ok || c.Next > have.Next {
			m.checkpoints[c.Partition] = c
		} else if have.Next == c.Next {
			replace(m.t, m.checkpoints, c.Partition, c)
		}
	}
}

func replace[K comparable, V any](t testing.TB, rows map[K]V, key K, row V) {
	if have, ok := rows[key]; ok && !reflect.DeepEqual(have, row) {
		t.Errorf("a row was written again and is another: (-first +second)\n%s", diff(have, row))
	}
	rows[key] = row
}

// Checkpoint implements ledger.Restorer.
func (m *memLedger) Checkpoint(_ context.Context, log uint32, partition int32) (ledger.Checkpoint, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.checkpoints[partition]
	return c, ok && c.Log == log, nil
}

// Checkpoints implements ledger.Watcher.
func (m *memLedger) Checkpoints(ctx context.Context, log uint32) (all []ledger.Checkpoint, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.checkpoints {
		if c.Log == log {
			all = append(all, c)
		}
	}
	return all, ctx.Err()
}

// Entries implements ledger.Restorer.
func (m *memLedger) Entries(_ context.Context, log uint32, partition int32, offset int64, after *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return each(yieldAll(m, m.entries, below(log, partition, offset), after), stateOfEntry)
}

// Refusals implements ledger.Restorer.
func (m *memLedger) Refusals(_ context.Context, log uint32, partition int32, offset int64, after *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return each(yieldAll(m, m.refusals, below(log, partition, offset), after), stateOfRefusal)
}

// EarlierEntries implements ledger.Restorer.
func (m *memLedger) EarlierEntries(_ context.Context, l ledger.Log, partition int32, after *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return each(yieldAll(m, m.entries, before(l, partition), after), stateOfEntry)
}

// EarlierRefusals implements ledger.Restorer.
func (m *memLedger) EarlierRefusals(_ context.Context, l ledger.Log, partition int32, after *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return each(yieldAll(m, m.refusals, before(l, partition), after), stateOfRefusal)
}

func below(log uint32, partition int32, offset int64) func(rowKey) bool {
	return func(k rowKey) bool {
		p := k.position
		return p.Log == log && p.Partition == partition && p.Offset < offset
	}
}

func before(l ledger.Log, partition int32) func(rowKey) bool {
	return func(k rowKey) bool {
		return k.position.Log < l.Number && bus.PartitionFor([]byte(k.account), int(l.Partitions)) == int(partition)
	}
}

func yieldAll[V any](m *memLedger, rows map[rowKey]V, keep func(rowKey) bool, after *ledger.Place) iter.Seq2[V, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []rowKey
	for k := range rows {
		if keep(k) && (after == nil || cmp.Or(cmp.Compare(k.account, after.AccountID), k.position.Cmp(after.Position)) > 0) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b rowKey) int {
		return cmp.Or(cmp.Compare(a.account, b.account), a.position.Cmp(b.position))
	})
	all := maps.Clone(rows)
	return func(yield func(V, error) bool) {
		for _, k := range keys {
			if !yield(all[k], nil) {
				return
			}
		}
	}
}

// stateOfEntry is what ledger.Restorer promises of an entry.
func stateOfEntry(e ledger.Entry) ledger.Entry {
	return ledger.Entry{
		Position: e.Position, AccountID: e.AccountID, SubscriptionID: e.SubscriptionID, Meter: e.Meter, MeterType: e.MeterType,
		EventID: e.EventID, Kind: e.Kind, Type: e.Type, UsageID: e.UsageID, Quantity: e.Quantity, Outcome: e.Outcome,
		Period: e.Period, Bucket: e.Bucket, UsageTime: e.UsageTime, Fingerprint: e.Fingerprint, Rules: e.Rules,
	}
}

// stateOfRefusal is what it promises of a refusal.
func stateOfRefusal(r ledger.Refusal) ledger.Refusal {
	return ledger.Refusal{
		Position: r.Position, AccountID: r.AccountID, EventID: r.EventID, Kind: r.Kind, Outcome: r.Outcome,
		Fingerprint: r.Fingerprint, Rules: r.Rules,
	}
}

func each[V any](rows iter.Seq2[V, error], change func(V) V) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		for row, err := range rows {
			if !yield(change(row), err) {
				return
			}
		}
	}
}

// complete checks the ledger's promise: every record below a checkpoint is in exactly one of entries and refusals, and
// the checkpoint counts them.
func (m *memLedger) complete() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, c := range m.checkpoints {
		rows := make(map[int64]int)
		got := ledger.Checkpoint{Log: c.Log, Partition: p, Next: c.Next, Rules: c.Rules, RecordHash: c.RecordHash}
		for k, e := range m.entries {
			if k.position.Partition == p && k.position.Offset < c.Next {
				rows[k.position.Offset]++
				got.Entries++
				got.EntriesDigest += ledger.RowDigest(e.Position, e.Outcome, e.Quantity, e.AccountID, e.EventID)
			}
		}
		for k, r := range m.refusals {
			if k.position.Partition == p && k.position.Offset < c.Next {
				rows[k.position.Offset]++
				got.Refusals++
				got.RefusalsDigest += ledger.RowDigest(r.Position, r.Outcome, reckoner.Quantity{}, r.AccountID, r.EventID)
			}
		}
		for offset := range c.Next {
			if rows[offset] != 1 {
				return fmt.Errorf("partition %d, offset %d of %d is in %d rows", p, offset, c.Next, rows[offset])
			}
		}
		if got != c {
			return fmt.Errorf("checkpoint %+v, rows %+v", c, got)
		}
	}
	return nil
}

// next is the ledger's checkpoint of a partition.
func (m *memLedger) next(partition int32) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.checkpoints[partition].Next
}
