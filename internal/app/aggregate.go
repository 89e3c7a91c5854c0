package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"reckoner/aggregator"
	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// Aggregate is the command `aggregate`: the log into the ledger.
func Aggregate(ctx context.Context, p *Process) error {
	if err := p.serveOps(); err != nil {
		return err
	}
	client, err := p.kafka()
	if err != nil {
		return err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return err
	}
	if err := p.aggregate(ctx, client, l); err != nil {
		return err
	}
	p.Ops.Stage("")
	return nil
}

// aggregate starts the aggregator.
func (p *Process) aggregate(ctx context.Context, client *bus.Client, l *clickhouse.Ledger) error {
	current, err := p.currentLog(ctx, client, l)
	if err != nil {
		return err
	}
	s := p.Settings
	producer := client.NewProducer(bus.ProducerOptions{DeliveryTimeout: s.Kafka.RequestTimeout, RecordBytes: bus.DeadLetterBytesMax - batchOverhead})
	p.OnStop("aggregator's producer", producer.Close)
	group := &aggregator.KafkaGroup{Client: client, Partitions: current.Partitions, Options: bus.GroupOptions{
		Group: s.Kafka.Group, Topic: current.Topic, SessionTimeout: s.Kafka.SessionTimeout, RebalanceTimeout: s.Kafka.RebalanceTimeout,
	}}
	a, err := aggregator.New(aggregator.Options{
		Dir: filepath.Join(s.DataDir, "state"), Log: current, Ledger: p.stepped(l), Publisher: producer, Partitioner: bus.PartitionFor,
		Source: &aggregator.KafkaSource{Client: client, Topic: current.Topic, FetchBytes: int(s.Aggregator.FetchBytesMax), MaxWait: 500 * time.Millisecond},
		Group:  group,
		Limits: aggregator.Limits{
			RecordsMax: s.Aggregator.BatchEventsMax, BytesMax: int(s.Aggregator.BatchBytesMax),
			Interval: s.Aggregator.FlushInterval, WaitInterval: s.Aggregator.FlushIntervalWaited,
			Patience: s.Ingest.OutcomeTimeout,
		},
		CacheBytes: s.Aggregator.StateCacheBytes, BackoffMin: s.Aggregator.RetryBackoffMin, BackoffMax: s.Aggregator.RetryBackoffMax,
		WriteTimeout: s.ClickHouse.InsertTimeout, AnswerTimeout: s.Aggregator.AnswerTimeout, DrainTimeout: s.Shutdown.Timeout / 2,
		RestoreDelay: s.Aggregator.RestoreDelay, WatchInterval: s.Aggregator.LedgerWatchInterval,
		Registerer: p.Ops.Registry, Slog: p.Log.With("component", "aggregator"),
		At: p.crash.At(componentAggregator),
	})
	if err != nil {
		return err
	}
	group.Options.Held, group.Options.OnError = a.Held, a.NotJoined
	p.Close("states", a.Close)
	p.Go("aggregator", a.Run)
	p.audit(current, a, l)
	// Only here: an ingest without ClickHouse takes events all the same, and must go on getting them.
	p.Ops.Ready("clickhouse", l.Ping)
	p.Ops.Ready("aggregator", func(context.Context) error { return assigned(a) })
	p.Ops.Healthy("aggregator", func(context.Context) error { return progressing(a, s.Health.StallAfter, time.Now()) })
	return nil
}

// batchOverhead is what Kafka's batch around a lone record takes, generously: 61 bytes of header.
const batchOverhead = 128

// working is what is known of an aggregator's progress.
type working interface {
	Status() (partitions []aggregator.PartitionStatus, assigned bool)
	Outside() *aggregator.Outside
}

// assigned is readiness: the group gave this process its share, even if that is nothing, and nothing stands still.
func assigned(a working) error {
	if o := a.Outside(); o != nil {
		if o.Err == nil {
			return errors.New("not a member of the group yet")
		}
		return fmt.Errorf("not a member of the group yet: %w", o.Err)
	}
	partitions, _ := a.Status()
	var errs []error
	for _, s := range partitions {
		switch {
		case s.Err != nil:
			errs = append(errs, fmt.Errorf("partition %d: %w", s.Partition, s.Err))
		case !s.Open:
			errs = append(errs, fmt.Errorf("partition %d: its state is being opened", s.Partition))
		}
	}
	return errors.Join(errs...)
}

// progressing is health: a partition with lag whose position does not move is stuck, however busy the process looks, and
// so is a process that the group does not take.
//
// Kafka that is away counts, too: seen from here it cannot be told from what only this process cannot reach any more.
// A restart is cheap, since the state stays, and happens once: at its start a process that waits for Kafka is healthy.
func progressing(a working, stall time.Duration, now time.Time) error {
	if o := a.Outside(); o != nil {
		if away := now.Sub(o.Since); away > stall {
			return fmt.Errorf("not a member of the group for %s: %w", away.Round(time.Second), orUnknown(o.Err))
		}
		return nil
	}
	partitions, _ := a.Status()
	var errs []error
	for _, s := range partitions {
		if still := now.Sub(s.Moved); (s.Lag() > 0 || s.Err != nil) && still > stall {
			errs = append(errs, fmt.Errorf("partition %d stands at offset %d of %d for %s: %w",
				s.Partition, s.Next, s.LogNext, still.Round(time.Second), orUnknown(s.Err)))
		}
	}
	return errors.Join(errs...)
}

var errNoError = errors.New("no error was seen")

func orUnknown(err error) error {
	if err == nil {
		return errNoError
	}
	return err
}

// audit holds totals against entries in the background: those of the partitions that this process works on, so that
// every account is checked by one process.
func (p *Process) audit(current ledger.Log, a *aggregator.Aggregator, l *clickhouse.Ledger) {
	s := p.Settings
	if s.Audit.Interval == 0 {
		return
	}
	partitions := func() (numbers []int32) {
		assigned, _ := a.Status()
		for _, one := range assigned {
			numbers = append(numbers, one.Partition)
		}
		return numbers
	}
	audit := aggregator.NewAudit(aggregator.AuditOptions{
		Log: current.Number, Ledger: l, Partitions: partitions, Interval: s.Audit.Interval, Timeout: s.ClickHouse.QueryTimeout,
		Registerer: p.Ops.Registry, Slog: p.Log.With("component", "audit"),
	})
	p.Go("audit", audit.Run)
}
