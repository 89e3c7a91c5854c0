package verify

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"reckoner"
	"reckoner/ledger"
)

// memLedger is a ledger in memory that a test may change as it likes.
type memLedger struct {
	t           testing.TB
	log         ledger.Log
	entries     []ledger.Entry
	refusals    []ledger.Refusal
	totals      []ledger.Total
	checkpoints []ledger.Checkpoint
	asked       func(what string) // called before every answer; may be nil
}

// write stores rows as a ledger of replacing tables does.
func (m *memLedger) write(b *ledger.Batch) {
	for _, e := range b.Entries {
		m.entries = append(slices.DeleteFunc(m.entries, func(o ledger.Entry) bool { return o.Position == e.Position }), e)
	}
	for _, r := range b.Refusals {
		m.refusals = append(slices.DeleteFunc(m.refusals, func(o ledger.Refusal) bool { return o.Position == r.Position }), r)
	}
	for _, t := range b.Totals {
		i := slices.IndexFunc(m.totals, func(o ledger.Total) bool { return o.TotalKey == t.TotalKey })
		switch {
		case i < 0:
			m.totals = append(m.totals, t)
		case t.Position.Cmp(m.totals[i].Position) >= 0:
			m.totals[i] = t
		}
	}
	for _, c := range b.Checkpoints {
		i := slices.IndexFunc(m.checkpoints, func(o ledger.Checkpoint) bool { return o.Log == c.Log && o.Partition == c.Partition })
		switch {
		case i < 0:
			m.checkpoints = append(m.checkpoints, c)
		case c.Next >= m.checkpoints[i].Next:
			m.checkpoints[i] = c
		}
	}
}

func (m *memLedger) clone() *memLedger {
	c := *m
	c.entries, c.refusals = slices.Clone(m.entries), slices.Clone(m.refusals)
	c.totals, c.checkpoints = slices.Clone(m.totals), slices.Clone(m.checkpoints)
	return &c
}

func (m *memLedger) ask(what string) {
	if m.asked != nil {
		m.asked(what)
	}
}

// Checkpoint implements ledger.Restorer.
func (m *memLedger) Checkpoint(ctx context.Context, log uint32, partition int32) (ledger.Checkpoint, bool, error) {
	m.ask("checkpoint")
	for _, c := range m.checkpoints {
		if c.Log == log && c.Partition == partition {
			return c, true, ctx.Err()
		}
	}
	return ledger.Checkpoint{}, false, ctx.Err()
}

// Entries implements ledger.Restorer.
func (m *memLedger) Entries(ctx context.Context, log uint32, partition int32, below int64, _ *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return m.WholeEntries(ctx, log, partition, below)
}

// WholeEntries implements ledger.Auditor.
func (m *memLedger) WholeEntries(ctx context.Context, log uint32, partition int32, below int64) iter.Seq2[ledger.Entry, error] {
	m.ask("entries")
	return inOrder(ctx, m.entries, log, partition, below, func(e *ledger.Entry) (string, reckoner.Position) { return e.AccountID, e.Position })
}

// Refusals implements ledger.Restorer.
func (m *memLedger) Refusals(ctx context.Context, log uint32, partition int32, below int64, _ *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return m.WholeRefusals(ctx, log, partition, below)
}

// WholeRefusals implements ledger.Auditor.
func (m *memLedger) WholeRefusals(ctx context.Context, log uint32, partition int32, below int64) iter.Seq2[ledger.Refusal, error] {
	m.ask("refusals")
	return inOrder(ctx, m.refusals, log, partition, below, func(r *ledger.Refusal) (string, reckoner.Position) { return r.AccountID, r.Position })
}

func inOrder[T any](ctx context.Context, all []T, log uint32, partition int32, below int64, key func(*T) (string, reckoner.Position)) iter.Seq2[T, error] {
	rows := slices.DeleteFunc(slices.Clone(all), func(row T) bool {
		_, p := key(&row)
		return p.Log != log || p.Partition != partition || p.Offset >= below
	})
	slices.SortStableFunc(rows, func(a, b T) int {
		accountA, pa := key(&a)
		accountB, pb := key(&b)
		return cmp.Or(strings.Compare(accountA, accountB), pa.Cmp(pb))
	})
	return yieldAll(ctx, rows)
}

func yieldAll[T any](ctx context.Context, rows []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, row := range rows {
			if !yield(row, ctx.Err()) || ctx.Err() != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(*new(T), err)
		}
	}
}

// EarlierEntries implements ledger.Restorer: there are no earlier logs.
func (m *memLedger) EarlierEntries(ctx context.Context, _ ledger.Log, _ int32, _ *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return yieldAll[ledger.Entry](ctx, nil)
}

// EarlierRefusals implements ledger.Restorer.
func (m *memLedger) EarlierRefusals(ctx context.Context, _ ledger.Log, _ int32, _ *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return yieldAll[ledger.Refusal](ctx, nil)
}

// Totals implements ledger.Auditor.
func (m *memLedger) Totals(ctx context.Context, log uint32, partition int32) iter.Seq2[ledger.Total, error] {
	m.ask("totals")
	rows := slices.DeleteFunc(slices.Clone(m.totals), func(t ledger.Total) bool { return t.Position.Log != log || t.Position.Partition != partition })
	return yieldAll(ctx, rows)
}

// Audit implements ledger.Auditor.
func (m *memLedger) Audit(ctx context.Context, log uint32, partition int32, below int64) (ledger.Checkpoint, error) {
	c := ledger.Checkpoint{Log: log, Partition: partition, Next: below}
	for e := range m.Entries(ctx, log, partition, below, nil) {
		c.Entries++
		c.EntriesDigest += ledger.RowDigest(e.Position, e.Outcome, e.Quantity, e.AccountID, e.EventID)
	}
	for r := range m.Refusals(ctx, log, partition, below, nil) {
		c.Refusals++
		c.RefusalsDigest += ledger.RowDigest(r.Position, r.Outcome, reckoner.Quantity{}, r.AccountID, r.EventID)
	}
	return c, ctx.Err()
}

// Strays implements ledger.Auditor.
func (m *memLedger) Strays(ctx context.Context, log uint32, ends []int64) iter.Seq2[ledger.Stray, error] {
	m.ask("strays")
	var all []ledger.Stray
	stray := func(table string, p reckoner.Position, what string, beyond bool) {
		unknown := p.Log != m.log.Number || p.Partition < 0 || p.Partition >= m.log.Partitions
		if unknown || beyond && p.Log == log && p.Offset >= ends[p.Partition] {
			all = append(all, ledger.Stray{Table: table, Position: p, What: what})
		}
	}
	for _, e := range m.entries {
		stray("entries", e.Position, e.EventID, true)
	}
	for _, r := range m.refusals {
		stray("refusals", r.Position, r.EventID, true)
	}
	for _, t := range m.totals {
		stray("totals", t.Position, t.AccountID, false)
	}
	for _, c := range m.checkpoints {
		stray("checkpoints", reckoner.Position{Log: c.Log, Partition: c.Partition, Offset: c.Next}, "", false)
	}
	return yieldAll(ctx, all)
}
