package live_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/catalog/live"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
)

// patience is how long a test waits for what must come. It is never waited out by a test that passes.
const patience = 30 * time.Second

const (
	org1 = "6f0d0000-0000-4000-8000-000000000001"
	acc1 = "9c1e0000-0000-4000-8000-000000000001"
	acc9 = "9c1e0000-0000-4000-8000-000000000009"
)

// within returns a context that ends when patience or the test does.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition until it holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func noLeaks(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
}

// start returns a broker without topics, and a client of it.
func start(t *testing.T) (*broker.Broker, *bus.Client) {
	t.Helper()
	noLeaks(t)
	b := brokertest.Start(t)
	return b, client(t, b)
}

func client(t *testing.T, b *broker.Broker) *bus.Client {
	t.Helper()
	c, err := bus.Open(bus.Options{Brokers: b.Addrs(), IOTimeout: 2 * time.Second, MetadataTTL: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func makeTopic(t *testing.T, c *bus.Client) {
	t.Helper()
	for _, spec := range bus.Topics(1, 0) {
		if spec.Name == bus.TopicCatalog {
			if err := c.EnsureTopics(within(t), []bus.TopicSpec{spec}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// process is what a process has of the catalog.
type process struct {
	*live.Reader
	t        *testing.T
	writer   *live.Writer
	producer *bus.Producer
	reg      *prometheus.Registry
	log      *lines
	stop     func() error // ends Run and returns its error
}

// begin opens the catalog and follows it.
func begin(t *testing.T, c *bus.Client, o live.Options, w live.WriterOptions) *process {
	t.Helper()
	p := &process{t: t, reg: prometheus.NewRegistry(), log: new(lines)}
	o.Registerer, o.Log = p.reg, slog.New(slog.NewTextHandler(p.log, nil))
	var err error
	if p.Reader, err = live.Open(within(t), c, o); err != nil {
		t.Fatal(err)
	}
	p.producer = c.NewProducer(bus.ProducerOptions{DeliveryTimeout: 2 * time.Second})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	p.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := p.stop(); !errors.Is(err, context.Canceled) && p.Err() == nil {
			t.Errorf("follow the catalog: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.producer.Close(ctx); err != nil {
			t.Errorf("close the producer: %v", err)
		}
	})
	p.writer = live.NewWriter(p.Reader, p.producer, w)
	return p
}

// do makes a change that must be decided.
func (p *process) do(ch catalog.Change) catalog.Decision {
	p.t.Helper()
	d, err := p.writer.Do(within(p.t), ch)
	if err != nil {
		p.t.Error(err) // also in goroutines of the test
	}
	return d
}

// put makes e the entity, whichever there is.
func (p *process) put(e catalog.Entity) catalog.Decision {
	p.t.Helper()
	_, v, _ := p.Current().Entity(e.Kind(), e.Key())
	d := p.do(catalog.Put(e, v, "test"))
	if err := d.Err(); err != nil {
		p.t.Error(err)
	}
	return d
}

// has waits until the process has read as far as another one.
func (p *process) has(v catalog.Version) func() bool {
	return func() bool { return p.Current().Position() >= v }
}

// metric returns the value of a metric, with its labels in braces.
func (p *process) metric(name string, labels ...string) float64 {
	p.t.Helper()
	families, err := p.reg.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if f.GetName() == name && strings.Join(has, ",") == strings.Join(labels, ",") {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	p.t.Fatalf("no metric %s%v", name, labels)
	return 0
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func organization(name string) *catalog.Organization {
	return &catalog.Organization{ID: org1, Name: name}
}

func parse(t *testing.T, text string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse("catalog.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// export writes a catalog as a document.
func export(t *testing.T, c *catalog.Catalog) string {
	t.Helper()
	var b bytes.Buffer
	if err := catalog.ExportJSON(&b, c, catalog.ExportOptions{Secrets: true}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
