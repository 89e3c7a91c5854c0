package tidy

import (
	"fmt"
	"slices"
	"strings"
)

// A layer says which of our own packages a package may import. "." is the root.
type layer struct {
	dir   string
	may   []string // folders with all that is below them
	tests []string // its tests, beside
}

// layers are the arrows of the house: imports point down. A package that is not listed may import nothing of ours, so
// that a new one has to be placed here.
func layers() []layer {
	engines := []string{"internal/embedded"}
	return []layer{
		{dir: "."},
		{dir: "cmd/reckoner", may: []string{".", "internal/app", "internal/config", "internal/catalog", "internal/send", "internal/bench", "configs"}, tests: []string{"internal", "ledger"}},
		{dir: "internal/app", may: []string{
			".", "ingest", "aggregator", "ledger", "internal/bus", "internal/catalog", "internal/config", "internal/crash", "internal/tlsfile", "internal/wire", "internal/embedded", "configs",
		}, tests: []string{"internal/send", "internal/openapi"}},
		{dir: "ingest", may: []string{".", "ledger", "internal/bus", "internal/catalog", "internal/openapi", "internal/wire"}, tests: slices.Concat(engines, []string{"configs"})},
		{dir: "aggregator", may: []string{".", "aggregator/disk", "ledger", "internal/bus", "internal/wire"}, tests: engines},
		{dir: "aggregator/disk"},
		{dir: "aggregator/verify", may: []string{".", "aggregator", "ledger", "internal/bus", "internal/wire"}, tests: engines},
		{dir: "ledger", may: []string{"."}},
		{dir: "ledger/clickhouse", may: []string{".", "ledger"}, tests: engines},
		{dir: "ledger/clickhouse/floor", may: []string{".", "internal/wire/usagev1"}, tests: slices.Concat(engines, []string{"ledger/clickhouse"})},
		{dir: "ledger/report", may: []string{".", "ledger", "internal/catalog"}, tests: slices.Concat(engines, []string{"configs"})},
		{dir: "ledger/report/partner", may: []string{".", "ledger", "internal/catalog"}, tests: []string{"configs"}},
		{dir: "ledger/report/runner", may: []string{".", "ledger", "internal/catalog"}, tests: slices.Concat(engines, []string{"configs"})},
		{dir: "internal/bus", tests: slices.Concat(engines, []string{"internal/bus/bustest", "internal/tlsfile"})},
		{dir: "internal/bench", may: []string{
			".", "aggregator", "ledger", "internal/app", "internal/bench", "internal/bus", "internal/config", "internal/wire", "configs",
		}, tests: engines},
		{dir: "internal/bench/workload", may: []string{"."}},
		{dir: "internal/bus/floor", tests: engines},
		{dir: "internal/bus/bustest", may: []string{"internal/bus"}},
		{dir: "internal/catalog", may: []string{"."}, tests: []string{"configs"}},
		{dir: "internal/catalog/live", may: []string{".", "internal/catalog", "internal/bus"}, tests: engines},
		{dir: "internal/chaos", tests: []string{"internal", "configs"}},
		{dir: "internal/config", may: []string{"configs"}},
		{dir: "internal/crash"},
		{dir: "internal/openapi", may: []string{"internal/openapi"}, tests: []string{"internal/catalog"}},
		{dir: "internal/wire", may: []string{".", "internal/wire"}},
		{dir: "internal/embedded", may: []string{"internal/embedded"}},
		{dir: "internal/opstest", tests: []string{".", "internal", "ledger/report/partner", "configs"}},
		{dir: "internal/processtest", may: []string{"internal/embedded"}},
		{dir: "internal/send", may: []string{"."}, tests: []string{"configs", "internal/catalog"}},
		{dir: "internal/tidy"},
		{dir: "internal/tlsfile", tests: []string{"internal/tlsfile"}},
		{dir: "internal/e2e", tests: []string{".", "internal", "ledger", "configs"}},
		{dir: "configs"},
		{dir: "deploy", tests: []string{"internal/config", "internal/catalog"}},
	}
}

