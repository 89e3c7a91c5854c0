package app

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/ledger"
)

// showLog shows how many partitions somebody must work on: a partition that nobody works on has no series of its own.
func (p *Process) showLog(current ledger.Log) {
	partitions := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "reckoner_log_partitions", Help: "Partitions of the log that is written and read. Each must be worked on by one aggregator.",
	})
	var have prometheus.AlreadyRegisteredError
	if err := p.Ops.Registry.Register(partitions); errors.As(err, &have) {
		return // dev asks for the log twice, and it is the same
	}
	partitions.Set(float64(current.Partitions))
}

// showSchedule shows how often this process reports, so that an alert knows what is late.
func (p *Process) showSchedule(every time.Duration) {
	interval := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "reckoner_report_interval_seconds", Help: "How often this process reports to partners by itself: report.every.",
	})
	interval.Set(every.Seconds())
	p.Ops.Registry.MustRegister(interval)
}
