package ingest

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// ReportOptions are what the API of a process that makes reports is made of. All but the last two are required.
type ReportOptions struct {
	Catalog    Catalogs // its credentials
	Runs       ReportRuns
	Limits     Limits
	Log        *slog.Logger          // default: none
	Registerer prometheus.Registerer // default: a registry of its own
}

// NewReportServer returns the API of a process that makes reports and takes no usage: the routes of ReportRuns, and the description.
func NewReportServer(o ReportOptions) (http.Handler, error) {
	if o.Catalog == nil || o.Runs == nil {
		return nil, errors.New("ingest: a catalog and runs of reports are required")
	}
	if o.Limits.BodyBytesMax <= 0 || o.Limits.InflightBytesMax < o.Limits.BodyBytesMax {
		return nil, errors.New("ingest: the limits of bodies must be set, and the bytes in flight hold one body at least")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	s := &Server{
		catalog: o.Catalog, limits: o.Limits, log: o.Log, metrics: newMetrics(o.Registerer), now: time.Now,
		newID: func() string { return uuid.Must(uuid.NewV7()).String() }, at: func(string) {}, bodies: budget{max: o.Limits.InflightBytesMax},
		rates: newRates(o.Limits),
	}
	r := newReportRuns(s, o.Runs)
	d, err := newDescription(s)
	if err != nil {
		return nil, err
	}
	s.unknown, s.routes = &r.dialect, newRouter(append(r.routes(), d.routes()...))
	return s, nil
}
