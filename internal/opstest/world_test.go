//go:build ops

package opstest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner/internal/bus"
	"reckoner/internal/embedded/broker"
	"reckoner/internal/processtest"
	"reckoner/ledger/report/partner/vercel/receiver"
)

const partitions = 2

// world is an installation whose every part a test can break: Kafka is in the test, ClickHouse a process of its own, and
// the three processes of production are there.
type world struct {
	dir        string
	kafka      string // addresses
	clickhouse string
	env        []string
	broker     *broker.Broker

	engines, aggregate, ingest, report *process
	api                                string // address
	partnerFails                       atomic.Bool
	accounts                           []string
}

// process is one of the installation.
type process struct {
	*processtest.Process
	ops string // address
}

const catalogText = `organizations: [{id: d3300000-0000-4000-8000-000000000001, name: demo}]
accounts: [{id: d3300000-0000-4000-8000-000000000003, organization: d3300000-0000-4000-8000-000000000001}]
installations: [{id: icfg_1, target: vercel, account: d3300000-0000-4000-8000-000000000003, day_ends_at: "00:00"}]
credentials: [{id: demo, secret_sha256: cd577fe2561ebff23505db0bb006300c7cdecbd46bc0e03c449afafaca2c25bf, scopes: [usage.write, usage.read], organizations: ["*"]}]
`

// newWorld starts everything.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), kafka: freeAddress(t), clickhouse: freeAddress(t), api: freeAddress(t)}
	partner := receiver.New(receiver.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.partnerFails.Load() {
			http.Error(rw, "out of order", http.StatusInternalServerError)
			return
		}
		partner.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.env = []string{
		setting("kafka.partitions", partitions), setting("kafka.session_timeout", "2s"), setting("kafka.rebalance_timeout", "4s"),
		setting("kafka.request_timeout", "2s"), setting("kafka.dial_timeout", "1s"), setting("ingest.produce_timeout", "1s"),
		setting("aggregator.retry_backoff_max", "500ms"), setting("aggregator.flush_interval", "200ms"), setting("aggregator.restore_delay", "500ms"),
		setting("clickhouse.insert_timeout", "3s"), setting("clickhouse.query_timeout", "2s"), setting("audit.interval", "500ms"),
		setting("report.every", "2s"), setting("report.jitter", "0"), setting("report.request_timeout", "500ms"), setting("report.delivery_timeout", "1s"), setting("report.retry_backoff_min", "100ms"),
		setting("report.retry_backoff_max", "200ms"), setting("report.default_base_url", server.URL), setting("catalog.auto_accounts", "demo"),
	}
	for range 8 {
		w.accounts = append(w.accounts, uuid.NewString())
	}
	w.openKafka(t)
	t.Cleanup(func() { _ = w.broker.Close() }) // it may be away
	ops := freeAddress(t)
	w.engines = &process{shared.New(t, "engines", w.env, "engines", "--data-dir", filepath.Join(w.dir, "engines"), "--ops-listen", ops,
		"--kafka-listen", "127.0.0.1:0", "--clickhouse-listen", w.clickhouse), ops}
	w.engines.start(t)
	if status, p := shared.Run(t, time.Minute, w.env, "migrate", "--brokers", w.kafka, "--clickhouse", "http://"+w.clickhouse); status != 0 {
		t.Fatalf("migrate ended with status %d: %s", status, p.Log)
	}
	w.aggregate = w.process(t, "aggregate", "--data-dir", filepath.Join(w.dir, "aggregate"))
	w.ingest = w.process(t, "ingest", "--listen", w.api, "--catalog", w.catalog(t))
	w.report = w.process(t, "report", "--listen", freeAddress(t))
	for _, p := range []*process{w.aggregate, w.ingest, w.report} {
		p.start(t)
	}
	return w
}

// process describes a process of the installation.
func (w *world) process(t *testing.T, command string, args ...string) *process {
	t.Helper()
	ops := freeAddress(t)
	args = append([]string{command, "--ops-listen", ops, "--brokers", w.kafka, "--clickhouse", "http://" + w.clickhouse}, args...)
	return &process{shared.New(t, command, w.env, args...), ops}
}

// start starts a process and waits until it serves.
func (p *process) start(t *testing.T, env ...string) {
	t.Helper()
	p.Start(t, env...)
	p.Ready(t, p.ops)
}

func (w *world) catalog(t *testing.T) string {
	t.Helper()
	path := filepath.Join(w.dir, "catalog.yaml")
	must(t, os.WriteFile(path, []byte(catalogText), 0o600))
	return path
}

// openKafka starts Kafka, or starts it again.
func (w *world) openKafka(t *testing.T) {
	t.Helper()
	var err error
	w.broker, err = broker.Open(t.Context(), broker.Options{Dir: filepath.Join(w.dir, "kafka"), Listen: w.kafka})
	must(t, err)
}

// usage is one usage as it is sent.
type usage struct {
	ID     string `json:"id"`
	Amount int64  `json:"amount"`
}

// send reports usages of an account, and returns the status.
func (w *world) send(account string, usages ...usage) (int, error) {
	return w.sendPreferring("", account, usages...)
}

// sendWaiting is send with the wish to be told the outcome.
func (w *world) sendWaiting(account string, usages ...usage) (int, error) {
	return w.sendPreferring("wait=5", account, usages...)
}

func (w *world) sendPreferring(prefer, account string, usages ...usage) (int, error) {
	body, err := json.Marshal(map[string]any{"usages": usages})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	url := "http://" + w.api + "/v1beta1/organizations/demo/billing/" + account + "/usages"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth("demo", "demo-secret")
	if prefer != "" {
		req.Header.Set("Prefer", prefer)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// load reports usages without end, to accounts in every partition, whatever the answers are. The returned function ends
// it, as does the end of the test.
func (w *world) load(t *testing.T, every time.Duration) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-time.After(every):
				_, _ = w.send(w.accounts[n%len(w.accounts)], usage{uuid.NewString(), 1}, usage{uuid.NewString(), 2}) // the alerts tell
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); work.Wait() })
	t.Cleanup(stop)
	return stop
}

// sql runs a statement.
func (w *world) sql(t *testing.T, statement string) string {
	t.Helper()
	answer, err := sqlAt(t, w.clickhouse, statement)
	must(t, err)
	return answer
}

func sqlAt(t *testing.T, clickhouse, statement string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+clickhouse+"/?database=reckoner", strings.NewReader(statement))
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", statement, res.StatusCode, body)
	}
	return strings.TrimSpace(string(body)), err
}

// produce writes records to partitions of the log, as a producer does that is not ours.
func (w *world) produce(t *testing.T, partition int, recs ...bus.Record) {
	t.Helper()
	client, err := bus.Open(bus.Options{Brokers: []string{w.kafka}, IOTimeout: 5 * time.Second})
	must(t, err)
	defer client.Close()
	p := client.NewProducer(bus.ProducerOptions{})
	must(t, p.ProduceTo(t.Context(), bus.TopicEvents, partition, recs))
	must(t, p.Close(t.Context()))
}

// run runs a command of the installation to its end, which must be good.
func (w *world) run(t *testing.T, command string, args ...string) {
	t.Helper()
	status, p := shared.Run(t, time.Minute, w.env, append([]string{command, "--brokers", w.kafka, "--clickhouse", "http://" + w.clickhouse}, args...)...)
	if status != 0 {
		t.Fatalf("%s ended with status %d: %s%s", command, status, p.Out, p.Log)
	}
}
