package aggregator

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// commitOrder is what happens to decided batches, in this order and no other. Each step may be repeated; none may run
// before the step above it is done. A crash between any two leaves the state behind the ledger, never ahead of it.
type commitOrder struct {
	// write makes the rows durable in the ledger. It retries until it can or ctx ends. The ledger has to hold the
	// checkpoints that the batches go on from; an exchangedError says that it does not, and no checkpoint was written.
	write func(ctx context.Context, rows *ledger.Batch, from []ledger.Checkpoint) error
	// bury copies undecodable records to the dead letter topic. It retries until it can or ctx ends.
	bury func(ctx context.Context, dead []bus.Record) error
	// answer tells those who wait. It is bounded in time and may fail: the outcome can be read in the ledger.
	answer func(ctx context.Context, verdicts []reckoner.Verdict)
	// settle makes a partition's batch part of its durable state.
	settle func(p *partition) error
	// report tells the group the next offsets, for lag tools only. It may fail.
	report func(ctx context.Context, next map[int]int64)
	// at is called before each step, with the step's name: the crash points.
	at func(step string)
}

// The steps, as crash points name them.
const (
	stepWrite  = "write"
	stepBury   = "bury"
	stepAnswer = "answer"
	stepSettle = "settle"
	stepReport = "report"
	stepDone   = "done"
)

// Steps returns the steps of the commit order, in their order: what Options.At is called with.
func Steps() []string {
	return []string{stepWrite, stepBury, stepAnswer, stepSettle, stepReport, stepDone}
}

// sealed is a partition and the batch it sealed.
type sealed struct {
	partition *partition
	batch     *batch
}

// run takes sealed batches through all steps. After an error every partition must be abandoned.
func (c *commitOrder) run(ctx context.Context, all []sealed) error {
	var rows ledger.Batch
	var dead []bus.Record
	var verdicts []reckoner.Verdict
	next := make(map[int]int64, len(all))
	from := make([]ledger.Checkpoint, 0, len(all))
	entries, totals := 0, 0
	for _, s := range all {
		entries, totals = entries+s.batch.entries.len(), totals+s.batch.layer.rows.len()
	}
	rows.Entries, rows.Totals = make([]ledger.Entry, 0, entries), make([]ledger.Total, 0, totals)
	for _, s := range all {
		from = append(from, s.partition.settledAt())
		s.batch.appendTo(&rows)
		dead = append(dead, s.batch.dead...)
		verdicts = append(verdicts, s.batch.verdicts...)
		next[int(s.batch.checkpoint.Partition)] = s.batch.checkpoint.Next
	}
	c.at(stepWrite)
	if err := c.write(ctx, &rows, from); err != nil {
		return fmt.Errorf("write %d entries, %d refusals: %w", len(rows.Entries), len(rows.Refusals), err)
	}
	c.at(stepBury)
	if len(dead) > 0 {
		if err := c.bury(ctx, dead); err != nil {
			return fmt.Errorf("write %d dead letters: %w", len(dead), err)
		}
	}
	c.at(stepAnswer)
	if len(verdicts) > 0 {
		c.answer(ctx, verdicts)
	}
	c.at(stepSettle)
	if err := c.settleAll(all); err != nil {
		return err
	}
	c.at(stepReport)
	c.report(ctx, next)
	c.at(stepDone)
	return nil
}

// settleAll syncs the partitions' stores side by side: each waits for the disk, not for the processor.
func (c *commitOrder) settleAll(all []sealed) error {
	var g errgroup.Group
	for _, s := range all {
		g.Go(func() error { return c.settle(s.partition) })
	}
	return g.Wait()
}
