package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"reckoner/internal/bus"
)

// installation is the addresses of one installation: `dev`, or the processes one by one.
type installation struct {
	dir               string
	api, ops          string
	kafka, clickhouse string
	enginesOps        string
	env               []string
	described         http.RoundTripper // fails the test for what the API's description does not allow
}

func newInstallation(t testing.TB, env ...string) *installation {
	t.Helper()
	return &installation{
		dir: t.TempDir(), api: freeAddress(t), ops: freeAddress(t), kafka: freeAddress(t), clickhouse: freeAddress(t),
		enginesOps: freeAddress(t), env: env, described: described(t),
	}
}

// dev starts everything in one process and waits until it serves.
func (i *installation) dev(t testing.TB, args ...string) *process {
	t.Helper()
	p := start(t, i.env, append(i.devArgs(), args...)...)
	i.ready(t, p, i.ops)
	return p
}

func (i *installation) devArgs() []string {
	return []string{
		"dev", "--data-dir", i.dir, "--listen", i.api, "--ops-listen", i.ops,
		"--kafka-listen", i.kafka, "--clickhouse-listen", i.clickhouse,
	}
}

func (i *installation) engines(t testing.TB) *process {
	t.Helper()
	p := start(t, i.env, "engines", "--data-dir", i.dir, "--ops-listen", i.enginesOps,
		"--kafka-listen", i.kafka, "--clickhouse-listen", i.clickhouse)
	i.ready(t, p, i.enginesOps)
	return p
}

// at are the flags of a process that finds the engines by address.
func (i *installation) at() []string {
	return []string{"--brokers", i.kafka, "--clickhouse", "http://" + i.clickhouse}
}

func (i *installation) migrate(t testing.TB) {
	t.Helper()
	if status, p := run(t, i.env, append([]string{"migrate"}, i.at()...)...); status != 0 {
		t.Fatalf("migrate ended with status %d: %s", status, p.log.String())
	}
}

func (i *installation) ingest(t testing.TB, catalog string) *process {
	t.Helper()
	p := start(t, i.env, append([]string{"ingest", "--listen", i.api, "--ops-listen", i.ops, "--catalog", catalog}, i.at()...)...)
	i.ready(t, p, i.ops)
	return p
}

// aggregate starts an aggregator with a data directory of its own, and returns the address of its operators' port.
func (i *installation) aggregate(t testing.TB, dir string) (*process, string) {
	t.Helper()
	ops := freeAddress(t)
	p := start(t, i.env, append([]string{"aggregate", "--ops-listen", ops, "--data-dir", dir}, i.at()...)...)
	i.ready(t, p, ops)
	return p, ops
}

// ready waits until a process says that it serves.
func (i *installation) ready(t testing.TB, p *process, ops string) {
	t.Helper()
	p.Ready(t, ops)
}

// metric returns the value of one series as it is written, "" when there is none. series is a name with its labels.
func metric(t testing.TB, ops, series string) string {
	t.Helper()
	status, body := get("http://" + ops + "/metrics")
	if status != http.StatusOK {
		t.Fatalf("metrics: %d %s", status, body)
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// bus returns a client of the installation's Kafka.
func (i *installation) bus(t testing.TB) *bus.Client {
	t.Helper()
	c, err := bus.Open(bus.Options{Brokers: []string{i.kafka}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// records returns how many events the log holds.
func (i *installation) records(t testing.TB) int64 {
	t.Helper()
	ranges, err := i.bus(t).AllOffsets(t.Context(), bus.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for p, r := range ranges {
		if r.First != 0 {
			t.Fatalf("partition %d begins at offset %d", p, r.First)
		}
		n += r.Next
	}
	return n
}

// drain waits until everything that the log holds now is in the ledger, and returns how much that is.
func (i *installation) drain(t testing.TB) int64 {
	t.Helper()
	n := i.records(t)
	eventually(t, time.Minute, func() string {
		const settled = "SELECT sum(next) FROM (SELECT max(next_offset) AS next FROM reckoner.checkpoints GROUP BY log, partition)"
		if got := i.value(t, settled); got != fmt.Sprint(n) {
			return fmt.Sprintf("%s of %d records are in the ledger", got, n)
		}
		return ""
	})
	return n
}

// rows runs a query and returns its cells.
func (i *installation) rows(t testing.TB, query string) [][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+i.clickhouse+"/?database=reckoner", strings.NewReader(query+" FORMAT TSVRaw"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %s", query, res.StatusCode, err, body)
	}
	var rows [][]string
	for line := range strings.Lines(string(body)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// value runs a query that has one cell.
func (i *installation) value(t testing.TB, query string) string {
	t.Helper()
	rows := i.rows(t, query)
	if len(rows) != 1 || len(rows[0]) != 1 {
		t.Fatalf("%s: want one value, got %v", query, rows)
	}
	return rows[0][0]
}

// want holds the rows of a query against what they must be, each written as its cells with spaces between.
func (i *installation) want(t testing.TB, query string, want ...string) {
	t.Helper()
	var got []string
	for _, row := range i.rows(t, query) {
		got = append(got, strings.Join(row, " "))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\ngot:\n  %s\nwant:\n  %s", query, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
