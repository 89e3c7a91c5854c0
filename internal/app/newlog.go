package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// NewLogOptions say how the new log differs, and what of the old one is given up.
type NewLogOptions struct {
	// Recreated confirms that the whole topic was created anew, and no longer holds what was counted.
	Recreated bool
	// AcceptLoss is what is given up of single partitions, as ledger.ParseAccepted reads it; empty: nothing.
	AcceptLoss string
	// Partitions of the new log: those of the topic (0), more, which the topic gets, or those of the log before.
	Partitions int
	// DryRun only shows what was found.
	DryRun bool
}

// NewLog is the command `migrate --new-log`: it registers the next log, after partitions were added to the topic, the
// topic was created anew, or a partition of it lost records. The aggregators then rebuild their states from the ledger.
// It prints what it finds of each partition; nothing is given up that the options do not name.
func NewLog(ctx context.Context, p *Process, out io.Writer, o NewLogOptions) error {
	accepted, err := ledger.ParseAccepted(o.AcceptLoss)
	if err != nil {
		return fmt.Errorf("--accept-loss: %w", err)
	}
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
	n, err := client.Partitions(ctx, current.Topic)
	if err != nil {
		return err
	}
	working, err := client.Members(ctx, p.Settings.Kafka.Group)
	if err != nil {
		return err
	}
	s := &succession{client: client, ledger: l, old: current, topic: n}
	will := &testament{
		options: o, accepted: accepted, old: current, topic: n, partitions: cmp.Or(o.Partitions, n), working: working, group: p.Settings.Kafka.Group,
	}
	if will.estates, err = s.inspect(ctx); err != nil {
		return err
	}
	if o.Recreated {
		if will.proven, err = s.anew(ctx, will.estates); err != nil {
			return err
		}
	}
	if err := will.print(out); err != nil {
		return err
	}
	if err := will.refusal(); err != nil {
		if !o.DryRun {
			return err
		}
		_, err = fmt.Fprintf(out, "to do: %v\n", err)
		return err
	}
	if o.DryRun {
		_, err = fmt.Fprintln(out, "to do: nothing; without --dry-run the new log is registered")
		return err
	}
	return p.succeed(ctx, out, client, l, will)
}

// succeed registers the new log. Each step may be done again when one after it fails.
func (p *Process) succeed(ctx context.Context, out io.Writer, client *bus.Client, l *clickhouse.Ledger, will *testament) error {
	replay := p.replayOf(client, l, will.old)
	for i := range will.estates {
		if e := &will.estates[i]; e.more > 0 {
			if err := p.settleRest(ctx, l, &replay, e); err != nil {
				return fmt.Errorf("partition %d: %w", e.number, err)
			}
		}
	}
	if will.partitions > will.topic {
		if err := client.AddPartitions(ctx, will.old.Topic, will.partitions); err != nil {
			return err
		}
	}
	next := will.log(time.Now().UTC().Truncate(time.Millisecond))
	p.Log.Info("registering a new log", "log", next.Number, "topic", next.Topic, "partitions", next.Partitions, "starts", next.Starts, "lost", len(next.Lost))
	if err := l.RegisterLog(ctx, next); err != nil {
		return err
	}
	for _, lost := range next.Lost {
		if _, err := fmt.Fprintf(out, "given up, and on record: %v\n", lost); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "log %d is registered with %d partitions; set kafka.partitions to that and start everything again\n", next.Number, next.Partitions)
	return err
}

// settleRest writes the totals of rows that no checkpoint covers: they were written when the log was lost, count, and
// no aggregator will decide their records again.
func (p *Process) settleRest(ctx context.Context, l *clickhouse.Ledger, r replayer, e *estate) error {
	const most = 10_000
	var rows ledger.Batch
	write := func() error {
		if len(rows.Totals) == 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, p.Settings.ClickHouse.InsertTimeout)
		defer cancel()
		defer func() { rows.Totals = rows.Totals[:0] }()
		return l.Write(ctx, &rows)
	}
	err := r.Uncounted(ctx, e.number, e.counted, func(t *ledger.Total) error {
		if rows.Totals = append(rows.Totals, *t); len(rows.Totals) < most {
			return nil
		}
		return write()
	})
	return errors.Join(err, write())
}

// replayer is what settleRest asks of a replay.
type replayer interface {
	Uncounted(ctx context.Context, number int32, from int64, show func(*ledger.Total) error) error
}
