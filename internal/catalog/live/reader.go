package live

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
)

// Options say how the catalog is read.
type Options struct {
	// AutoAccounts is the organization (id or name) of accounts that the catalog does not list; empty: there are none.
	// While the catalog has no such organization there are none either.
	AutoAccounts string
	// Registerer takes the metrics; nil: nobody sees them.
	Registerer prometheus.Registerer
	// Log takes what an operator should know; nil: nothing.
	Log *slog.Logger
	// Progress is how often Open logs how far it is. 0 is 5 s.
	Progress time.Duration
}

const (
	defaultProgress = 5 * time.Second
	fetchBytes      = 4 << 20
	fetchWait       = time.Second // for the first record; it bounds nothing else
)

// Reader is the topic as far as it was read. Current may be called at any time by anybody; Run is for one goroutine.
type Reader struct {
	opts    Options
	log     *slog.Logger
	client  *bus.Client
	topic   *bus.Reader
	machine *catalog.Machine
	current atomic.Pointer[catalog.Catalog]
	waiters waiters
	reached reached
	metrics *metrics
	ended   atomic.Pointer[error] // why Run ended
	failing bool                  // the last fetch failed, and the log says so
	noAuto  bool                  // AutoAccounts names nobody, and the log says so

	last     [sha256.Size]byte // of the last record that was applied
	checked  time.Time         // when the topic was last held against it
	beheaded bool              // the topic has lost its beginning, and the log says so
}

// Open reads the topic up to the end that it has now. Brokers that are away, and a topic that is not made yet, are waited
// for until ctx ends. Any other error is final: what is in the topic cannot be trusted, or needs a newer program.
func Open(ctx context.Context, client *bus.Client, o Options) (*Reader, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress <= 0 {
		o.Progress = defaultProgress
	}
	r := &Reader{opts: o, log: o.Log, client: client, machine: catalog.NewMachine(), metrics: newMetrics(o.Registerer)}
	end, err := r.open(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	if err := r.load(ctx, end); err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return r, nil
}

// Current returns the catalog in force. Whoever handles a request calls it once, so that all of the request sees one.
func (r *Reader) Current() *catalog.Catalog { return r.current.Load() }

// Err returns why Run ended; nil: it did not.
func (r *Reader) Err() error {
	if err := r.ended.Load(); err != nil {
		return *err
	}
	return nil
}

// Run follows the topic until ctx ends, and then returns ctx's error. Brokers that go and come back are waited for. With
// any other error the process must end: the catalog would be an old one for ever.
func (r *Reader) Run(ctx context.Context) error {
	err := r.follow(ctx)
	r.ended.Store(&err)
	r.waiters.abandon(err)
	return err
}

func (r *Reader) follow(ctx context.Context) error {
	for {
		failing := r.failing
		records, err := r.fetch(ctx)
		if err != nil {
			return err
		}
		if failing && !r.failing || time.Since(r.checked) > checkEvery {
			if err := r.same(ctx); err != nil { // before what was fetched is applied
				return err
			}
		}
		if len(records) == 0 {
			continue
		}
		decisions, err := r.apply(records)
		if len(decisions) > 0 {
			r.last = fingerprint(&records[len(decisions)-1])
			r.publish()
			r.waiters.tell(decisions) // after what they decided is in force
		}
		if err != nil {
			return err
		}
	}
}

// fetch returns the next records, or none if none came in time.
func (r *Reader) fetch(ctx context.Context) ([]bus.Record, error) {
	records, _, err := r.topic.Fetch(ctx, bus.Limits{MaxBytes: fetchBytes, MaxWait: fetchWait})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !bus.Retryable(err):
		return nil, fmt.Errorf("%w; the catalog's topic must keep all that was ever written to it", err)
	case err != nil && !r.failing:
		r.failing = true
		r.log.Warn("the catalog is not followed while Kafka does not answer; the one in force stays", "error", err)
	case err == nil && r.failing:
		r.failing = false
		r.log.Info("the catalog is followed again")
	}
	r.metrics.connected(!r.failing)
	return records, nil
}

