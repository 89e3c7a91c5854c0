package bench

import "time"

// rows are the table, in its order.
func rows() []row {
	return []row{
		{"ingest-batch", "requests of 100 usages over 16 connections, HTTP to durable 200", "events/s", "ratio >= 0.6", 3 * time.Minute, ingestBatch},
		{"ingest-single", "one usage a request over 64 connections, HTTP to durable 200", "events/s", "ratio >= 0.75", 3 * time.Minute, ingestSingle},
		{"aggregate", "log to rows in ClickHouse, exact dedupe, totals", "events/s", "ratio >= 0.6", 10 * time.Minute, aggregate},
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
