package chaos_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner/internal/bus"
	"reckoner/internal/kafkatest"
)

// world is an installation: the engines, and the processes one by one.
type world struct {
	dir        string
	kafka      string // addresses, parted by commas
	clickhouse string
	partitions int
	env        []string // settings of all processes
	catalog    string
	accounts   []account // of the catalog

	engines    *process
	cluster    *kafkatest.Cluster // of Apache Kafka; nil: the engines' Kafka is used
	aggregates []*process
	ingests    []*process
	apis       []string // addresses of the ingests

	client *bus.Client
}

// account is a billing account of the catalog.
type account struct {
	id    string
	limit int64 // whole units a month; 0: none
}

const (
	organization = "chaos"
	credential   = "chaos"
	secret       = "chaos-secret"
)

// newWorld describes an installation of which nothing runs.
func newWorld(t *testing.T, partitions, limited, unlimited int, env ...string) *world {
	t.Helper()
	w := &world{
		dir: t.TempDir(), kafka: freeAddress(t), clickhouse: freeAddress(t), partitions: partitions,
		env: append([]string{
			setting("kafka.partitions", partitions), setting("kafka.session_timeout", "2s"), setting("kafka.rebalance_timeout", "4s"),
			setting("kafka.request_timeout", "2s"), setting("kafka.dial_timeout", "1s"), setting("ingest.produce_timeout", "2s"),
			setting("aggregator.retry_backoff_max", "500ms"), setting("aggregator.flush_interval", "200ms"), setting("aggregator.restore_delay", "500ms"), setting("clickhouse.insert_timeout", "5s"),
		}, env...),
	}
	for n := range limited + unlimited {
		a := account{id: uuid.NewString()}
		if n < limited {
			a.limit = 300 + 100*int64(n)
		}
		w.accounts = append(w.accounts, a)
	}
	w.writeCatalog(t)
	return w
}

func (w *world) writeCatalog(t *testing.T) {
	t.Helper()
	org := uuid.NewString()
	var accounts, subscriptions strings.Builder
	for n, a := range w.accounts {
		fmt.Fprintf(&accounts, "  - {id: %s, organization: %s", a.id, org)
		if a.limit > 0 {
			fmt.Fprintf(&accounts, ", default_subscription: sub_%d", n)
			fmt.Fprintf(&subscriptions, "  - {id: sub_%d, account: %s, meter: credit, limit: %q}\n", n, a.id, strconv.FormatInt(a.limit, 10))
		}
		fmt.Fprintln(&accounts, "}")
	}
	hash := sha256.Sum256([]byte(secret))
	text := fmt.Sprintf("organizations:\n  - {id: %s, name: %s}\naccounts:\n%ssubscriptions:\n%s"+
		"credentials:\n  - {id: %s, secret_sha256: %s, scopes: [usage.write, usage.revert, usage.read], organizations: [\"*\"]}\n",
		org, organization, accounts.String(), subscriptions.String(), credential, hex.EncodeToString(hash[:]))
	w.catalog = filepath.Join(w.dir, "catalog.yaml")
	must(t, os.WriteFile(w.catalog, []byte(text), 0o600))
}

// begin starts the engines and makes topics and tables.
func (w *world) begin(t *testing.T) {
	t.Helper()
	w.startEngines(t, w.kafka)
	w.migrate(t, w.kafka)
}

// startEngines starts the engines, with their Kafka at this address.
func (w *world) startEngines(t *testing.T, kafka string) {
	t.Helper()
	ops := freeAddress(t)
	w.engines = newProcess(t, "engines", w.env, "engines", "--data-dir", filepath.Join(w.dir, "engines"), "--ops-listen", ops,
		"--kafka-listen", kafka, "--clickhouse-listen", w.clickhouse)
	w.engines.ops = ops
	w.engines.Start(t)
	w.engines.ready(t)
}

// migrate makes topics and tables, and opens a client of the log.
func (w *world) migrate(t *testing.T, kafka string) {
	t.Helper()
	if status, out := run(t, w.env, "migrate", "--brokers", kafka, "--clickhouse", "http://"+w.clickhouse); status != 0 {
		t.Fatalf("migrate ended with status %d: %s", status, out)
	}
	w.open(t, kafka)
}

// open opens a client of the log.
func (w *world) open(t *testing.T, kafka string) {
	t.Helper()
	w.kafka = kafka
	var err error
	w.client, err = bus.Open(bus.Options{Brokers: strings.Split(kafka, ","), IOTimeout: 5 * time.Second})
	must(t, err)
	t.Cleanup(w.client.Close)
}

