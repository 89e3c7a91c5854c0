package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/chdb"
)

// Engines is the command `engines`: embedded Kafka and embedded ClickHouse on their ports, for people who run the
// processes separately.
func Engines(ctx context.Context, p *Process) error {
	if err := p.serveOps(); err != nil {
		return err
	}
	if _, err := p.engines(ctx); err != nil {
		return err
	}
	p.Ops.Stage("")
	return nil
}

// embedded are the running engines.
type embedded struct {
	kafka      string // host:port
	clickhouse *chdb.Engine
}

func (p *Process) engines(ctx context.Context) (*embedded, error) {
	s := p.Settings
	p.Ops.Stage("starting the embedded Kafka")
	b, err := broker.Open(ctx, broker.Options{
		Dir: filepath.Join(s.DataDir, "kafka"), Listen: s.Kafka.Listen, Log: p.Log.With("component", "broker"),
	})
	if err != nil {
		return nil, err
	}
	p.Close("embedded Kafka", b.Close)
	p.Addresses.Kafka = b.Addr()
	p.Log.Info("embedded Kafka", "brokers", b.Addr())

	engine, err := p.engine(ctx)
	if err != nil {
		return nil, err
	}
	return &embedded{kafka: b.Addr(), clickhouse: engine}, nil
}

// engine finds or fetches the library of the embedded ClickHouse, starts it and serves its HTTP interface.
func (p *Process) engine(ctx context.Context) (*chdb.Engine, error) {
	s := p.Settings
	p.Ops.Stage("finding the embedded ClickHouse")
	lib, err := chdb.Library(ctx, chdb.LibraryOptions{Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	p.Ops.Stage("starting the embedded ClickHouse")
	engine, err := chdb.Open(ctx, chdb.Options{
		Dir: filepath.Join(s.DataDir, "clickhouse"), Library: lib, Log: p.Log.With("component", "clickhouse"),
	})
	if err != nil {
		return nil, fmt.Errorf("embedded ClickHouse: %w", err)
	}
	p.OnStop("embedded ClickHouse", engine.Close)
	srv := &http.Server{
		Handler: engine.Handler(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(p.Log.Handler(), slog.LevelWarn),
	}
	addr, err := serve(p.Lifecycle, "ClickHouse HTTP interface", "clickhouse.listen", s.ClickHouse.Listen, srv)
	if err != nil {
		return nil, err
	}
	p.Addresses.ClickHouse = addr
	p.Log.Info("embedded ClickHouse", "url", "http://"+addr, "version", engine.Version())
	return engine, nil
}