// never are the arrows that no table may open, and that hold for tests too.
var never = []struct{ from, to string }{
	{"ingest", "aggregator"},
	{"aggregator", "ingest"},
	{"ingest", "ledger/clickhouse"},
	{"aggregator", "ledger/clickhouse"},
	{"ledger/report", "ledger/clickhouse"},
	{"ingest", "ledger/report/partner"},
	{"ingest", "ledger/report/runner"},
}

// owners name the one folder that may import a library, in tests too: what a library brings stays behind one door. ch-go
// is the two ends of one format: of blocks as ClickHouse's HTTP interface takes them.
var owners = []struct {
	library string
	dirs    []string // none: nobody
}{
	{"github.com/segmentio/kafka-go", []string{"internal/bus"}},
	{"github.com/ClickHouse/clickhouse-go", []string{"ledger/clickhouse"}},
	{"github.com/spf13/viper", []string{"internal/config"}},
	{"github.com/spf13/cobra", []string{"cmd/reckoner"}},
	{"github.com/twmb/franz-go", []string{"internal/embedded/broker"}},
	{"github.com/ebitengine/purego", []string{"internal/embedded/chdb"}},
	{"github.com/ClickHouse/ch-go", []string{"internal/embedded/chdb", "ledger/clickhouse"}},
	{"github.com/cockroachdb/pebble", []string{"aggregator"}},
	{"github.com/aws", []string{"ledger/report/partner/awsmarketplace"}},
	{"github.com/compose-spec/compose-go", []string{"deploy"}},
	{"github.com/getkin/kin-openapi", []string{"internal/openapi"}},
	{"github.com/stretchr/testify", nil}, // the standard library and go-cmp compare
	{"github.com/prometheus/client_golang/prometheus/promauto", nil},
}

// Imports reports every import that the arrows do not allow.
func Imports(files []*File) []string {
	var wrong []string
	for _, f := range files {
		for _, imported := range f.Imports() {
			if why := forbidden(f, imported); why != "" {
				wrong = append(wrong, fmt.Sprintf("%s: imports %s: %s", f.Path, imported, why))
			}
		}
	}
	return wrong
}

func forbidden(f *File, imported string) string {
	if imported == Module || strings.HasPrefix(imported, Module+"/") {
		to := strings.TrimPrefix(strings.TrimPrefix(imported, Module), "/")
		if to == "" {
			to = "."
		}
		return forbiddenOurs(f, to)
	}
	for _, o := range owners {
		if !under(imported, o.library) || slices.ContainsFunc(o.dirs, func(dir string) bool { return under(f.Dir, dir) }) {
			continue
		}
		if o.dirs == nil {
			return "nobody uses it"
		}
		return "only " + strings.Join(o.dirs, " and ") + " does"
	}
	if first, _, _ := strings.Cut(imported, "/"); f.Dir == "." && !f.Test && strings.Contains(first, ".") {
		return "the root package knows the standard library only"
	}
	return ""
}

func forbiddenOurs(f *File, to string) string {
	if to == f.Dir {
		return "" // an external test of the package
	}
	for _, n := range never {
		if under(f.Dir, n.from) && under(to, n.to) {
			return n.from + " never does"
		}
	}
	var l layer
	for _, candidate := range layers() { // the closest that holds the package
		if under(f.Dir, candidate.dir) && len(candidate.dir) > len(l.dir) {
			l = candidate
		}
	}
	if l.dir == "" {
		return "no layer is drawn for " + f.Dir
	}
	allowed := l.may
	if f.Test {
		allowed = slices.Concat(l.may, l.tests)
	}
	if under(to, allowed...) {
		return ""
	}
	return "imports point down, and " + l.dir + " may import only " + strings.Join(allowed, ", ")
}