// apply decides records, and returns the decisions of those before the first that it cannot decide.
func (r *Reader) apply(records []bus.Record) ([]catalog.Decision, error) {
	decisions := make([]catalog.Decision, 0, len(records))
	for i, decoded := range decode(records) {
		d, err := r.machine.Decide(decoded)
		if err != nil {
			return decisions, err
		}
		r.metrics.decided(d.Result)
		if d.Result == catalog.Undecodable || d.Result == catalog.Unfit {
			r.log.Error("a record of the catalog's topic is not a change; it is ignored", "offset", records[i].Offset,
				"key", string(records[i].Key), "result", d.Result.String(), "error", d.Err())
		}
		decisions = append(decisions, d)
	}
	return decisions, nil
}

// decode decodes records on all processors: it is most of the work of a start.
func decode(records []bus.Record) []catalog.Decoded {
	const share = 256 // records that are worth a goroutine
	all := make([]catalog.Decoded, len(records))
	var group sync.WaitGroup
	for from := 0; from < len(records); from += share {
		part := func() {
			for i := from; i < min(from+share, len(records)); i++ {
				all[i] = catalog.Decode(catalog.Record{
					Offset: records[i].Offset, Key: records[i].Key, Value: records[i].Value, Time: records[i].Time,
				})
			}
		}
		if len(records) <= share {
			part()
			break
		}
		group.Go(part)
	}
	group.Wait()
	return all
}

// publish puts the catalog as it is now in force.
func (r *Reader) publish() {
	c := r.machine.Snapshot()
	with, err := c.WithAutoAccounts(r.opts.AutoAccounts)
	if (err != nil) != r.noAuto {
		r.noAuto = err != nil
		if r.noAuto {
			r.log.Warn("accounts that the catalog does not list are refused for now", "error", err)
		}
	}
	if err == nil {
		c = with
	}
	r.current.Store(c)
	r.reached.set(r.machine.Next())
	r.metrics.published(c)
}

// open opens the topic at its beginning, and returns the end that it has now.
func (r *Reader) open(ctx context.Context, client *bus.Client) (end int64, err error) {
	for {
		end, err = r.tryOpen(ctx, client)
		if err == nil || ctx.Err() != nil || !bus.Retryable(err) {
			return end, err
		}
		if !r.failing {
			r.failing = true
			r.log.Warn("waiting for the catalog's topic", "error", err)
		}
		if err := sleep(ctx, reopenPause); err != nil {
			return 0, err
		}
	}
}

// reopenPause is how long to wait before the topic is opened again.
const reopenPause = 500 * time.Millisecond

func (r *Reader) tryOpen(ctx context.Context, client *bus.Client) (end int64, err error) {
	n, err := client.Partitions(ctx, bus.TopicCatalog)
	if err != nil {
		return 0, err
	}
	if n != 1 {
		return 0, fmt.Errorf("topic %s has %d partitions, and its order is that of one: delete it if nothing is in it, and let `reckoner migrate` make it", bus.TopicCatalog, n)
	}
	r.topic, err = client.OpenReader(ctx, bus.TopicCatalog, 0, 0)
	if away, ok := errors.AsType[*bus.OutOfRangeError](err); ok {
		return 0, fmt.Errorf("topic %s begins at offset %d: what was written before is gone, and with it what the rest means; keep it for ever (retention.ms=-1, cleanup.policy=delete), and write the catalog anew into a new topic",
			bus.TopicCatalog, away.First)
	}
	if err != nil {
		return 0, err
	}
	_, end, err = client.Offsets(ctx, bus.TopicCatalog, 0)
	return end, err
}

// load reads up to end and puts the catalog in force.
func (r *Reader) load(ctx context.Context, end int64) error {
	started := time.Now()
	told := started
	for r.machine.Next() < end {
		records, err := r.fetch(ctx)
		if err != nil {
			return err
		}
		if _, err := r.apply(records); err != nil {
			return err
		}
		if len(records) > 0 {
			r.last = fingerprint(&records[len(records)-1])
		}
		if time.Since(told) >= r.opts.Progress {
			told = time.Now()
			r.log.Info("reading the catalog", "records", r.machine.Next(), "of", end, "seconds", time.Since(started).Seconds())
		}
	}
	r.publish()
	r.checked = time.Now()
	took := time.Since(started)
	r.metrics.loaded(took)
	c := r.Current()
	r.log.Info("the catalog is read", "records", end, "seconds", took.Seconds(), "accounts", c.Count(catalog.AccountKind),
		"organizations", c.Count(catalog.OrganizationKind), "meters", c.Count(catalog.MeterKind), "subscriptions", c.Count(catalog.SubscriptionKind))
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
