package ingest

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	events   *prometheus.CounterVec
	produce  *prometheus.HistogramVec
	waiters  prometheus.Gauge
	unheard  prometheus.Counter
	garbage  prometheus.Counter
	inflight prometheus.Gauge
	panics   prometheus.Counter
	limited  prometheus.Counter
}

// garbageMetric is named in the log, too.
const garbageMetric = "reckoner_ingest_unreadable_outcomes_total"

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_ingest_requests_total", Help: "Requests answered, by dialect, route and HTTP status.",
		}, []string{"dialect", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "reckoner_ingest_request_seconds", Help: "Time from a request's head to its answer, by dialect and route.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"dialect", "route"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_ingest_events_total", Help: "Events acknowledged as durable, by dialect and kind. A repetition counts again here.",
		}, []string{"dialect", "kind"}),
		produce: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "reckoner_ingest_produce_seconds", Help: "Time until every in-sync replica had a request's events, or it failed.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"result"}),
		waiters: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_ingest_waiters", Help: "Events whose outcome a request waits for.",
		}),
		unheard: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_ingest_outcome_timeouts_total", Help: "Requests answered 202, because the outcome did not come in time.",
		}),
		garbage: prometheus.NewCounter(prometheus.CounterOpts{
			Name: garbageMetric, Help: "Records of usage.outcomes that are no outcome. Another program writes there.",
		}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_ingest_rate_limited_total", Help: "Requests refused because their credential was over its rate.",
		}),
		inflight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_ingest_inflight_bytes", Help: "Bytes of request bodies held in memory.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_ingest_panics_total", Help: "Requests that ran into a defect of the program. It must stay 0.",
		}),
	}
	reg.MustRegister(m.requests, m.duration, m.events, m.produce, m.waiters, m.unheard, m.garbage, m.inflight, m.panics, m.limited)
	return m
}

// passed counts records that were no outcomes.
func (m *metrics) passed(n uint64) { m.garbage.Add(float64(n)) }

// answered counts a request. A request without a route has the route "none", so that callers cannot make labels.
func (m *metrics) answered(c *call) {
	dialect, route := c.dialect.name, "none"
	if c.route != nil {
		route = c.route.name
	}
	m.requests.WithLabelValues(dialect, route, strconv.Itoa(c.w.status)).Inc()
	m.duration.WithLabelValues(dialect, route).Observe(time.Since(c.started).Seconds())
}
