package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// NewLogOptions say how the new log differs.
type NewLogOptions struct {
	Recreated  bool // confirms that the topic no longer holds the records that were counted
	Partitions int  // partitions that the topic gets, in all; 0: those that it has
}

// NewLog is the command `migrate --new-log`: it registers the next log, after partitions were added to the topic or the
// topic was created anew. The aggregators then rebuild their states from the ledger under the new partitioning.
func NewLog(ctx context.Context, p *Process, o NewLogOptions) error {
	client, err := p.kafka()
	if err != nil {
		return err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return err
	}
	if err := l.CheckSchema(ctx); err != nil {
		return err
	}
	current, err := l.CurrentLog(ctx)
	if err != nil {
		return err
	}
	if err := p.nobodyWorks(ctx, client); err != nil {
		return err
	}
	n, err := client.Partitions(ctx, current.Topic)
	if err != nil {
		return err
	}
	s := &succession{client: client, ledger: l, old: current}
	starts, err := s.starts(ctx, max(n, o.Partitions), o.Recreated)
	if err != nil {
		return err
	}
	if o.Partitions > n {
		if err := client.AddPartitions(ctx, current.Topic, o.Partitions); err != nil {
			return err
		}
		n = o.Partitions
	}
	next := ledger.Log{
		Number: current.Number + 1, Topic: current.Topic, Partitions: int32(n),
		Starts: starts, RegisteredAt: time.Now().UTC().Truncate(time.Millisecond),
	}
	p.Log.Info("registering a new log", "log", next.Number, "topic", next.Topic, "partitions", next.Partitions, "starts", next.Starts)
	return l.RegisterLog(ctx, next)
}

// nobodyWorks refuses while aggregators run: they would go on with the old log beside the new one.
func (p *Process) nobodyWorks(ctx context.Context, client *bus.Client) error {
	group := p.Settings.Kafka.Group
	members, err := client.Members(ctx, group)
	if err != nil {
		return err
	}
	if members > 0 {
		return fmt.Errorf("%d aggregators are at work in group %s: stop ingest, let them drain the log, stop them, and try again", members, group)
	}
	return nil
}

// succession finds where a log ends and the next one begins.
type succession struct {
	client *bus.Client
	ledger *clickhouse.Ledger
	old    ledger.Log
}

// errRecreated says that a partition does not hold what the old log counted.
var errRecreated = errors.New("the topic was created anew: it does not hold the records that were counted")

// starts returns the offset in each partition at which the new log begins: nil, for 0 everywhere, in a topic that was
// created anew; else the end of the old log. Old partitions must be drained: under a new partitioning, what is left in
// them would be misrouted.
func (s *succession) starts(ctx context.Context, partitions int, recreated bool) ([]int64, error) {
	starts := make([]int64, partitions)
	var gone []int32
	for number := range min(s.old.Partitions, int32(partitions)) {
		counted, err := s.counted(ctx, number)
		switch {
		case errors.Is(err, errRecreated):
			gone = append(gone, number)
		case err != nil:
			return nil, fmt.Errorf("partition %d: %w", number, err)
		default:
			starts[number] = counted
		}
	}
	anew := len(gone) > 0 || partitions < int(s.old.Partitions)
	switch {
	case anew && !recreated:
		return nil, fmt.Errorf("%w (log %d of topic %s, %d partitions then, %d now, partitions %v); whatever was not counted of it is lost. Confirm with --recreated",
			errRecreated, s.old.Number, s.old.Topic, s.old.Partitions, partitions, gone)
	case recreated:
		if i := slices.IndexFunc(starts, func(at int64) bool { return at > 0 }); i >= 0 {
			return nil, fmt.Errorf("--recreated is given, but partition %d still holds the record before offset %d that log %d counted", i, starts[i], s.old.Number)
		}
		return nil, nil
	}
	return starts, nil
}

// counted returns the offset up to which the old log was counted in a partition, which must be its end.
func (s *succession) counted(ctx context.Context, number int32) (int64, error) {
	c, have, err := s.ledger.Checkpoint(ctx, s.old.Number, number)
	if err != nil {
		return 0, err
	}
	if !have {
		c.Next = s.old.Start(number)
	}
	first, end, err := s.client.Offsets(ctx, s.old.Topic, int(number))
	if err != nil {
		return 0, err
	}
	if c.Next > end {
		return 0, errRecreated
	}
	if have && c.Next-1 >= first {
		rec, err := s.client.ReadRecord(ctx, s.old.Topic, int(number), c.Next-1)
		if err != nil {
			return 0, err
		}
		if ledger.RecordHash(rec.Key, rec.Value) != c.RecordHash {
			return 0, errRecreated
		}
	}
	if c.Next < end {
		return 0, fmt.Errorf("log %d is not drained: it is counted up to offset %d of %d; stop ingest, run the aggregators until nothing is left, stop them, and try again",
			s.old.Number, c.Next, end)
	}
	return c.Next, nil
}
