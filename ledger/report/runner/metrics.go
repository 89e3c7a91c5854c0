package runner

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/ledger"
	"reckoner/ledger/report/partner"
)

type metrics struct {
	reports    *prometheus.CounterVec
	attempts   *prometheus.CounterVec
	run        prometheus.Histogram
	runErrors  prometheus.Counter
	ended      prometheus.Gauge
	stale      prometheus.Counter
	overtaken  prometheus.Counter
	unsendable *prometheus.CounterVec
	unrecorded prometheus.Counter
}

// reasons are why an installation cannot be reported.
func reasons() []string {
	return []string{"target", "base_url", "token", "terms", "figures", "statement"}
}

func newMetrics(reg prometheus.Registerer, targets []partner.Target, s *state, now func() time.Time) *metrics {
	m := &metrics{
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_report_reports_total", Help: "Reports by how far they came. A report that was superseded or has expired was never sent.",
		}, []string{"target", "status"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_report_attempts_total", Help: "Attempts to send a report, by the class of the partner's answer; none: there was no answer.",
		}, []string{"target", "code"}),
		run: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "reckoner_report_run_seconds", Help: "Time of a run, to the end of its last delivery.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2.5, 14),
		}),
		runErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_report_run_errors_total", Help: "Runs that ended early, because the ledger did not answer.",
		}),
		ended: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_report_last_run_timestamp_seconds", Help: "When the last run that worked all installations ended, as a UNIX time.",
		}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_report_stale_total", Help: "Reports made while the aggregator was further behind the log than report.max_lag. They were sent.",
		}),
		overtaken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_report_overtaken_total", Help: "Times that another reporter claimed an installation first, so that it was begun again.",
		}),
		unsendable: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_report_unsendable_total", Help: "Installations that a run could make no report of or had nowhere to send to, by reason; the log says which.",
		}, []string{"reason"}),
		unrecorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_report_unrecorded_total", Help: "Reports that were sent and whose outcome could not be stored. The next run sends them again.",
		}),
	}
	for _, t := range targets {
		for st := ledger.ReportAccepted; st <= ledger.ReportExpired; st++ {
			m.reports.WithLabelValues(t.Name(), st.String())
		}
	}
	for _, reason := range reasons() {
		m.unsendable.WithLabelValues(reason)
	}
	reg.MustRegister(m.reports, m.attempts, m.run, m.runErrors, m.ended, m.stale, m.overtaken, m.unsendable, m.unrecorded)
	registerState(reg, s, now)
	return m
}

// registerState shows how the installations stand at the time of a scrape.
func registerState(reg prometheus.Registerer, s *state, now func() time.Time) {
	for name, of := range map[string]func(Counts) int{
		"ok": func(c Counts) int { return c.OK }, "failing": func(c Counts) int { return c.Failing },
		"refused": func(c Counts) int { return c.Refused }, "unsendable": func(c Counts) int { return c.Unsendable },
	} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "reckoner_report_installations", ConstLabels: prometheus.Labels{"state": name},
			Help: "Installations by what the last run came to for them.",
		}, func() float64 { return float64(of(s.counts())) }))
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "reckoner_report_oldest_acceptance_seconds",
		Help: "Time since a partner last accepted a report, of the installation for which that is longest ago.",
	}, func() float64 {
		oldest := s.oldest()
		if oldest.IsZero() {
			return 0
		}
		return max(0, now().Sub(oldest).Seconds())
	}))
}

func (m *metrics) attempted(target string, code int) {
	class := "none"
	if code >= 100 && code < 600 {
		class = strconv.Itoa(code/100) + "xx"
	}
	m.attempts.WithLabelValues(target, class).Inc()
}

func (m *metrics) reported(rows []ledger.Report) {
	for i := range rows {
		m.reports.WithLabelValues(rows[i].Target, rows[i].Status.String()).Inc()
	}
}
