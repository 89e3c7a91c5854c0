package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reckoner/configs"
	"reckoner/internal/config"
)

var update = flag.Bool("update", false, "write configs/reckoner.yaml from the table")

func TestTheSampleIsTheTable(t *testing.T) {
	if *update {
		if err := os.WriteFile("../../configs/reckoner.yaml", config.Document(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(config.Document()), string(configs.Settings)); diff != "" {
		t.Fatalf("configs/reckoner.yaml is not what the table says (run the test with -update):\n%s", diff)
	}
}

// The sample as it is changes nothing, and with every key taken out of its comment it says what the defaults are.
func TestTheSampleIsTheDefaults(t *testing.T) {
	defaults, err := config.Load(config.Source{File: write(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`(?m)^(\s*)#([a-z_]+: )`)
	for name, text := range map[string]string{
		"as it is":    string(configs.Settings),
		"uncommented": commented.ReplaceAllString(string(configs.Settings), "$1$2"),
	} {
		s, err := config.Load(config.Source{File: write(t, text)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(values(defaults), values(s)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	if n := len(commented.FindAllString(string(configs.Settings), -1)); n != len(config.Describe()) {
		t.Errorf("%d keys in comments, %d in the table", n, len(config.Describe()))
	}
}

// values is the settings without where they came from.
func values(s *config.Settings) any {
	return []any{s.Listen, s.OpsListen, s.DataDir, s.Log, s.Kafka, s.ClickHouse, s.Catalog, s.Ingest, s.Aggregator, s.Audit, s.Shutdown, s.Health}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reckoner.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
