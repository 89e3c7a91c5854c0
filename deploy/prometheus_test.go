package deploy_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestPrometheusScrapesOurServices: every service of ours that stays is a target, on its operators' port, under a job's
// name that the rules know.
func TestPrometheusScrapesOurServices(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Scrapes []struct {
			Job     string                       `yaml:"job_name"`
			Configs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, s := range file.Scrapes {
		if s.Job != "reckoner" {
			t.Errorf("the rules do not know the job %q", s.Job)
		}
		for _, c := range s.Configs {
			got = append(got, c.Targets...)
		}
	}
	for name, s := range ours(load(t)) {
		if name == "migrate" {
			continue
		}
		_, port, err := net.SplitHostPort(settings(t, s).OpsListen)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, net.JoinHostPort(name, port))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Prometheus scrapes %q; the services are %q", got, want)
	}
}
