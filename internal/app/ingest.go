package app

import (
	"context"
	"log/slog"
	"net/http"

	"reckoner/ingest"
	"reckoner/internal/bus"
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
	if err := p.ingest(ctx, client, l, d); err != nil {
		return err
	}
	p.Ops.Stage("")
	return nil
}

// ingest starts the HTTP tier. It takes requests only after everything that it needs is there, and when it stops it
// finishes those in flight before anything that they need goes.
func (p *Process) ingest(ctx context.Context, client *bus.Client, l *clickhouse.Ledger, d *document) error {
	current, err := p.writableLog(ctx, client, l)
	if err != nil {
		return err
	}
	c, err := p.catalog(ctx, client, l, d)
	if err != nil {
		return err
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
		return err
	}
	p.Go("outcomes", outcomes.Run)

	limits := p.limits()
	server, err := ingest.New(ingest.Options{
		Catalog: c, CatalogWriter: c.writer, Publisher: producer, Outcomes: outcomes, Ledger: l, Limits: limits,
		MaxAge: s.MaxAge, MaxAhead: s.MaxAhead, OutcomeTimeout: s.OutcomeTimeout,
		ChangeTimeout: p.Settings.Catalog.ChangeTimeout, Log: log, Registerer: p.Ops.Registry,
		At: p.crash.At(componentIngest),
	})
	if err != nil {
		return err
	}
	addr, err := serveLimited(p.Lifecycle, "HTTP API", "listen", p.Settings.Listen, limits.ConnectionsMax, &http.Server{
		Handler: server, ReadHeaderTimeout: limits.ReadHeaderTimeout, IdleTimeout: limits.IdleTimeout,
		MaxHeaderBytes: limits.HeaderBytesMax, DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	})
	if err != nil {
		return err
	}
	p.Addresses.API = addr
	p.Log.Info("HTTP API", "url", "http://"+addr)
	return nil
}

// limits takes the settings over.
func (p *Process) limits() ingest.Limits {
	s := p.Settings.Ingest
	return ingest.Limits{
		BodyBytesMax: s.BodyBytesMax, InflightBytesMax: s.InflightBytesMax, UsagesMax: s.UsagesMax,
		MetadataKeysMax: s.MetadataKeysMax, MetadataBytesMax: int(s.MetadataBytesMax), WaitersMax: s.WaitersMax,
		BodyTimeout: s.ReadTimeout, ProduceTimeout: s.ProduceTimeout, QueryTimeout: p.Settings.ClickHouse.QueryTimeout,
		WriteTimeout: s.WriteTimeout, ReadHeaderTimeout: s.ReadHeaderTimeout, IdleTimeout: s.IdleTimeout,
		HeaderBytesMax: int(s.HeaderBytesMax), ConnectionsMax: s.ConnectionsMax,
	}
}
