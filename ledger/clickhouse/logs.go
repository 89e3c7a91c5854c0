package clickhouse

import (
	"context"
	"fmt"
	"slices"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"reckoner/ledger"
)

// CurrentLog implements ledger.Logs.
func (l *Ledger) CurrentLog(ctx context.Context) (ledger.Log, error) {
	log, exists, err := l.readLog(ctx, 0)
	if err == nil && !exists {
		err = ledger.ErrNoLog
	}
	return log, err
}

// RegisterLog implements ledger.Logs. Of two registrations of one number that race with different values both are
// kept, and from then on each reader gets ErrLogMismatch: nobody goes on with a log that another reads differently.
func (l *Ledger) RegisterLog(ctx context.Context, log ledger.Log) error {
	if len(log.Starts) > 0 && len(log.Starts) != int(log.Partitions) {
		return fmt.Errorf("register log %d: %d starts for %d partitions", log.Number, len(log.Starts), log.Partitions)
	}
	if log.Number == 0 || log.Topic == "" || log.Partitions < 1 {
		return fmt.Errorf("register log %d of topic %q with %d partitions: numbers and partitions start at 1, a topic has a name",
			log.Number, log.Topic, log.Partitions)
	}
	stored, exists, err := l.readLog(ctx, log.Number)
	if err != nil {
		return err
	}
	if exists {
		return sameLog(stored, log)
	}
	lost := columnsOf(log.Lost)
	err = l.conn.Exec(ch.Context(ctx, ch.WithSettings(insertSettings(1))), l.queries.logRegister,
		ch.Named("number", log.Number), ch.Named("topic", log.Topic), ch.Named("partitions", log.Partitions),
		ch.Named("registered_at", log.RegisteredAt.UnixNano()), ch.Named("starts", append([]int64{}, log.Starts...)),
		ch.Named("lost_partitions", lost.partitions), ch.Named("lost_from", lost.from), ch.Named("lost_to", lost.to),
		ch.Named("lost_records", lost.records), ch.Named("lost_causes", lost.causes))
	if err != nil {
		return fmt.Errorf("register log %d: %w", log.Number, explain(err))
	}
	if stored, _, err = l.readLog(ctx, log.Number); err != nil {
		return err
	}
	return sameLog(stored, log)
}

// readLog returns the log of a number, 0 meaning the newest.
func (l *Ledger) readLog(ctx context.Context, number uint32) (ledger.Log, bool, error) {
	if err := l.syncReplicas(ctx); err != nil {
		return ledger.Log{}, false, err
	}
	rows, err := l.conn.Query(ctx, l.queries.logs, ch.Named("number", number))
	if err != nil {
		return ledger.Log{}, false, fmt.Errorf("read logs: %w", explain(err))
	}
	defer rows.Close()
	var found []ledger.Log
	for rows.Next() {
		var log ledger.Log
		var lost lossColumns
		if err := rows.Scan(&log.Number, &log.Topic, &log.Partitions, &log.RegisteredAt, &log.Starts,
			&lost.partitions, &lost.from, &lost.to, &lost.records, &lost.causes); err != nil {
			return ledger.Log{}, false, fmt.Errorf("read logs: %w", err)
		}
		if log.Lost, err = lost.losses(&log); err != nil {
			return ledger.Log{}, false, err
		}
		if len(log.Starts) == 0 {
			log.Starts = nil
		}
		found = append(found, log)
	}
	if err := rows.Err(); err != nil {
		return ledger.Log{}, false, fmt.Errorf("read logs: %w", explain(err))
	}
	switch len(found) {
	case 0:
		return ledger.Log{}, false, nil
	case 1:
		return found[0], true, nil
	default:
		return ledger.Log{}, false, fmt.Errorf("%w: log %d is registered %d times with different values; delete the wrong "+
			"rows of the table logs", ledger.ErrLogMismatch, found[0].Number, len(found))
	}
}

func sameLog(stored, wanted ledger.Log) error {
	sameLoss := func(a, b ledger.Loss) bool {
		a.Log, a.AcceptedAt = b.Log, b.AcceptedAt // they follow from the log
		return a == b
	}
	if stored.Topic == wanted.Topic && stored.Partitions == wanted.Partitions && slices.Equal(stored.Starts, wanted.Starts) &&
		slices.EqualFunc(stored.Lost, wanted.Lost, sameLoss) {
		return nil
	}
	return fmt.Errorf("%w: log %d is registered as topic %s with %d partitions from %v, %d of them with losses, not %s with %d from %v, %d with losses: "+
		"a topic that was changed needs a new log (`reckoner migrate --new-log`)", ledger.ErrLogMismatch, stored.Number,
		stored.Topic, stored.Partitions, stored.Starts, len(stored.Lost), wanted.Topic, wanted.Partitions, wanted.Starts, len(wanted.Lost))
}
