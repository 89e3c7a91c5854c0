package bench

import "time"

// rows are the table, in its order.
func rows() []row {
	return []row{
		{"ingest-batch", "requests of 100 usages over 16 connections, HTTP to durable 200", "events/s", "ratio >= 0.6", 3 * time.Minute, ingestBatch},
		{"ingest-single", "one usage a request over 64 connections, HTTP to durable 200", "events/s", "ratio >= 0.75", 3 * time.Minute, ingestSingle},
		{"aggregate", "log to rows in ClickHouse, exact dedupe, totals", "events/s", "ratio >= 0.6", 10 * time.Minute, aggregate},
		{"pipeline", "everything in one process, HTTP to visible in account_totals", "events/s", "ours >= 80000 for 60 s; memory beside the engine <= 2 GiB", 4 * time.Minute, pipeline},
		{"freshness", "200 to visible in account_totals, at 40,000 events/s", "ms", "p99 <= 1500 ms, and 95 % of the rate is sent", 3 * time.Minute, freshness},
		{"waited-outcome", "POST to verdict, idle", "ms", "p50 <= 2 x floor", 3 * time.Minute, waitedOutcome},
		{"known-ids", "aggregate rate with 50 million ids seen, beside none", "events/s", "ratio >= 0.8; <= 24 bytes of memory and <= 64 of disk an id", 40 * time.Minute, knownIDs},
		{"restore", "partitions' states from ClickHouse, beside the bare query", "rows/s", "ratio >= 0.4", 10 * time.Minute, restore},
		{"verify", "log replayed and compared, beside the aggregate rate", "events/s", "ratio >= 0.8", 10 * time.Minute, verifyLog},
		{"account-totals", "one account's totals over 20 million entries, beside a sum over a plain table", "ms", "ratio <= 3 and ours <= 60 ms", 15 * time.Minute, accountTotals},
		{"growth", "spread of the cost of an event, at 1, 4, 16 partitions and 1 to 3 aggregators", "%", "ours <= 15 %", 15 * time.Minute, growth},
	}
}

// Row is what `--list` shows of a row.
type Row struct{ Name, What, Goal string }

// Rows lists the table's rows.
func Rows() []Row {
	var list []Row
	for _, r := range rows() {
		list = append(list, Row{r.name, r.what, r.goal})
	}
	return list
}
