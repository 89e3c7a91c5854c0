package clickhouse

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are of the inserts, by table.
type metrics struct {
	rows    *prometheus.CounterVec
	errors  *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// tableNames are the tables that rows are inserted into.
func tableNames() []string {
	return []string{"entries", "refusals", "totals", "checkpoints", "catalog", "reports", "report_claims"}
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_ledger_insert_rows_total", Help: "Rows inserted and acknowledged as durable.",
		}, []string{"table"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_ledger_insert_errors_total", Help: "Inserts that failed or were not acknowledged.",
		}, []string{"table"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "reckoner_ledger_insert_seconds", Help: "Time of one insert, from its first column to the acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"table"}),
	}
	for _, table := range tableNames() { // a first failure is a rise from 0, where a new series would be no rise
		m.errors.WithLabelValues(table)
	}
	if reg != nil {
		reg.MustRegister(m.rows, m.errors, m.seconds)
	}
	return m
}

func (m *metrics) inserted(table string, rows int, start time.Time, err error) {
	if err != nil {
		m.errors.WithLabelValues(table).Inc()
		return
	}
	m.rows.WithLabelValues(table).Add(float64(rows))
	m.seconds.WithLabelValues(table).Observe(time.Since(start).Seconds())
}
