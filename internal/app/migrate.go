package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"reckoner/internal/bus"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
)

// DefaultMigrateWait is how long `migrate` waits for Kafka and ClickHouse: as long as they may take to start.
const DefaultMigrateWait = 5 * time.Minute

// Migrate is the command `migrate`: it brings topics and tables up to this build and registers the log.
func Migrate(ctx context.Context, p *Process) error { return MigrateWithin(ctx, p, DefaultMigrateWait) }

// MigrateWithin is Migrate that waits so long for Kafka and ClickHouse to answer. What waiting does not mend, such as a
// wrong password, ends it at once.
func MigrateWithin(ctx context.Context, p *Process, wait time.Duration) error {
	client, err := p.kafka()
	if err != nil {
		return err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return err
	}
	if err := p.answering(ctx, client, l, wait); err != nil {
		return err
	}
	return p.migrate(ctx, client, l)
}

// answering waits for both engines.
func (p *Process) answering(ctx context.Context, client *bus.Client, l *clickhouse.Ledger, wait time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("gave up after %s (--wait)", wait))
	defer cancel()
	if err := p.await(ctx, "Kafka (kafka.brokers)", client.Ping); err != nil {
		return err
	}
	// Not Ping: that asks the database, which may be what is to be made.
	answers := func(ctx context.Context) error {
		_, _, err := l.SchemaVersion(ctx)
		return err
	}
	return p.await(ctx, "ClickHouse (clickhouse.url)", answers)
}

func (p *Process) migrate(ctx context.Context, client *bus.Client, l *clickhouse.Ledger) error {
	k := p.Settings.Kafka
	specs := bus.Topics(k.Partitions, k.ReplicationFactor)
	for i := range specs {
		if k.MinInsyncReplicas > 0 {
			specs[i].SetMinInsync(k.MinInsyncReplicas)
		}
	}
	if err := client.EnsureTopics(ctx, specs); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	if err := l.Migrate(ctx, nil); err != nil {
		return err
	}
	n, err := client.Partitions(ctx, bus.TopicEvents)
	if err != nil {
		return err
	}
	return p.register(ctx, l, int32(n))
}

// register writes the first log's registration, once. Partitions are part of every decision (which events are
// misrouted), so a topic that has other ones than its log is refused.
func (p *Process) register(ctx context.Context, logs ledger.Logs, partitions int32) error {
	current, err := logs.CurrentLog(ctx)
	if errors.Is(err, ledger.ErrNoLog) {
		first := ledger.Log{Number: 1, Topic: bus.TopicEvents, Partitions: partitions, RegisteredAt: time.Now().UTC().Truncate(time.Millisecond)}
		p.Log.Info("registering the log", "log", first.Number, "topic", first.Topic, "partitions", first.Partitions)
		return logs.RegisterLog(ctx, first)
	}
	if err != nil {
		return err
	}
	return p.fits(current, partitions)
}

func (p *Process) fits(l ledger.Log, partitions int32) error {
	if l.Partitions != partitions {
		return fmt.Errorf("%w: topic %s has %d partitions, log %d was registered with %d: register the topic as it is now with "+
			"`reckoner migrate --new-log`", ledger.ErrLogMismatch, l.Topic, partitions, l.Number, l.Partitions)
	}
	return nil
}

// readable is fits for who only reads the log: partitions that were added to its topic are not the log's, and are left
// alone. Without that nobody could drain it, which the next log waits for.
func (p *Process) readable(l ledger.Log, partitions int32) error {
	if partitions <= l.Partitions {
		return p.fits(l, partitions)
	}
	p.Log.Warn("partitions were added to the topic: the log is read to its end without them; then register the next one with `reckoner migrate --new-log`",
		"topic", l.Topic, "log", l.Number, "partitions", l.Partitions, "topic_partitions", partitions)
	return nil
}

// currentLog waits until topics and tables are there, and returns the registered log, to be read.
func (p *Process) currentLog(ctx context.Context, client *bus.Client, l *clickhouse.Ledger) (ledger.Log, error) {
	return p.awaitLog(ctx, client, l, p.readable)
}

// writableLog is currentLog for who writes.
func (p *Process) writableLog(ctx context.Context, client *bus.Client, l *clickhouse.Ledger) (ledger.Log, error) {
	return p.awaitLog(ctx, client, l, p.fits)
}

func (p *Process) awaitLog(ctx context.Context, client *bus.Client, l *clickhouse.Ledger, fits func(ledger.Log, int32) error) (current ledger.Log, err error) {
	err = p.await(ctx, "`reckoner migrate`, Kafka and ClickHouse", func(ctx context.Context) error {
		if err := l.CheckSchema(ctx); err != nil {
			return err
		}
		if current, err = l.CurrentLog(ctx); err != nil {
			return err
		}
		n, err := client.Partitions(ctx, current.Topic)
		if err != nil {
			return err
		}
		return fits(current, int32(n))
	})
	if err == nil {
		p.showLog(current)
	}
	return current, err
}
