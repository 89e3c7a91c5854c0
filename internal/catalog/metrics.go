package catalog

import "github.com/prometheus/client_golang/prometheus"

// metrics shows which catalog is in force, and whether the file holds a better one that could not be used.
type metrics struct {
	loads    *prometheus.CounterVec
	stale    prometheus.Gauge
	loadedAt prometheus.Gauge
	entities *prometheus.GaugeVec
}

// newMetrics registers the metrics; without a registerer they are kept, and shown to nobody.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_catalog_loads_total", Help: "Times that the catalog file was read, by result (good, bad).",
		}, []string{"result"}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_catalog_stale", Help: "1 while the catalog file is bad or unreadable and an older catalog is in force.",
		}),
		loadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_catalog_loaded_timestamp_seconds", Help: "When the catalog in force was read, in UNIX time.",
		}),
		entities: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reckoner_catalog_entities", Help: "Entities of the catalog in force, by kind.",
		}, []string{"kind"}),
	}
	m.loads.WithLabelValues("good")
	m.loads.WithLabelValues("bad")
	if reg != nil {
		reg.MustRegister(m.loads, m.stale, m.loadedAt, m.entities)
	}
	return m
}

func (m *metrics) accepted(c *Catalog) {
	m.loads.WithLabelValues("good").Inc()
	m.stale.Set(0)
	m.loadedAt.SetToCurrentTime()
	for _, kind := range Kinds() {
		m.entities.WithLabelValues(kind.String()).Set(float64(c.Count(kind)))
	}
}

func (m *metrics) refused() {
	m.loads.WithLabelValues("bad").Inc()
	m.stale.Set(1)
}
