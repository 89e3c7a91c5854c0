package clickhouse

import (
	"context"
	"fmt"

	"reckoner/ledger"
)

// lossColumns are the losses of a registration as its row holds them: an element of each a loss.
type lossColumns struct {
	partitions        []int32
	from, to, records []int64
	causes            []string
}

func columnsOf(all []ledger.Loss) lossColumns {
	c := lossColumns{partitions: []int32{}, from: []int64{}, to: []int64{}, records: []int64{}, causes: []string{}}
	for _, l := range all {
		c.partitions, c.causes = append(c.partitions, l.Partition), append(c.causes, string(l.Cause))
		c.from, c.to, c.records = append(c.from, l.From), append(c.to, l.To), append(c.records, l.Records)
	}
	return c
}

// losses returns what a log's registration says of the log before it.
func (c *lossColumns) losses(log *ledger.Log) ([]ledger.Loss, error) {
	n := len(c.partitions)
	if len(c.from) != n || len(c.to) != n || len(c.records) != n || len(c.causes) != n {
		return nil, fmt.Errorf("%w: the columns lost_… of log %d have different lengths; restore its row of the table logs", ledger.ErrLogMismatch, log.Number)
	}
	var all []ledger.Loss
	for i := range n {
		all = append(all, ledger.Loss{
			Log: log.Number - 1, Partition: c.partitions[i], From: c.from[i], To: c.to[i], Records: c.records[i],
			Cause: ledger.LossCause(c.causes[i]), AcceptedAt: log.RegisteredAt,
		})
	}
	return all, nil
}

// Losses implements ledger.Logs.
func (l *Ledger) Losses(ctx context.Context) ([]ledger.Loss, error) {
	if err := l.syncReplicas(ctx); err != nil {
		return nil, err
	}
	rows, err := l.conn.Query(ctx, l.queries.losses)
	if err != nil {
		return nil, fmt.Errorf("read what was lost of logs: %w", explain(err))
	}
	defer rows.Close()
	var all []ledger.Loss
	for rows.Next() {
		var one ledger.Loss
		var cause string
		if err := rows.Scan(&one.Log, &one.Partition, &one.From, &one.To, &one.Records, &cause, &one.AcceptedAt); err != nil {
			return nil, fmt.Errorf("read what was lost of logs: %w", err)
		}
		one.Cause = ledger.LossCause(cause)
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read what was lost of logs: %w", explain(err))
	}
	return all, nil
}
