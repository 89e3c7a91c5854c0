//go:build ops

package opstest_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner/internal/processtest"
)

// dev is a real `reckoner dev`, with the demo catalog.
type dev struct {
	*world  // of which only the API's address is there
	process *process
}

func startDev(t *testing.T) *dev {
	t.Helper()
	w := &world{api: freeAddress(t), clickhouse: freeAddress(t)}
	ops := freeAddress(t)
	d := &dev{w, &process{shared.New(t, "dev", []string{setting("audit.interval", "500ms"), setting("report.every", "2s")},
		"dev", "--data-dir", filepath.Join(t.TempDir(), "data"), "--listen", w.api, "--ops-listen", ops,
		"--kafka-listen", "127.0.0.1:0", "--clickhouse-listen", w.clickhouse), ops}}
	d.process.start(t)
	return d
}

// use sends everything that a day brings: usage, usage sent twice, usage that waits, what is wrong, reads.
func (d *dev) use(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	var work sync.WaitGroup
	t.Cleanup(sync.OnceFunc(func() { close(done); work.Wait() }))
	for range 8 {
		d.accounts = append(d.accounts, uuid.NewString())
	}
	work.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			u := usage{uuid.NewString(), 3}
			_, _ = d.send(d.accounts[n%len(d.accounts)], u, u, usage{uuid.NewString(), 1}) // the panels tell
			if n%10 == 0 {
				_, _ = d.sendWaiting(d.accounts[n%len(d.accounts)], usage{uuid.NewString(), 1})
				_, _ = d.send("nobody", u)
			}
		}
	})
}

// emptyWhenHealthy are the queries of the dashboard that must return nothing of an installation that is well.
func emptyWhenHealthy() []string {
	return []string{`reckoner_aggregator_restore_remaining_rows{job=~"reckoner.*", instance=~"$instance"}`}
}

// TestDashboardShowsARunningInstallation runs every query of the dashboard against a real Prometheus that scrapes a real
// `dev` under load: each returns data, but for those that must not. No alert fires meanwhile.
func TestDashboardShowsARunningInstallation(t *testing.T) {
	d := startDev(t)
	p := startPrometheus(t, d.process.ops)
	d.use(t)
	variables := strings.NewReplacer("$__rate_interval", "5s", "$instance", ".*")
	queries, empty := 0, emptyWhenHealthy()
	for _, panel := range readDashboard(t).Panels {
		for _, q := range panel.Targets {
			queries++
			if i := slices.Index(empty, q.Expr); i >= 0 {
				empty = slices.Delete(empty, i, i+1)
				found, err := p.query(variables.Replace(q.Expr))
				if err != nil || len(found) > 0 {
					t.Errorf("%s: %s\nreturns %v, %v, and must be empty", panel.Title, q.Expr, found, err)
				}
				continue
			}
			eventually(t, 30*time.Second, func() string {
				found, err := p.query(variables.Replace(q.Expr))
				if err != nil || len(found) == 0 {
					return fmt.Sprintf("%s: %s\nreturns %v, %v", panel.Title, q.Expr, found, err)
				}
				return ""
			})
		}
	}
	t.Logf("%d queries of %d panels ran", queries, len(readDashboard(t).Panels))
	if queries < 40 || len(empty) > 0 {
		t.Errorf("%d queries; of those that must be empty the dashboard lacks %q", queries, empty)
	}
	<-time.After(15 * time.Second) // longer than most alerts wait
	p.quiet(t, "")
}

// TestMetricsOfARunningInstallation holds what a real `dev` under load shows against promtool's linter and against the
// reference.
func TestMetricsOfARunningInstallation(t *testing.T) {
	d := startDev(t)
	d.use(t)
	var text string
	eventually(t, 30*time.Second, func() string {
		var status int
		if status, text = processtest.Get("http://" + d.process.ops + "/metrics"); status != http.StatusOK {
			return text
		}
		for _, last := range []string{`reckoner_report_attempts_total{`, `reckoner_audit_accounts_total `, `outcome="duplicate"} `} {
			if !regexp.MustCompile(regexp.QuoteMeta(last) + `.*[1-9]`).MatchString(text) {
				return "nothing happened yet to " + last
			}
		}
		return ""
	})
	lint := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	lint.Stdin = strings.NewReader(text)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	t.Logf("%d of %d metrics are shown", asInTheReference(t, "dev", text), len(declared(t)))
}

// asInTheReference holds what a command shows against what the reference says that it shows, and returns how many
// metrics that are.
func asInTheReference(t *testing.T, command, text string) int {
	t.Helper()
	known := map[string]metric{}
	for _, m := range declared(t) {
		known[m.name] = m
	}
	shown := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$`).FindAllStringSubmatch(text, -1) {
		name, help, kind := found[1], found[2], found[3]
		if !strings.HasPrefix(name, "reckoner_") {
			continue
		}
		shown[name] = true
		m, ok := known[name]
		if !ok || m.help != help || m.kind != kind {
			t.Errorf("%s: %s is shown as a %s %q, and is in the reference as %+v", command, name, kind, help, m)
		}
		if p, _ := partOf(&m); !slices.Contains(p.commands, command) {
			t.Errorf("%s: it shows %s, and the reference does not say so", command, name)
		}
	}
	for name, m := range known {
		p, _ := partOf(&m)
		always := len(m.labels) == 0 && slices.Contains(p.commands, command) && (p.title != "Process" || command == "dev")
		if always && !shown[name] {
			t.Errorf("%s: %s is in the reference, and is not shown", command, name)
		}
	}
	return len(shown)
}

// TestRulesByPromtool runs promtool over all that it can check.
func TestRulesByPromtool(t *testing.T) {
	dir := filepath.Join(root, "deploy", "prometheus")
	glob := func(pattern string) []string {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v, %v", pattern, paths, err)
		}
		return paths
	}
	for _, args := range [][]string{
		{"check", "config", filepath.Join(dir, "prometheus.yml")},
		append([]string{"check", "rules"}, glob("rules/*.yml")...),
		append([]string{"test", "rules"}, glob("tests/*.yml")...),
	} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
