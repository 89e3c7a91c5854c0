package opstest_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rule is a recording or an alert rule.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func readYAML(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// rules returns all rules of deploy/prometheus.
func rules(t testing.TB) (all []rule) {
	t.Helper()
	for _, name := range []string{"recording.yml", "alerts.yml"} {
		var file struct{ Groups []struct{ Rules []rule } }
		readYAML(t, filepath.Join(root, "deploy", "prometheus", "rules", name), &file)
		for _, g := range file.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// alerts returns the alert rules by their names.
func alerts(t testing.TB) map[string]rule {
	t.Helper()
	found := make(map[string]rule)
	for _, r := range rules(t) {
		if r.Alert != "" {
			found[r.Alert] = r
		}
	}
	return found
}

// series returns the names of ours that an expression or a page mentions, those of histograms without their suffixes.
func series(text string) []string {
	var names []string
	for _, name := range regexp.MustCompile(`\b(?:[a-z]+:)?reckoner_[a-z0-9_]+(?::[a-z0-9_]+)?`).FindAllString(text, -1) {
		names = append(names, regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, ""))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// knownSeries are the names that an expression may use: what the program declares, and what the rules record.
func knownSeries(t *testing.T) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	for _, m := range declared(t) {
		known[m.name] = true
	}
	for _, r := range rules(t) {
		if r.Record != "" {
			known[r.Record] = true
		}
	}
	return known
}

// TestRulesAndPanelsUseWhatThereIs: an expression over a series that nobody makes is silent for ever.
func TestRulesAndPanelsUseWhatThereIs(t *testing.T) {
	known := knownSeries(t)
	check := func(where, expr string) {
		for _, name := range series(expr) {
			if !known[name] {
				t.Errorf("%s uses %s, which nobody makes", where, name)
			}
		}
	}
	used := ""
	for _, r := range rules(t) {
		check(r.Alert+r.Record, r.Expr)
		used += r.Expr + "\n"
	}
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			check(p.Title, q.Expr)
			used += q.Expr + "\n"
		}
	}
	for _, r := range rules(t) {
		if r.Record != "" && !slices.Contains(series(used), r.Record) {
			t.Errorf("nobody uses %s", r.Record)
		}
	}
}

// TestAlertsSayWhatTheyMust: a severity, a summary that names what it is about, a page.
func TestAlertsSayWhatTheyMust(t *testing.T) {
	ofTheWhole := []string{"ReckonerPartitionsUnowned", "ReckonerNothingScraped"} // what nobody owns has no instance
	for name, r := range alerts(t) {
		if !strings.HasPrefix(name, "Reckoner") {
			t.Errorf("%s is not called Reckoner…", name)
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", name, s)
		}
		summary := r.Annotations["summary"]
		named := regexp.MustCompile(`\$labels\.(instance|partition|outcome)\b`).MatchString(summary)
		if named == slices.Contains(ofTheWhole, name) {
			t.Errorf("%s: its summary names no instance, partition or outcome: %q", name, summary)
		}
		page, ok := strings.CutPrefix(r.Annotations["runbook_url"], "{{ $externalLabels.runbooks }}/")
		if !ok || page != slug(name)+".md" {
			t.Errorf("%s: its page is %q", name, r.Annotations["runbook_url"])
		}
	}
}

// slug returns the name of an alert's page: ReckonerLagGrowing is in lag-growing.md.
func slug(alert string) string {
	words := regexp.MustCompile(`[A-Z][a-z]*`).FindAllString(strings.TrimPrefix(alert, "Reckoner"), -1)
	return strings.ToLower(strings.Join(words, "-"))
}

// TestEveryAlertHasCases: promtool's cases of each alert show that it does not fire, fires, and clears, in this order.
// That they are so is for `make test-ops`, where promtool is.
func TestEveryAlertHasCases(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(root, "deploy", "prometheus", "tests", "*.yml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%v: %v", paths, err)
	}
	whole := make(map[string]bool)
	for _, path := range paths {
		var file struct {
			Tests []struct {
				Name   string
				Alerts []struct {
					Name     string `yaml:"alertname"`
					Expected []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		readYAML(t, path, &file)
		for _, c := range file.Tests {
			course := make(map[string]string)
			for _, a := range c.Alerts {
				if len(a.Expected) == 0 {
					course[a.Name] += "-"
				} else {
					course[a.Name] += "F"
				}
			}
			for name, seen := range course {
				whole[name] = whole[name] || regexp.MustCompile(`-+F+-`).MatchString(seen)
			}
		}
	}
	// A dead letter that is there from the start fires at once, so its case has nothing before.
	atOnce := []string{"ReckonerDeadLetters"}
	for name := range alerts(t) {
		if _, there := whole[name]; !there || !whole[name] && !slices.Contains(atOnce, name) {
			t.Errorf("no case shows %s quiet, firing and clear again", name)
		}
		delete(whole, name)
	}
	for name := range whole {
		t.Errorf("there are cases for %s, which is no alert", name)
	}
}

// TestEveryAlertHasAPage: and every page an alert; a page has what somebody looks for at night.
func TestEveryAlertHasAPage(t *testing.T) {
	dir := filepath.Join(root, "docs", "runbooks")
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := alerts(t)
	pages := map[string]bool{"README.md": true}
	for name, r := range all {
		page := slug(name) + ".md"
		pages[page] = true
		data, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Error(err)
			continue
		}
		wait := "Fires after " + r.For + "."
		if r.For == "" {
			wait = "Fires at once."
		}
		if want := "# " + name + "\n\nSeverity: " + r.Labels["severity"] + ". " + wait + "\n"; !strings.HasPrefix(string(data), want) {
			t.Errorf("%s does not begin with %q", page, want)
		}
		at := 0
		for _, head := range []string{"What it means", "How bad it is", "Look first", "What to do", "How it clears"} {
			i := strings.Index(string(data), "\n## "+head+"\n\n")
			if i < at {
				t.Errorf("%s: %q is missing, or not in its place", page, head)
			}
			at = i
		}
		if !strings.Contains(string(index), "| ["+name+"]("+page+") | "+r.Labels["severity"]+" |") {
			t.Errorf("the index lacks %s, or its severity", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !pages[e.Name()] {
			t.Errorf("%s is the page of no alert", e.Name())
		}
	}
	if len(all) < 20 {
		t.Errorf("only %d alerts were found: %q", len(all), slices.Sorted(maps.Keys(all)))
	}
}

// runbooks returns the pages by their names.
func runbooks(t testing.TB) map[string]string {
	t.Helper()
	pages := make(map[string]string)
	dir := filepath.Join(root, "docs", "runbooks")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		pages[e.Name()] = string(data)
	}
	return pages
}

// TestPagesNameWhatThereIs: metrics, and pages that they link to. cmd/reckoner has the same test of commands.
func TestPagesNameWhatThereIs(t *testing.T) {
	known := knownSeries(t)
	for page, text := range runbooks(t) {
		for _, name := range series(text) {
			begins := func(m string) bool { return strings.HasPrefix(m, name) } // what grep is told
			if !known[name] && !slices.ContainsFunc(slices.Collect(maps.Keys(known)), begins) {
				t.Errorf("%s names %s, which nobody makes", page, name)
			}
		}
		for _, link := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, "docs", "runbooks", link[1])); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which is not there", page, link[1])
			}
		}
	}
}
