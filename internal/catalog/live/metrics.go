package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/internal/catalog"
)

// metrics shows which catalog is in force and how the log is followed.
type metrics struct {
	entities *prometheus.GaugeVec
	position prometheus.Gauge
	changes  *prometheus.CounterVec
	load     prometheus.Gauge
	stale    prometheus.Gauge
}

// newMetrics registers the metrics; without a registerer they are kept, and shown to nobody.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		entities: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "reckoner_catalog_entities", Help: "Entities of the catalog in force, by kind.",
		}, []string{"kind"}),
		position: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_catalog_position", Help: "The offset of the topic catalog up to which the catalog in force was read.",
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "reckoner_catalog_changes_total", Help: "Records of the topic catalog that were decided, by result.",
		}, []string{"result"}),
		load: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_catalog_load_seconds", Help: "How long it took to read the catalog at the start.",
		}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_catalog_stale", Help: "1 while the catalog is not followed because Kafka does not answer, and the one in force may be old.",
		}),
	}
	for _, r := range catalog.Results() {
		m.changes.WithLabelValues(r.String())
	}
	if reg != nil {
		reg.MustRegister(m.entities, m.position, m.changes, m.load, m.stale)
	}
	return m
}

func (m *metrics) decided(r catalog.Result) { m.changes.WithLabelValues(r.String()).Inc() }

func (m *metrics) published(c *catalog.Catalog) {
	for _, kind := range catalog.Kinds() {
		m.entities.WithLabelValues(kind.String()).Set(float64(c.Count(kind)))
	}
	m.position.Set(float64(c.Position()))
}

func (m *metrics) loaded(took time.Duration) { m.load.Set(took.Seconds()) }

func (m *metrics) connected(yes bool) {
	if yes {
		m.stale.Set(0)
		return
	}
	m.stale.Set(1)
}
