package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"reckoner/configs"
	"reckoner/internal/app"
	"reckoner/internal/bench/workload"
	"reckoner/internal/bus"
	kafkafloor "reckoner/internal/bus/floor"
	"reckoner/internal/config"
	chfloor "reckoner/ledger/clickhouse/floor"
)

// site is where one row is measured: a directory, the engines, and what runs on them. Everything ends with it.
type site struct {
	*bench
	row    string
	ctx    context.Context // ends with the row's, or when something that must run has failed
	cancel context.CancelCauseFunc
	tune   func(*config.Settings) // of every process here; nil: nothing
	dir    string
	kafka  *kafkafloor.Cluster
	db     *chfloor.DB

	brokers    []string
	clickhouse string // without a database
	processes  []*app.Process
	databases  []string
	owned      bool // engines that were named hold nothing but what the row puts there
	ends       []func() error
}

// newSite returns a site without engines.
func (b *bench) newSite(ctx context.Context) (*site, error) {
	s := &site{bench: b}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	if b.Dir != "" {
		if err := os.MkdirAll(b.Dir, 0o750); err != nil {
			return s, err
		}
	}
	dir, err := os.MkdirTemp(b.Dir, "reckoner-bench-")
	if err != nil {
		return s, fmt.Errorf("directory of the row: %w", err)
	}
	s.dir = dir
	s.ends = append(s.ends, func() error { return os.RemoveAll(dir) })
	return s, nil
}

