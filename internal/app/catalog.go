package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/catalog/live"
	"reckoner/ledger"
)

// Who made a change, in the topic, where it was no credential.
const (
	byStart = "catalog.file"
	byApply = "catalog apply"
)

// liveCatalog is the catalog of a process that serves: what it follows, and how it is changed.
type liveCatalog struct {
	*live.Reader
	writer *live.Writer
}

// document is a catalog document that is to be applied at the start.
type document struct {
	name string
	data []byte
	// onlyEmpty: it is a beginning, and not applied to a catalog in which anything was ever written.
	onlyEmpty bool
}

// catalogFile reads the file that is applied at the start; nil without one. It is read before anything is started, so
// that a misspelt name is told at once.
func (p *Process) catalogFile() (*document, error) {
	path := p.Settings.Catalog.File
	if path == "" {
		return nil, nil
	}
	data, err := readCatalogFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the catalog file (catalog.file): %w", err)
	}
	return &document{name: filepath.Base(path), data: data}, nil
}

// catalog reads the topic to its end, follows it, applies the document, if there is one, and copies the catalog beside the
// ledger from then on. The process is ready only after it returned.
func (p *Process) catalog(ctx context.Context, client *bus.Client, to ledger.CatalogMirror, d *document) (*liveCatalog, error) {
	log := p.Log.With("component", "catalog")
	reader, err := p.followCatalog(ctx, client)
	if err != nil {
		return nil, err
	}
	c := &liveCatalog{Reader: reader, writer: p.catalogWriter(client, reader)}
	if err := p.begin(ctx, c, d); err != nil {
		return nil, err
	}
	if every := p.Settings.Catalog.MirrorInterval; every > 0 {
		m := &mirror{
			to: to, from: reader, every: every, timeout: p.Settings.ClickHouse.InsertTimeout, log: log,
			metrics: newMirrorMetrics(p.Ops.Registry),
		}
		p.Go("copy of the catalog", m.run)
	}
	if n := reader.Current().Counts().Credentials; n == 0 {
		log.Warn("the catalog has no credential: every request is answered 401; add some with `reckoner catalog apply FILE`")
	}
	return c, nil
}

// followCatalog reads the topic to its end and follows it.
func (p *Process) followCatalog(ctx context.Context, client *bus.Client) (*live.Reader, error) {
	p.Ops.Stage("reading the catalog")
	defer p.Ops.Stage("starting")
	reader, err := live.Open(ctx, client, live.Options{
		AutoAccounts: p.Settings.Catalog.AutoAccounts, Registerer: p.Ops.Registry, Log: p.Log.With("component", "catalog"),
	})
	if err != nil {
		return nil, err
	}
	p.Ops.Ready("catalog", func(context.Context) error { return reader.Err() })
	p.Go("catalog", reader.Run)
	return reader, nil
}

// catalogWriter returns a writer with a producer of its own: a crowd of events must not hold a change back.
func (p *Process) catalogWriter(client *bus.Client, r *live.Reader) *live.Writer {
	timeout := p.Settings.Catalog.ChangeTimeout
	producer := client.NewProducer(bus.ProducerOptions{DeliveryTimeout: timeout})
	p.OnStop("catalog's producer", producer.Close)
	return live.NewWriter(r, producer, live.WriterOptions{Timeout: timeout})
}

// begin applies the document that the process was started with. What others change at the same time wins or loses entity
// by entity, and is diffed again.
func (p *Process) begin(ctx context.Context, c *liveCatalog, d *document) error {
	if d == nil || d.onlyEmpty && c.Current().LastChanged() > 0 {
		return nil
	}
	var final error // waiting does not mend it
	err := p.await(ctx, "Kafka to take the catalog", func(ctx context.Context) error {
		started := time.Now()
		report, err := c.apply(ctx, d)
		_, unknown := errors.AsType[*live.UnknownError](err)
		switch {
		case unknown, bus.Retryable(err):
			return err
		case err != nil:
			final = fmt.Errorf("the catalog file cannot be applied:\n%w", err)
		default:
			p.Log.Info("catalog applied", "file", d.name, "changes", report.Applied, "took", time.Since(started))
		}
		return nil
	})
	return errors.Join(err, final)
}

func (c *liveCatalog) apply(ctx context.Context, d *document) (live.Report, error) {
	parsed, err := catalog.ParseOver(d.name, d.data, c.Current())
	if err != nil {
		return live.Report{}, err
	}
	return c.writer.ApplyDocument(ctx, parsed, live.ApplyOptions{By: byStart})
}

// readCatalogFile reads a file that is no larger than any catalog; what is too large for its form is for the parser to
// say.
func readCatalogFile(path string) (data []byte, err error) {
	const bytesMax = 1 << 30
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, bytesMax))
}
