package aggregator

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
)

type metrics struct {
	events     *prometheus.CounterVec
	batch      prometheus.Histogram
	flush      prometheus.Histogram
	offset     *prometheus.GaugeVec
	lag        *prometheus.GaugeVec
	assigned   prometheus.Gauge
	member     prometheus.Gauge
	stopped    prometheus.Gauge
	halted     *prometheus.GaugeVec
	retries    *prometheus.CounterVec
	restored   *prometheus.CounterVec
	unrestored *prometheus.GaugeVec
	unanswered prometheus.Counter
	unreported prometheus.Counter
	filters    prometheus.Gauge
	learning   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_aggregator_events_total",
			Help: "Events decided, by outcome. An event that is decided again after a crash or a rebalance counts again here, never in the ledger.",
		}, []string{"outcome"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "reckoner_aggregator_flush_records", Help: "Records in one flush, over all partitions of the process.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 10),
		}),
		flush: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "reckoner_aggregator_flush_seconds", Help: "Time of one flush, from sealing to settled state.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
		offset: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_next_offset", Help: "Next offset to decide, as far as the ledger holds everything before it.",
		}, []string{"partition"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_lag_records", Help: "Records in the partition that are not in the ledger yet.",
		}, []string{"partition"}),
		assigned: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_assigned_partitions", Help: "Partitions that this process works on.",
		}),
		member: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_member", Help: "1 while the process is a member of its group, be it without partitions; 0 while it waits to be one.",
		}),
		stopped: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_stopped_partitions", Help: "Partitions that stand still until a person acts; the log and /readyz say why.",
		}),
		halted: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_partition_stopped", Help: "1 while the partition stands still until a person acts, else 0.",
		}, []string{"partition"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_aggregator_retries_total", Help: "Attempts that failed and were made again, by what was attempted.",
		}, []string{"step"}),
		restored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_aggregator_restored_rows_total", Help: "Rows read from the ledger to rebuild a lost state.",
		}, []string{"partition"}),
		unrestored: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_restore_remaining_rows",
			Help: "Rows of the current log still to be read to rebuild a lost state; absent when none is being rebuilt.",
		}, []string{"partition"}),
		unanswered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_aggregator_unpublished_outcomes_total", Help: "Awaited outcomes that could not be published in time. They are in the ledger.",
		}),
		unreported: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_aggregator_group_commit_failures_total", Help: "Offsets that could not be told to the group. Only lag tools miss them.",
		}),
		filters: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_filter_bytes", Help: "Memory of the filters that spare the local states a lookup for what is surely new.",
		}),
		learning: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_aggregator_learning_filters", Help: "Partitions whose filter does not know all keys yet, as after a kill: deciding is slower there.",
		}),
	}
	for _, o := range reckoner.Outcomes() {
		m.events.WithLabelValues(o.String())
	}
	for _, step := range []string{"consume", "insert", "dead letter"} { // a first failure is a rise from 0
		m.retries.WithLabelValues(step)
	}
	reg.MustRegister(m.events, m.batch, m.flush, m.offset, m.lag, m.assigned, m.member, m.stopped, m.halted, m.retries, m.restored, m.unrestored, m.unanswered, m.unreported, m.filters, m.learning)
	return m
}

func (m *metrics) decided(t *tally) {
	for o, n := range t.outcomes {
		if n > 0 {
			m.events.WithLabelValues(reckoner.Outcome(o).String()).Add(float64(n))
		}
	}
}

func (m *metrics) flushed(records int, took time.Duration) {
	m.batch.Observe(float64(records))
	m.flush.Observe(took.Seconds())
}

// position shows what is known of a partition; unknown is not shown as 0.
func (m *metrics) position(p *PartitionStatus) {
	label := strconv.Itoa(int(p.Partition))
	halted := 0.0
	if final(p.Err) {
		halted = 1
	}
	m.halted.WithLabelValues(label).Set(halted)
	if p.Next < 0 {
		return
	}
	m.offset.WithLabelValues(label).Set(float64(p.Next))
	if p.LogNext >= 0 {
		m.lag.WithLabelValues(label).Set(float64(p.Lag()))
	}
}

// filter adds to what the filters take and to how many are learning. Without metrics it does nothing.
func (m *metrics) filter(bytes, learning int) {
	if m == nil || bytes == 0 && learning == 0 {
		return
	}
	m.filters.Add(float64(bytes))
	m.learning.Add(float64(learning))
}

func (m *metrics) restoring(partition int32, rows int, left uint64) {
	label := strconv.Itoa(int(partition))
	m.restored.WithLabelValues(label).Add(float64(rows))
	m.unrestored.WithLabelValues(label).Set(float64(left))
}

// restoredOrNot forgets a restore that ended. Without metrics it does nothing.
func (m *metrics) restoredOrNot(partition int32) {
	if m != nil {
		m.unrestored.DeleteLabelValues(strconv.Itoa(int(partition)))
	}
}

// released forgets the gauges of partitions that another process works on now.
func (m *metrics) released() {
	m.offset.Reset()
	m.lag.Reset()
	m.halted.Reset()
	m.assigned.Set(0)
	m.member.Set(0)
}
