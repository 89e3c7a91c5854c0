package opstest_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/reference/metrics.md from the source")

// A part is a section of the reference: the metrics of some packages, and the commands that show them.
type part struct {
	title    string
	dirs     []string
	commands []string
	more     string // about them
}

func parts() []part {
	return []part{
		{"Ingest", []string{"ingest"}, []string{"ingest", "report", "dev"}, ""},
		{"Aggregator", []string{"aggregator"}, []string{"aggregate", "dev"}, ""},
		{"Ledger", []string{"ledger/clickhouse"}, []string{"ingest", "aggregate", "report", "dev"}, ""},
		{"Reports", []string{"ledger/report/runner"}, []string{"report", "dev"}, ""},
		{"Catalog", []string{"internal/catalog/live"}, []string{"ingest", "report", "dev"}, ""},
		{"Process", []string{"internal/app"}, []string{"ingest", "aggregate", "report", "dev"}, ", where it has what is shown"},
	}
}

// partOf returns the section of a metric.
func partOf(m *metric) (part, bool) {
	i := slices.IndexFunc(parts(), func(p part) bool { return slices.Contains(p.dirs, m.dir) })
	if i < 0 {
		return part{}, false
	}
	return parts()[i], true
}

// TestReferenceIsWhatTheSourceSays: docs/reference/metrics.md is made from the code.
func TestReferenceIsWhatTheSourceSays(t *testing.T) {
	all := declared(t)
	for i := range all {
		if _, ok := partOf(&all[i]); !ok {
			t.Errorf("%s is declared in %s, which no section of the reference has", all[i].name, all[i].dir)
		}
	}
	want := reference(all)
	path := filepath.Join(root, "docs", "reference", "metrics.md")
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := godiff.Diff(want, string(have)); diff != "" {
		t.Errorf("docs/reference/metrics.md is not what the code declares (run the test with -update):\n%s", diff)
	}
}

func reference(all []metric) string {
	var b strings.Builder
	b.WriteString("# Metrics\n\n" +
		"Every metric that the program declares, as `/metrics` on the operators' port shows it. This page is made from the source\n" +
		"by `go test ./internal/opstest -update`; do not edit it.\n\n" +
		"Times are seconds, sizes bytes. A series with labels is there once its event happened, unless it says 0 from the start. The\n" +
		"metrics of the Go runtime and of the process (`go_*`, `process_*`) and of the scrape itself (`promhttp_*`) are those of\n" +
		"Prometheus's client library. Rules that use all this are in `deploy/prometheus/`, a dashboard in `deploy/grafana/`, and\n" +
		"what to do about an alert in [docs/runbooks](../runbooks/README.md).\n")
	for _, p := range parts() {
		fmt.Fprintf(&b, "\n## %s\n\nShown by `reckoner %s`%s.\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n",
			p.title, strings.Join(p.commands, "`, `reckoner "), p.more)
		for i := range all {
			m := &all[i]
			if own, _ := partOf(m); own.title != p.title {
				continue
			}
			labels := "–"
			if len(m.labels) > 0 {
				labels = "`" + strings.Join(m.labels, "`, `") + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, strings.ReplaceAll(m.help, "|", "\\|"))
		}
	}
	b.WriteString("\n## Labels\n\nNothing that a caller sends becomes a label, so the number of series is bounded.\n\n| label | values |\n|---|---|\n")
	names := make([]string, 0, len(bounds()))
	for name := range bounds() {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare)
	for _, name := range names {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, bounds()[name])
	}
	return b.String()
}
