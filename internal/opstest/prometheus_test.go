//go:build ops

package opstest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"reckoner/internal/processtest"
)

// haste is how many times faster than in production the clock of the rules runs: every window, every `for` and every
// offset is that much shorter, so that an alert that waits ten minutes fires after ten seconds. The rules are otherwise
// those of deploy/prometheus.
const haste = 60

// prometheus is a server of its own, with our rules, that scrapes what a test tells it to.
type prometheus struct {
	addr, dir string

	// smallDisk is the one instance whose disk is a test's own. How full that of the machine is, is nobody's affair here.
	smallDisk string
	targets   []string
}

// startPrometheus starts one that scrapes these operators' ports. It is ended with the test.
func startPrometheus(t *testing.T, targets ...string) *prometheus {
	t.Helper()
	p := &prometheus{addr: freeAddress(t), dir: t.TempDir(), targets: targets}
	p.watch(t)
	rules, err := filepath.Glob(filepath.Join(root, "deploy", "prometheus", "rules", "*.yml"))
	must(t, err)
	for _, path := range rules {
		text, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(p.dir, "rules-"+filepath.Base(path)), []byte(hasten(t, string(text))), 0o600))
	}
	config := "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms, external_labels: {runbooks: https://docs.example.com}}\n" +
		"rule_files: [rules-*.yml]\n" +
		"scrape_configs: [{job_name: reckoner, file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]}]\n"
	must(t, os.WriteFile(filepath.Join(p.dir, "prometheus.yml"), []byte(config), 0o600))
	p.run(t)
	eventually(t, 30*time.Second, func() string {
		if status, body := processtest.Get("http://" + p.addr + "/-/ready"); status != http.StatusOK {
			return fmt.Sprintf("prometheus is not ready: %d %s", status, body)
		}
		return ""
	})
	return p
}

// run starts the process. The thread that starts it waits for it: were the test run cut off, the kernel would end it.
func (p *prometheus) run(t *testing.T) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(p.dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(p.dir, "data"),
		"--web.listen-address="+p.addr, "--query.lookback-delta=5s", "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it is told to end
		}
	}()
	must(t, <-started)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("the log of prometheus:\n%s", processtest.Tail(log.String(), 4<<10))
		}
	})
}

// watch adds targets, by their addresses.
func (p *prometheus) watch(t *testing.T, more ...string) {
	t.Helper()
	p.targets = append(p.targets, more...)
	p.know(t, p.targets)
}

// know tells it all targets that there are.
func (p *prometheus) know(t *testing.T, targets []string) {
	t.Helper()
	data, err := json.Marshal([]map[string][]string{{"targets": targets}})
	must(t, err)
	path := filepath.Join(p.dir, "targets.json")
	must(t, os.WriteFile(path+".new", data, 0o600))
	must(t, os.Rename(path+".new", path))
}

// hasten shortens every time that a rule waits or looks back.
func hasten(t *testing.T, rules string) string {
	t.Helper()
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	return regexp.MustCompile(`(for: |\[|offset )(\d+)([smhd])`).ReplaceAllStringFunc(rules, func(found string) string {
		parts := regexp.MustCompile(`(for: |\[|offset )(\d+)([smhd])`).FindStringSubmatch(found)
		n, err := strconv.Atoi(parts[2])
		must(t, err)
		return fmt.Sprintf("%s%dms", parts[1], (time.Duration(n) * units[parts[3]] / haste).Milliseconds())
	})
}

// ask calls the HTTP API and decodes what it answers.
func (p *prometheus) ask(path string, query url.Values, data any) error {
	status, body := processtest.Get("http://" + p.addr + "/api/v1/" + path + "?" + query.Encode())
	if status != http.StatusOK {
		return fmt.Errorf("%s %v: %d %s", path, query, status, body)
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s %v: %s", path, query, answer.Error)
	}
	return nil
}

// sample is one series of an answer.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query evaluates an expression now. It returns nothing when nothing matches, and not what is no number.
func (p *prometheus) query(expr string) ([]sample, error) {
	var data struct{ Result []sample }
	if err := p.ask("query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(data.Result, func(s sample) bool { return s.Value[1] == "NaN" }), nil
}

// alert is one that is pending or firing.
type alert struct {
	Labels, Annotations map[string]string
	State               string
}

// firing returns the alerts that fire, of one name or, for "", all.
func (p *prometheus) firing(name string) ([]alert, error) {
	var data struct{ Alerts []alert }
	if err := p.ask("alerts", nil, &data); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(data.Alerts, func(a alert) bool {
		foreign := strings.HasPrefix(a.Labels["alertname"], "ReckonerStateDisk") && a.Labels["instance"] != p.smallDisk
		return a.State != "firing" || foreign || name != "" && a.Labels["alertname"] != name
	}), nil
}

// fires waits until an alert fires whose summary says something, and returns it.
func (p *prometheus) fires(t *testing.T, within time.Duration, name, says string) {
	t.Helper()
	began := time.Now()
	eventually(t, within, func() string {
		alerts, err := p.firing(name)
		if err != nil {
			return err.Error()
		}
		for _, a := range alerts {
			if strings.Contains(a.Annotations["summary"], says) {
				t.Logf("%s fires after %s (%s): %s", name, time.Since(began).Round(time.Second), a.Labels["severity"], a.Annotations["summary"])
				return ""
			}
		}
		return fmt.Sprintf("no %s fires that says %q: %v", name, says, alerts)
	})
}

// clears waits until none of these fires any more.
func (p *prometheus) clears(t *testing.T, within time.Duration, names ...string) {
	t.Helper()
	began := time.Now()
	for _, name := range names {
		eventually(t, within, func() string {
			alerts, err := p.firing(name)
			if err != nil {
				return err.Error()
			}
			if len(alerts) > 0 {
				return fmt.Sprintf("%s still fires: %v", name, alerts)
			}
			return ""
		})
		t.Logf("%s is clear after %s", name, time.Since(began).Round(time.Second))
	}
}

// quiet fails the test when one of these fires, for "" when any does.
func (p *prometheus) quiet(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		alerts, err := p.firing(name)
		must(t, err)
		for _, a := range alerts {
			t.Errorf("%s fires without its cause: %v", a.Labels["alertname"], a)
		}
	}
}
