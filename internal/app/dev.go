package app

import (
	"context"

	"reckoner/configs"
	"reckoner/ledger/clickhouse"
)

// Dev is the command `dev`: everything in one process, with the embedded engines, on disk.
func Dev(ctx context.Context, p *Process) error {
	if err := p.serveOps(); err != nil {
		return err
	}
	d, err := p.devCatalog()
	if err != nil {
		return err
	}
	e, err := p.engines(ctx)
	if err != nil {
		return err
	}
	p.Ops.Stage("starting")
	p.Settings.Kafka.Brokers = []string{e.kafka}
	client, err := p.kafka()
	if err != nil {
		return err
	}
	// The engine is reached without a socket: whatever is asked over the port cannot keep the ledger from it.
	l, err := p.ledger(clickhouse.Options{Transport: e.clickhouse.Transport()})
	if err != nil {
		return err
	}
	if err := p.migrate(ctx, client, l); err != nil {
		return err
	}
	if err := p.aggregate(ctx, client, l); err != nil {
		return err
	}
	if err := p.ingestAndReport(ctx, client, l, d); err != nil {
		return err
	}
	p.Ops.Stage("")
	p.Log.Info("ready")
	return nil
}

// demoOrganization owns the accounts that the demo catalog does not list.
const demoOrganization = "demo"

// devCatalog is the file that was named. Without one the topic begins with the demo catalog that the binary carries.
func (p *Process) devCatalog() (*document, error) {
	s := &p.Settings.Catalog
	if s.File != "" {
		return p.catalogFile()
	}
	if s.AutoAccounts == "" {
		s.AutoAccounts = demoOrganization
	}
	return &document{name: "the demo catalog", data: configs.Catalog, onlyEmpty: true}, nil
}
