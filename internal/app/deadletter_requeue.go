package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"reckoner"
	"reckoner/aggregator"
	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// RequeueDeadLetters is the command `deadletter requeue`: it writes the original bytes of one dead letter, or with an
// empty position of all, to the log again, by the account of the event that they hold. What this build would refuse
// again is not written; it reports whether there was none of that. An event that counts already is a duplicate then.
func RequeueDeadLetters(ctx context.Context, p *Process, out io.Writer, position string) (all bool, err error) {
	q := &requeue{Process: p, out: out}
	if position != "" {
		at, err := reckoner.ParsePosition(position)
		if err != nil {
			return false, err
		}
		q.only = &at
	}
	if q.client, err = p.kafka(); err != nil {
		return false, err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return false, err
	}
	// Under another partitioning than the registered one the key would lead elsewhere.
	if q.log, err = p.registered(ctx, q.client, l, p.fits); err != nil {
		return false, err
	}
	q.producer = q.client.NewProducer(bus.ProducerOptions{
		DeliveryTimeout: p.Settings.Ingest.ProduceTimeout, Partitions: map[string]int{q.log.Topic: int(q.log.Partitions)},
	})
	p.OnStop("producer", q.producer.Close)
	return q.run(ctx)
}

// requeue is a requeuing on its way.
type requeue struct {
	*Process
	out      io.Writer
	only     *reckoner.Position // nil: all
	client   *bus.Client
	producer *bus.Producer
	log      ledger.Log

	recs             []bus.Record // not written yet
	positions        []reckoner.Position
	bytes            int
	written, refused int
}

// requeueRecords and requeueBytes bound what is written at once.
const (
	requeueRecords = 500
	requeueBytes   = 4 << 20
)

func (q *requeue) run(ctx context.Context) (all bool, err error) {
	for d, err := range q.deadLetters(ctx, q.client) {
		if err != nil {
			return false, err
		}
		if q.only != nil && d.Position != *q.only {
			continue
		}
		if err := q.add(ctx, d); err != nil {
			return false, err
		}
		if q.only != nil {
			break
		}
	}
	if err := q.write(ctx); err != nil {
		return false, err
	}
	if q.only != nil && q.written+q.refused == 0 {
		return false, fmt.Errorf("%s: %w", q.only, errNoDeadLetter)
	}
	_, err = fmt.Fprintf(q.out, "%d written to %s again, %d would be refused again\n", q.written, q.log.Topic, q.refused)
	return q.refused == 0, err
}

// add takes one dead letter, if it would not be refused again.
func (q *requeue) add(ctx context.Context, d aggregator.DeadLetter) error {
	d, err := whole(ctx, q.client, d)
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	var e *reckoner.Event
	if err == nil {
		e, err = acceptable(&d)
	}
	if err != nil {
		q.refused++
		_, err := fmt.Fprintf(q.out, "%s: would be refused again: %s\n", d.Position, shown(err.Error()))
		return err
	}
	q.recs = append(q.recs, bus.Record{Key: []byte(e.AccountID), Value: d.Value, Headers: d.Headers})
	q.positions = append(q.positions, d.Position)
	if q.bytes += len(d.Value); len(q.recs) < requeueRecords && q.bytes < requeueBytes {
		return nil
	}
	return q.write(ctx)
}

func (q *requeue) write(ctx context.Context) error {
	if len(q.recs) == 0 {
		return nil
	}
	if err := q.producer.Produce(ctx, q.log.Topic, q.recs); err != nil {
		return fmt.Errorf("write %d records, %s the first: %w", len(q.recs), q.positions[0], err)
	}
	for _, at := range q.positions {
		if _, err := fmt.Fprintf(q.out, "%s: written again\n", at); err != nil {
			return err
		}
	}
	q.written += len(q.recs)
	q.recs, q.positions, q.bytes = nil, nil, 0
	return nil
}
