package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/config"
	"reckoner/internal/crash"
	"reckoner/internal/tlsfile"
	"reckoner/ledger/clickhouse"
)

// Process is what every command that runs has: settings, logs, the operators' port, and the order of its end.
type Process struct {
	*Lifecycle
	Settings *config.Settings
	Log      *slog.Logger
	Ops      *Ops
	// Addresses are filled while it starts.
	Addresses Addresses

	crash *crash.Point // where a test wants this process to die; nil: nowhere
}

// Addresses are where a process listens, as host:port, when it does.
type Addresses struct{ API, Ops, Kafka, ClickHouse string }

// Run starts a process, waits until ctx ends or something that must run has failed, and stops it. The steps of start
// register their own ends, so that a start that fails half-way is undone too.
func Run(ctx context.Context, s *config.Settings, log *slog.Logger, start func(ctx context.Context, p *Process) error) error {
	p := NewProcess(s, log)
	err := p.fear()
	if err == nil {
		err = start(ctx, p)
	}
	if err == nil {
		err = p.Wait(ctx)
	}
	if ctx.Err() != nil {
		err = nil // told to stop, while starting or later
		log.Info("stopping")
	} else if err != nil {
		log.Error("stopping after a failure", "error", err)
	}
	p.Ops.Stage("stopping")
	return errors.Join(err, p.Stop(s.Shutdown.Timeout))
}

// RunOnce runs something to its end, and undoes what it started.
func RunOnce(ctx context.Context, s *config.Settings, log *slog.Logger, do func(ctx context.Context, p *Process) error) error {
	p := NewProcess(s, log)
	return p.End(do(ctx, p))
}

// NewProcess returns a process in which nothing runs.
func NewProcess(s *config.Settings, log *slog.Logger) *Process {
	return &Process{Lifecycle: NewLifecycle(log), Settings: s, Log: log, Ops: NewOps()}
}

// End undoes what was started, and joins its errors to err.
func (p *Process) End(err error) error { return errors.Join(err, p.Stop(p.Settings.Shutdown.Timeout)) }

// serveOps opens the operators' port, first of all.
func (p *Process) serveOps() error {
	addr, err := p.Ops.Serve(p.Lifecycle, p.Settings.OpsListen, p.Log)
	if err != nil {
		return err
	}
	p.Addresses.Ops = addr
	p.Log.Info("operators' port", "url", "http://"+addr)
	return nil
}

// kafka connects to Kafka.
func (p *Process) kafka() (*bus.Client, error) {
	k := p.Settings.Kafka
	log := p.Log.With("component", "kafka")
	dialer, err := kafkaDialer(&k, log)
	if err != nil {
		return nil, err
	}
	client, err := bus.Open(bus.Options{
		Brokers: k.Brokers, ClientID: k.ClientID, IOTimeout: k.RequestTimeout, Log: log, Dialer: dialer,
	})
	if err != nil {
		return nil, err
	}
	p.OnStop("kafka client", func(context.Context) error { client.Close(); return nil })
	p.Ops.Ready("kafka", client.Ping)
	return client, nil
}

// ledger connects to ClickHouse.
func (p *Process) ledger(o clickhouse.Options) (*clickhouse.Ledger, error) {
	c := p.Settings.ClickHouse
	o.URL, o.Cluster, o.DialTimeout, o.MaxOpenConns = c.URL, c.Cluster, c.DialTimeout, c.MaxOpenConnections
	o.Log, o.Metrics = p.Log.With("component", "ledger"), p.Ops.Registry
	if c.CAFile != "" || c.CertFile != "" {
		config, err := tlsfile.Client{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile, Log: o.Log}.Config()
		if err != nil {
			return nil, fmt.Errorf("clickhouse TLS: %w", err)
		}
		o.TLS = config
	}
	l, err := clickhouse.Open(o)
	if err != nil {
		return nil, err
	}
	p.Close("ledger client", l.Close)
	return l, nil
}

// await waits for something at start, telling what it waits for and how long it will, until it is there, ctx ends, or a
// failure is one that waiting does not mend.
func (p *Process) await(ctx context.Context, what string, try func(context.Context) error) error {
	p.Ops.Stage("waiting for " + what)
	defer p.Ops.Stage("starting")
	failed := func(err error) {
		patience := "as long as it takes"
		if deadline, ok := ctx.Deadline(); ok {
			patience = "for " + time.Until(deadline).Round(time.Second).String() + " more"
		}
		p.Log.Warn("waiting for "+what+", "+patience, "error", err)
	}
	if err := retryUntil(ctx, try, lasting, failed); err != nil {
		return fmt.Errorf("wait for %s: %w", what, err)
	}
	return nil
}