// close ends everything, last started first, and removes what was stored.
func (s *site) close() error {
	errs := []error{s.stopAll()}
	if s.owned {
		errs = append(errs, s.clean())
	}
	s.cancel(nil)
	for _, end := range slices.Backward(s.ends) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

func (s *site) stopAll() error {
	var errs []error
	for len(s.processes) > 0 {
		errs = append(errs, s.stop(s.processes[len(s.processes)-1]))
	}
	return errors.Join(errs...)
}

// settings returns those of a process on a database. A change comes last.
func (s *site) settings(database string, change func(*config.Settings)) *config.Settings {
	c := *s.Settings
	const free = "127.0.0.1:0"
	c.Listen, c.OpsListen, c.Kafka.Listen, c.ClickHouse.Listen = free, free, free, free
	c.DataDir = filepath.Join(s.dir, "data")
	c.Catalog.AutoAccounts = workload.Organization
	if s.brokers != nil {
		c.Kafka.Brokers = s.brokers
	}
	if s.clickhouse != "" {
		c.ClickHouse.URL = s.clickhouse
	}
	if database != "" {
		c.ClickHouse.URL = within(c.ClickHouse.URL, database)
	}
	if s.Trace != "" {
		c.Ingest.MaxAge = 0 // traces are old
	}
	if s.tune != nil {
		s.tune(&c)
	}
	if change != nil {
		change(&c)
	}
	return &c
}

// within returns a ClickHouse URL with another database.
func within(clickhouse, database string) string {
	u, err := url.Parse(clickhouse)
	if err != nil {
		return clickhouse // whoever connects says what is wrong with it
	}
	u.Path = "/" + database
	return u.String()
}

// start starts a process; the row ends when it fails. stop ends it before the site does.
func (s *site) start(settings *config.Settings, do func(context.Context, *app.Process) error) (*app.Process, error) {
	p := app.NewProcess(settings, s.Log)
	if err := do(s.ctx, p); err != nil {
		return nil, p.End(err)
	}
	s.processes = append(s.processes, p)
	go func() {
		if err := p.Wait(s.ctx); err != nil {
			s.cancel(err)
		}
	}()
	return p, nil
}

func (s *site) stop(p *app.Process) error {
	s.processes = slices.DeleteFunc(s.processes, func(other *app.Process) bool { return other == p })
	return p.Stop(p.Settings.Shutdown.Timeout)
}

// engines starts the two engines, or connects to those that were named.
func (s *site) engines() error {
	if s.External {
		s.brokers, s.clickhouse = s.Settings.Kafka.Brokers, s.Settings.ClickHouse.URL
		if err := s.connect(); err != nil {
			return err
		}
		return s.untouched()
	}
	p, err := s.start(s.settings("", nil), app.Engines)
	if err != nil {
		return err
	}
	s.brokers, s.clickhouse = []string{p.Addresses.Kafka}, "http://"+p.Addresses.ClickHouse
	return s.connect()
}

// devDatabase is where dev keeps its ledger.
const devDatabase = "reckoner_bench_dev"

// dev starts everything in one process. On engines that were named it is ingest and an aggregator, in this process.
func (s *site) dev() (api string, err error) {
	const database = devDatabase
	if s.External {
		if err := s.engines(); err != nil {
			return "", err
		}
		if err := s.migrate(database, nil); err != nil {
			return "", err
		}
		if _, err := s.start(s.settings(database, nil), app.Aggregate); err != nil {
			return "", err
		}
		p, err := s.ingest(database, nil)
		if err != nil {
			return "", err
		}
		return p.Addresses.API, nil
	}
	s.databases = append(s.databases, database)
	p, err := s.start(s.settings(database, nil), app.Dev)
	if err != nil {
		return "", err
	}
	s.brokers, s.clickhouse = []string{p.Addresses.Kafka}, "http://"+p.Addresses.ClickHouse
	return p.Addresses.API, s.connect()
}

// connect reaches the engines without anything of ours.
func (s *site) connect() (err error) {
	s.kafka = kafkafloor.Open(s.brokers[0])
	s.ends = append(s.ends, func() error { s.kafka.Close(); return nil })
	if s.db, err = chfloor.Open(within(s.clickhouse, "default")); err != nil {
		return err
	}
	s.ends = append(s.ends, s.db.Close)
	return nil
}

// migrate makes a database with the ledger's tables, and the topics where they are missing.
func (s *site) migrate(database string, change func(*config.Settings)) error {
	again := slices.Contains(s.databases, database)
	s.databases = append(s.databases, database)
	if s.owned && !again { // it may be there of a run that was killed
		if err := s.db.Exec(s.ctx, "DROP DATABASE IF EXISTS "+database+" SYNC"); err != nil {
			return err
		}
	}
	p := app.NewProcess(s.settings(database, change), s.Log)
	return p.End(app.Migrate(s.ctx, p))
}

// ingest starts the HTTP tier on a database.
func (s *site) ingest(database string, change func(*config.Settings)) (*app.Process, error) {
	file := filepath.Join(s.dir, "catalog.yaml")
	if err := os.WriteFile(file, configs.Catalog, 0o600); err != nil {
		return nil, err
	}
	return s.start(s.settings(database, func(c *config.Settings) {
		c.Catalog.File = file
		if change != nil {
			change(c)
		}
	}), app.Ingest)
}

// drop removes a database and what it holds.
func (s *site) drop(database string) error {
	s.databases = slices.DeleteFunc(s.databases, func(other string) bool { return other == database })
	return s.db.Exec(s.ctx, "DROP DATABASE IF EXISTS "+database+" SYNC")
}

// topics are all that the product and the floors write.
func topics() []string {
	return []string{bus.TopicEvents, bus.TopicOutcomes, bus.TopicDeadLetter, bus.TopicCatalog, floorTopic}
}

// floorTopic is what the floors write to.
const floorTopic = "bench.floor"

// errUsed says why a cluster is left alone.
var errUsed = errors.New("the cluster is in use: the benchmark makes and deletes topics of the product's names, so give it a cluster of its own (--brokers)")

// untouched makes sure that nothing of anybody's is deleted after the row.
func (s *site) untouched() error {
	client, err := bus.Open(bus.Options{Brokers: s.brokers})
	if err != nil {
		return err
	}
	defer client.Close()
	there, err := client.Topics(s.ctx)
	if err != nil {
		return err
	}
	for _, topic := range topics() {
		if slices.Contains(there, topic) {
			return fmt.Errorf("%w (it has the topic %s)", errUsed, topic)
		}
	}
	s.owned = true
	return nil
}

// clean removes what a row left in engines that are not its own.
func (s *site) clean() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), time.Minute)
	defer cancel()
	errs := []error{s.kafka.DeleteTopics(ctx, topics()...)}
	for _, database := range s.databases {
		errs = append(errs, s.db.Exec(ctx, "DROP DATABASE IF EXISTS "+database+" SYNC"))
	}
	return errors.Join(errs...)
}