// aggregate adds an aggregator with a data directory of its own. clickhouse is where it finds the ledger.
func (w *world) aggregate(t *testing.T, clickhouse string) *process {
	t.Helper()
	name := fmt.Sprintf("aggregate-%d", len(w.aggregates))
	ops, dir := freeAddress(t), filepath.Join(w.dir, name)
	p := newProcess(t, name, w.env, "aggregate", "--ops-listen", ops, "--data-dir", dir, "--brokers", w.kafka, "--clickhouse", "http://"+clickhouse)
	p.ops, p.dir = ops, dir
	w.aggregates = append(w.aggregates, p)
	p.Start(t)
	return p
}

// ingest adds an HTTP tier.
func (w *world) ingest(t *testing.T) *process { return w.ingestAt(t, w.clickhouse) }

func (w *world) ingestAt(t *testing.T, clickhouse string) *process {
	t.Helper()
	ops, api := freeAddress(t), freeAddress(t)
	p := newProcess(t, fmt.Sprintf("ingest-%d", len(w.ingests)), w.env, "ingest", "--listen", api, "--ops-listen", ops,
		"--catalog", w.catalog, "--brokers", w.kafka, "--clickhouse", "http://"+clickhouse)
	p.ops = ops
	w.ingests, w.apis = append(w.ingests, p), append(w.apis, api)
	p.Start(t)
	return p
}

// metric adds up the series of a name whose labels contain a text. Values are whole here.
func (p *process) metric(t *testing.T, name, labels string) int64 {
	t.Helper()
	status, body := get("http://" + p.ops + "/metrics")
	if status != http.StatusOK {
		t.Fatalf("metrics of %s: %d %s", p.Name, status, body)
	}
	var sum int64
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' || !strings.Contains(rest, labels) {
			continue
		}
		fields := strings.Fields(rest)
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		must(t, err)
		sum += int64(v)
	}
	return sum
}

// ends returns where each partition of the log ends.
func (w *world) ends(t *testing.T) map[int]int64 {
	t.Helper()
	var ranges map[int]bus.Range
	eventually(t, 20*time.Second, func() string { // Kafka may have been killed a moment ago
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var err error
		if ranges, err = w.client.AllOffsets(ctx, bus.TopicEvents); err != nil {
			return err.Error()
		}
		return ""
	})
	ends := make(map[int]int64)
	for p, r := range ranges {
		if r.First != 0 {
			t.Fatalf("partition %d begins at offset %d", p, r.First)
		}
		ends[p] = r.Next
	}
	return ends
}

// behind says what the ledger does not hold of a log that ends there, "" when it holds everything.
func (w *world) behind(ends map[int]int64) string {
	rows, err := w.tryRows("SELECT partition, max(next_offset) FROM checkpoints GROUP BY partition")
	if err != nil {
		return err.Error()
	}
	have := make(map[string]int64)
	for _, r := range rows {
		have[r[0]], _ = strconv.ParseInt(r[1], 10, 64)
	}
	for p, end := range ends {
		if got := have[strconv.Itoa(p)]; got < end {
			return fmt.Sprintf("partition %d: %d of %d records are in the ledger", p, got, end)
		}
	}
	return ""
}

// drain waits until everything that the log holds now is in the ledger.
func (w *world) drain(t *testing.T, within time.Duration) {
	t.Helper()
	ends := w.ends(t)
	eventually(t, within, func() string { return w.behind(ends) })
}

// tryRows runs a query and returns its cells.
func (w *world) tryRows(query string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.clickhouse+"/?database=reckoner", strings.NewReader(query+" FORMAT TSVRaw"))
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s", query, res.StatusCode, body)
	}
	var rows [][]string
	for line := range strings.Lines(string(body)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows, nil
}

func (w *world) rows(t *testing.T, query string) [][]string {
	t.Helper()
	rows, err := w.tryRows(query)
	must(t, err)
	return rows
}

// verify runs `reckoner verify`, which must find nothing.
func (w *world) verify(t *testing.T) {
	t.Helper()
	status, out := run(t, w.env, "verify", "--brokers", w.kafka, "--clickhouse", "http://"+w.clickhouse)
	if status != 0 {
		t.Errorf("verify ended with status %d", status)
	}
	if i := strings.LastIndex(out, "partition  from"); i >= 0 {
		out = out[i:]
	}
	fmt.Fprintf(t.Output(), "reckoner verify, status %d:\n%s", status, out)
}
