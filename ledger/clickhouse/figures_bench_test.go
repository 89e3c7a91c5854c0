package clickhouse

import (
	"fmt"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"reckoner"
	"reckoner/ledger"
)

// BenchmarkFigures reads the figures of 10,000 installations with five meters each, 40 buckets of a month a meter, for the
// current part of a day and the one before it: as a run does, 500 installations at a time. Beside it are the bare SELECT of
// the same totals, summed, 500 accounts at a time.
func BenchmarkFigures(b *testing.B) {
	const installations, batch = 10_000, 500
	l := openLedger(b)
	for i, kind := range []reckoner.MeterType{reckoner.Interval, reckoner.Interval, reckoner.Interval, reckoner.Total, reckoner.Rate} {
		err := l.conn.Exec(b.Context(), fmt.Sprintf(`
			INSERT INTO totals (account_id, subscription_id, meter, meter_type, period_start, period_end, bucket, quantity, events, reverts,
				first_use, last_use, reading_log, reading_partition, reading_offset, reading_index, log, partition, offset, index)
			SELECT toString(reinterpretAsUUID(sipHash128(toUInt64(number %% %d)))), concat('sub_', toString(number %% %d)), 'meter_%d', '%s',
				toDateTime64('2026-03-01 00:00:00', 9, 'UTC'), toDateTime64('2026-04-01 00:00:00', 9, 'UTC'),
				toDateTime64('2026-03-01 00:00:00', 0, 'UTC') + toIntervalMinute(15 * (intDiv(number, %d) * 70 + number %% 50)) AS at, number %% 1000, 1, 0,
				at, at, 1, number %% 16, number, 0, 1, number %% 16, number, 0
			FROM numbers(%d)`, installations, installations, i, kind, installations, installations*40))
		if err != nil {
			b.Fatal(err)
		}
	}
	optimize(b, l, "totals")
	var queries []ledger.FiguresQuery
	ids := queryTSV(b, l, fmt.Sprintf("SELECT toString(reinterpretAsUUID(sipHash128(toUInt64(number)))), concat('sub_', toString(number)) FROM numbers(%d)", installations))
	for _, line := range ids {
		var q ledger.FiguresQuery
		var subscription string
		if _, err := fmt.Sscanf(line, "%s\t%s", &q.AccountID, &subscription); err != nil {
			b.Fatal(err)
		}
		q.SubscriptionIDs = []string{subscription}
		for _, day := range []int{14, 15} {
			q.Edges = []time.Time{march, march.AddDate(0, 0, day), march.AddDate(0, 0, day+1), march.AddDate(0, 1, 0)}
			queries = append(queries, q)
		}
	}
	b.Run("figures", func(b *testing.B) {
		for b.Loop() {
			rows := 0
			for i := 0; i < len(queries); i += 2 * batch {
				figures, err := l.Figures(b.Context(), queries[i:i+2*batch])
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range figures {
					rows += len(f.Rows)
				}
			}
			b.ReportMetric(float64(rows), "figures")
		}
	})
	b.Run("bare select", func(b *testing.B) {
		for b.Loop() {
			for i := 0; i < len(queries); i += 2 * batch {
				var accounts []string
				for _, q := range queries[i : i+2*batch] {
					accounts = append(accounts, q.AccountID)
				}
				rows, err := l.conn.Query(b.Context(), `SELECT account_id, subscription_id, meter, toString(sum(quantity)) FROM totals FINAL
					WHERE account_id IN {accounts:Array(String)} GROUP BY account_id, subscription_id, meter`, ch.Named("accounts", accounts))
				if err != nil {
					b.Fatal(err)
				}
				for rows.Next() {
				}
				if err := rows.Err(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
