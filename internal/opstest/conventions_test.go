package opstest_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestMetricsKeepTheConventions holds every declared metric against the linter behind `promtool check metrics`, also
// those that no process shows before something happened, and against what the linter does not know.
func TestMetricsKeepTheConventions(t *testing.T) {
	all := declared(t)
	var text strings.Builder
	for i := range all {
		all[i].expose(&text)
	}
	problems, err := promlint.New(strings.NewReader(text.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, m := range all {
		if !strings.HasPrefix(m.name, "reckoner_") {
			t.Errorf("%s does not begin with reckoner_", m.name)
		}
		if !strings.HasSuffix(m.help, ".") {
			t.Errorf("%s: its help is no sentence: %q", m.name, m.help)
		}
		for _, l := range m.labels {
			if bounds()[l] == "" {
				t.Errorf("%s has the label %s: say in bounds() what keeps it from growing", m.name, l)
			}
		}
	}
}

// expose writes a metric as a process would.
func (m *metric) expose(text *strings.Builder) {
	var pairs []string
	for _, l := range m.labels {
		pairs = append(pairs, l+`="x"`)
	}
	labels := "{" + strings.Join(pairs, ",") + "} 0\n"
	text.WriteString("# HELP " + m.name + " " + m.help + "\n# TYPE " + m.name + " " + m.kind + "\n")
	if m.kind == "histogram" {
		bucket := "{" + strings.Join(append(pairs, `le="+Inf"`), ",") + "} 0\n"
		text.WriteString(m.name + "_bucket" + bucket + m.name + "_sum" + labels + m.name + "_count" + labels)
		return
	}
	text.WriteString(m.name + labels)
}

// bounds says of every label what its values are, and so how many there may be. Nothing that a caller sends is one.
func bounds() map[string]string {
	return map[string]string{
		"code":      "class of a partner's HTTP status: `2xx` to `5xx`, or `none`",
		"dialect":   "the API's dialects",
		"kind":      "`usage` or `revert`; of the catalog, its kinds of entities",
		"outcome":   "the twelve outcomes",
		"partition": "the partitions of the log",
		"reason":    "why an installation cannot be reported: six values",
		"result":    "of a produce `ok`, `busy` or `failed`; of a change of the catalog, the results that there are",
		"route":     "the API's routes, or `none`",
		"state":     "`ok`, `failing`, `refused`, `unsendable`",
		"status":    "the HTTP statuses that we answer; of reports, how far they came",
		"step":      "what is attempted again: `consume`, `insert`, `dead letter`",
		"table":     "the tables of the ledger",
		"target":    "the kinds of partners that are built in",
	}
}
