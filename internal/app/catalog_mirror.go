package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/internal/catalog"
	"reckoner/ledger"
)

const (
	// mirrorRowsMax bounds one insert, and the memory that it takes.
	mirrorRowsMax = 50_000
	// mirrorRecheck is how often the copy is looked at although nothing changed: somebody may have emptied it.
	mirrorRecheck = time.Minute
)

// mirror copies the catalog beside the ledger. Every process that serves the catalog has one: rows are of versions, so
// several write the same. It *never* holds anything up: what it cannot write now it writes later.
type mirror struct {
	to      ledger.CatalogMirror
	from    interface{ Current() *catalog.Catalog }
	every   time.Duration
	timeout time.Duration // of one statement
	log     *slog.Logger
	metrics *mirrorMetrics

	stored  catalog.Version // what the copy held when it was looked at last
	looked  time.Time       // when that was
	failing bool            // the last attempt failed, and the log says so
	ahead   time.Time       // since when the copy is known to be of a newer catalog; zero: it is not
	told    bool            // the log says so
}

type mirrorMetrics struct {
	behind prometheus.Gauge
	rows   prometheus.Counter
	errors prometheus.Counter
}

func newMirrorMetrics(reg prometheus.Registerer) *mirrorMetrics {
	m := &mirrorMetrics{
		behind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "reckoner_catalog_copy_behind_changes",
			Help: "By how many changes the copy of the catalog in ClickHouse is behind the catalog, as far as is known.",
		}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_catalog_copy_rows_total", Help: "Rows written to the copy of the catalog in ClickHouse.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "reckoner_catalog_copy_errors_total", Help: "Failed attempts to bring the copy of the catalog in ClickHouse up to date.",
		}),
	}
	reg.MustRegister(m.behind, m.rows, m.errors)
	return m
}

// run brings the copy up to date again and again, until ctx ends.
func (m *mirror) run(ctx context.Context) error {
	tick := time.NewTicker(m.every)
	defer tick.Stop()
	for {
		err := m.step(ctx, time.Now())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if m.failing {
				m.log.Info("the copy of the catalog in ClickHouse goes on")
			}
		case !m.failing:
			m.log.Warn("the copy of the catalog in ClickHouse cannot be written; it is tried again", "error", err)
		}
		m.failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// step looks once whether the copy is behind, and brings it up to date.
func (m *mirror) step(ctx context.Context, now time.Time) error {
	c := m.from.Current()
	if c.LastChanged() == m.stored && now.Sub(m.looked) < mirrorRecheck {
		return nil
	}
	m.tellBehind(c)
	err := m.catchUp(ctx, c, now)
	if err != nil {
		m.metrics.errors.Inc()
	}
	return err
}

// tellBehind shows how far the copy is behind. Of a copy that is another catalog's nothing can be told.
func (m *mirror) tellBehind(c *catalog.Catalog) {
	m.metrics.behind.Set(float64(c.LastChanged() - min(m.stored, c.LastChanged())))
}

// catchUp writes what changed since the version that the copy holds, in the order of versions: wherever it is cut off,
// the greatest version that is there says what is.
func (m *mirror) catchUp(ctx context.Context, c *catalog.Catalog, now time.Time) error {
	stored, err := m.version(ctx)
	if err != nil {
		return err
	}
	m.stored, m.looked = stored, now
	m.tellAhead(stored, c.LastChanged(), now)
	m.tellBehind(c)
	var rows []ledger.CatalogRow
	for change := range c.Changed(stored) {
		rows = append(rows, mirrorRow(&change))
		if len(rows) == mirrorRowsMax {
			if err := m.write(ctx, c, rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return m.write(ctx, c, rows)
}

func mirrorRow(change *catalog.Changed) ledger.CatalogRow {
	row := ledger.CatalogRow{
		Kind: change.Ref.Kind.String(), ID: change.Ref.Key, Version: uint64(change.Version), ChangedAt: change.At, Deleted: change.Entity == nil,
	}
	if change.Entity != nil {
		row.Entity = string(catalog.JSON(change.Entity))
	}
	return row
}

func (m *mirror) version(ctx context.Context) (catalog.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	v, err := m.to.CatalogVersion(ctx)
	return catalog.Version(v), err
}

func (m *mirror) write(ctx context.Context, c *catalog.Catalog, rows []ledger.CatalogRow) error {
	if len(rows) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	if err := m.to.WriteCatalog(ctx, rows); err != nil {
		return fmt.Errorf("write versions %d to %d: %w", rows[0].Version, rows[len(rows)-1].Version, err)
	}
	m.stored = catalog.Version(rows[len(rows)-1].Version)
	m.metrics.rows.Add(float64(len(rows)))
	m.tellBehind(c)
	return nil
}

// tellAhead says when the copy stays ahead of the catalog. For a moment that is another process that read sooner; for
// longer, the copy is of another topic, and what it holds is stale.
func (m *mirror) tellAhead(stored, current catalog.Version, now time.Time) {
	switch {
	case stored <= current:
		m.ahead, m.told = time.Time{}, false
	case m.ahead.IsZero():
		m.ahead = now
	case !m.told && now.Sub(m.ahead) >= mirrorRecheck:
		m.told = true
		m.log.Error("the copy of the catalog in ClickHouse is of a newer catalog than the topic holds: was the topic made anew? "+
			"Empty the table `catalog` of the database, and it is filled again", "copy", uint64(stored), "catalog", uint64(current))
	}
}
