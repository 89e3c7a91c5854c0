package app

import (
	"context"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// condition is what the topic still has of a partition of the log that ends.
type condition string

// The conditions. Those that end in a loss are named as its cause.
const (
	drained   condition = "drained"   // counted to its end
	undrained condition = "undrained" // records are left that the aggregators can count
	truncated           = condition(ledger.LostTruncated)
	gap                 = condition(ledger.LostGap)
	shortened           = condition(ledger.LostShortened)
	replaced            = condition(ledger.LostReplaced)
	gone                = condition(ledger.LostPartition)
	recreated           = condition(ledger.LostRecreated)
)

// estate is what is found of one partition: what was counted, what the topic holds, and where the new log begins.
type estate struct {
	number     int32
	condition  condition
	counted    int64 // the offset before which everything is counted
	first, end int64 // what the topic holds
	proven     bool  // the record before the checkpoint is there, and the one that was counted
	start      int64 // of the new log
	lost       *ledger.Loss
	more       int64 // rows from counted on: written when the log was lost, and never covered by a checkpoint
}

// anew reports whether the topic holds another partition than the one that was counted.
func (e *estate) anew() bool {
	return e.condition == shortened || e.condition == replaced || e.condition == gone || e.condition == recreated
}

// left reports whether records of the topic are still to be decided.
func (e *estate) left() bool { return e.condition != gone && e.start < e.end }

// succession finds where a log ends and the next one begins.
type succession struct {
	client *bus.Client
	ledger *clickhouse.Ledger
	old    ledger.Log
	topic  int // partitions that the topic has
}

// inspect finds the condition of each partition of the old log, by itself.
func (s *succession) inspect(ctx context.Context) ([]estate, error) {
	all := make([]estate, s.old.Partitions)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range all {
		group.Go(func() (err error) {
			if all[i], err = s.partition(ctx, int32(i)); err != nil {
				return fmt.Errorf("partition %d: %w", i, err)
			}
			return nil
		})
	}
	return all, group.Wait()
}

func (s *succession) partition(ctx context.Context, number int32) (estate, error) {
	e := estate{number: number}
	c, have, err := s.ledger.Checkpoint(ctx, s.old.Number, number)
	if err != nil {
		return e, err
	}
	if !have {
		c.Next = s.old.Start(number)
	}
	e.counted = c.Next
	if int(number) >= s.topic {
		e.condition = gone
		return e, s.account(ctx, &e)
	}
	if e.first, e.end, err = s.reach(ctx, number, c.Next); err != nil {
		return e, err
	}
	if have && e.counted <= e.end && e.counted-1 >= e.first {
		if e.proven, err = s.same(ctx, c, number); err != nil {
			return e, err
		}
		if !e.proven {
			e.condition = replaced
			return e, s.account(ctx, &e)
		}
	}
	switch {
	case e.counted > e.end:
		e.condition = shortened
	case e.counted < e.first:
		e.condition = truncated
	case e.counted == e.end:
		e.condition = drained
	default:
		e.condition, err = s.next(ctx, &e)
	}
	if err != nil {
		return e, err
	}
	return e, s.account(ctx, &e)
}

// reach asks what the topic holds. An end before the checkpoint is not believed at once: opening a reader there waits out
// a broker that does not know yet that it was replaced.
func (s *succession) reach(ctx context.Context, number int32, counted int64) (first, end int64, err error) {
	if first, end, err = s.client.Offsets(ctx, s.old.Topic, int(number)); err != nil || counted <= end {
		return first, end, err
	}
	_, err = s.client.OpenReader(ctx, s.old.Topic, int(number), counted)
	if away, ok := errors.AsType[*bus.OutOfRangeError](err); ok {
		return away.First, away.Next, nil
	}
	if err != nil {
		return 0, 0, err
	}
	return s.client.Offsets(ctx, s.old.Topic, int(number))
}

// same reports whether the record before the checkpoint is the one that was counted.
func (s *succession) same(ctx context.Context, c ledger.Checkpoint, number int32) (bool, error) {
	rec, err := s.client.ReadRecord(ctx, s.old.Topic, int(number), c.Next-1)
	if _, missing := errors.AsType[*bus.GapError](err); missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return ledger.RecordHash(rec.Key, rec.Value) == c.RecordHash, nil
}

// next looks at the first record that was not counted. Where there is none, the log has a gap that stops the aggregators;
// they count what comes before one.
func (s *succession) next(ctx context.Context, e *estate) (condition, error) {
	_, err := s.client.ReadRecord(ctx, s.old.Topic, int(e.number), e.counted)
	if missing, ok := errors.AsType[*bus.GapError](err); ok {
		e.first = missing.Got
		return gap, nil
	}
	return undrained, err
}

// account says where the new log begins, and what is lost. What the topic holds of another partition than the one that
// was counted is decided from its begin: whatever of it was counted before is a duplicate.
func (s *succession) account(ctx context.Context, e *estate) error {
	switch e.condition {
	case drained, undrained:
		e.start = e.counted
		return nil
	case gone:
	default:
		e.start = e.first
	}
	rows, err := s.rows(ctx, e.number, math.MaxInt64)
	if err != nil {
		return err
	}
	known, err := s.rows(ctx, e.number, e.counted)
	if err != nil {
		return err
	}
	e.more = rows - known
	lost := ledger.Loss{
		Log: s.old.Number, Partition: e.number, From: e.counted, To: ledger.UnknownLoss, Records: ledger.UnknownLoss,
		Cause: ledger.LossCause(e.condition),
	}
	if !e.anew() {
		below := known
		if e.more > 0 {
			if below, err = s.rows(ctx, e.number, e.first); err != nil {
				return err
			}
		}
		lost.To, lost.Records = e.first, e.first-e.counted-(below-known)
	}
	if lost.Records != 0 {
		e.lost = &lost
	}
	return nil
}

// rows counts the rows of a partition below an offset.
func (s *succession) rows(ctx context.Context, number int32, below int64) (int64, error) {
	c, err := s.ledger.Audit(ctx, s.old.Number, number, below)
	return int64(c.Entries + c.Refusals), err
}

// anew is for a topic of which all was created anew: the new log begins where each partition does. It returns the
// partitions that contradict that, because they hold what was counted.
func (s *succession) anew(ctx context.Context, all []estate) (contradicts []int32, err error) {
	for i := range all {
		e := &all[i]
		if e.proven {
			contradicts = append(contradicts, e.number)
			continue
		}
		if e.condition != gone {
			e.condition = recreated
		}
		if err := s.account(ctx, e); err != nil {
			return nil, fmt.Errorf("partition %d: %w", e.number, err)
		}
	}
	return contradicts, nil
}
