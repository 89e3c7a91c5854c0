package bench

import "time"

// rows are the table, in its order.
func rows() []row {
	return []row{
		{"ingest-batch", "requests of 100 usages over 16 connections, HTTP to durable 200", "events/s", "ratio >= 0.6", 3 * time.Minute, ingestBatch},
		{"ingest-single", "one usage a request over 64 connections, HTTP to durable 200", "events/s", "ratio >= 0.75", 3 * time.Minute, ingestSingle},
		{"restore", "partitions' states from ClickHouse, beside the bare query", "rows/s", "ratio >= 0.4", 10 * time.Minute, restore},
		{"verify", "log replayed and compared, beside the aggregate rate", "events/s", "ratio >= 0.8", 10 * time.Minute, verifyLog},
		{"account-totals", "one account's totals over 20 million entries, beside a sum over a plain table", "ms", "ratio <= 3 and ours <= 60 ms", 10 * time.Minute, accountTotals},
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
