package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"reckoner/ingest"
	"reckoner/internal/bus"
	"reckoner/internal/tlsfile"
	"reckoner/ledger/clickhouse"
)

// Ingest is the command `ingest`: HTTP into the log.
func Ingest(ctx context.Context, p *Process) error {
	if err := p.serveOps(); err != nil {
		return err
	}
	d, err := p.catalogFile()
	if err != nil {
		return err
	}
	client, err := p.kafka()
	if err != nil {
		return err
	}
	l, err := p.ledger(clickhouse.Options{})
	if err != nil {
		return err
	}
	if _, err := p.ingest(ctx, client, l, d, beside{}); err != nil {
		return err
	}
	p.Ops.Stage("")
	return nil
}

// beside is what a process has on the port of the HTTP tier, beside it.
type beside struct {
	runs    ingest.ReportRuns                    // nil: this process makes no reports
	handler func(tier http.Handler) http.Handler // nil: the tier alone
}

// tier is a running HTTP tier.
type tier struct {
	catalog *liveCatalog
	addr    string // host:port
}

// ingest starts the HTTP tier. It takes requests only after everything that it needs is there, and when it stops it
// finishes those in flight before anything that they need goes.
func (p *Process) ingest(ctx context.Context, client *bus.Client, l *clickhouse.Ledger, d *document, more beside) (*tier, error) {
	current, err := p.writableLog(ctx, client, l)
	if err != nil {
		return nil, err
	}
	c, err := p.catalog(ctx, client, l, d)
	if err != nil {
		return nil, err
	}
	s := p.Settings.Ingest
	log := p.Log.With("component", "ingest")
	producer := client.NewProducer(bus.ProducerOptions{
		InFlightBytes: s.InflightBytesMax, DeliveryTimeout: s.ProduceTimeout,
		Partitions: map[string]int{current.Topic: int(current.Partitions)},
	})
	p.OnStop("ingest's producer", producer.Close)

	var outcomes *ingest.Outcomes
	err = p.await(ctx, "the end of "+bus.TopicOutcomes, func(ctx context.Context) (err error) {
		outcomes, err = ingest.OpenOutcomes(ctx, client, log)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.Go("outcomes", outcomes.Run)

	limits := p.limits()
	server, err := ingest.New(ingest.Options{
		Catalog: c, CatalogWriter: c.writer, Reports: more.runs, Publisher: producer, Outcomes: outcomes, Ledger: l, Limits: limits,
		MaxAge: s.MaxAge, MaxAhead: s.MaxAhead, OutcomeTimeout: s.OutcomeTimeout,
		ChangeTimeout: p.Settings.Catalog.ChangeTimeout, Log: log, Registerer: p.Ops.Registry,
		At: p.crash.At(componentIngest),
	})
	if err != nil {
		return nil, err
	}
	var handler http.Handler = server
	if more.handler != nil {
		handler = more.handler(server)
	}
	addr, err := p.serveAPI(handler, log)
	return &tier{catalog: c, addr: addr}, err
}

// serveAPI opens the port of the API.
func (p *Process) serveAPI(h http.Handler, log *slog.Logger) (addr string, err error) {
	limits := p.limits()
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: limits.ReadHeaderTimeout, IdleTimeout: limits.IdleTimeout,
		MaxHeaderBytes: limits.HeaderBytesMax, DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	scheme := "http://"
	if t := p.Settings.TLS; t.CertFile != "" {
		scheme = "https://"
		srv.TLSConfig, err = tlsfile.Server{Cert: t.CertFile, Key: t.KeyFile, ClientCA: t.ClientCAFile, Log: log}.Config()
		if err != nil {
			return "", fmt.Errorf("TLS of the HTTP API: %w", err)
		}
	}
	addr, err = serveLimited(p.Lifecycle, "HTTP API", "listen", p.Settings.Listen, limits.ConnectionsMax, srv)
	if err == nil {
		p.Addresses.API = addr
		p.Log.Info("HTTP API", "url", scheme+addr)
	}
	return addr, err
}

// limits takes the settings over.
func (p *Process) limits() ingest.Limits {
	s := p.Settings.Ingest
	return ingest.Limits{
		BodyBytesMax: s.BodyBytesMax, InflightBytesMax: s.InflightBytesMax, UsagesMax: s.UsagesMax,
		MetadataKeysMax: s.MetadataKeysMax, MetadataBytesMax: int(s.MetadataBytesMax), WaitersMax: s.WaitersMax,
		RateMax: s.RateMax, RateBurst: s.RateBurst,
		BodyTimeout: s.ReadTimeout, ProduceTimeout: s.ProduceTimeout, QueryTimeout: p.Settings.ClickHouse.QueryTimeout,
		WriteTimeout: s.WriteTimeout, ReadHeaderTimeout: s.ReadHeaderTimeout, IdleTimeout: s.IdleTimeout,
		HeaderBytesMax: int(s.HeaderBytesMax), ConnectionsMax: s.ConnectionsMax,
	}
}
