package bench

import "time"

// rows are the table, in its order.
func rows() []row {
	return []row{
		{"ingest-batch", "requests of 100 usages over 16 connections, HTTP to durable 200", "events/s", "ratio >= 0.6", 3 * time.Minute, ingestBatch},
		{"ingest-single", "one usage a request over 64 connections, HTTP to durable 200", "events/s", "ratio >= 0.75", 3 * time.Minute, ingestSingle},
		{"aggregate", "log to rows in ClickHouse, exact dedupe, totals", "events/s", "ratio >= 0.6", 10 * time.Minute, aggregate},
		{"pipeline", "everything in one process, HTTP to visible in account_totals", "events/s", "ours >= 80000 for 60 s; memory beside the engine <= 2 GiB", 4 * time.Minute, pipeline},
		{"freshness", "200 to visible in account_totals, at 40,000 events/s", "ms", "p99 <= 1500 ms", 3 * time.Minute, freshness},
		{"waited-outcome", "POST to verdict, idle", "ms", "p50 <= 2 x floor", 3 * time.Minute, waitedOutcome},
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
