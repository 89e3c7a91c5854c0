package aggregator

import "github.com/prometheus/client_golang/prometheus"

type auditMetrics struct {
	mismatches prometheus.Gauge
	accounts   prometheus.Counter
	failures   prometheus.Counter
}

func newAuditMetrics(reg prometheus.Registerer) *auditMetrics {
	m := &auditMetrics{
		mismatches: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_ledger_mismatch_accounts",
			Help: "Accounts whose totals were not what their entries come to when last checked. Anything but 0 needs `reckoner verify`.",
		}),
		accounts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_audit_accounts_total", Help: "Accounts whose totals were held against their entries.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_audit_failures_total", Help: "Looks at a slice of accounts that failed. The slice is looked at again.",
		}),
	}
	reg.MustRegister(m.mismatches, m.accounts, m.failures)
	return m
}
