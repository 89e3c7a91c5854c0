package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reckoner/internal/config"
)

// quickly are options with which every row takes seconds.
func quickly(t *testing.T, only ...string) Options {
	t.Helper()
	defaults := config.EmbeddedDefaults()
	defaults["shutdown.timeout"] = "10s"
	s, err := config.Load(config.Source{Defaults: defaults, File: emptyFile(t)})
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Settings: s, Only: only, Quick: true, Seed: 1, Dir: t.TempDir(), Progress: t.Output(),
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

func emptyFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "reckoner.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestEveryRowIsMeasured takes every row through all its steps on the real engines. Each row checks what went through: a
// record for every event that was acknowledged, the workload's own sums in the ledger, as many rows at the floor.
func TestEveryRowIsMeasured(t *testing.T) {
	o := quickly(t)
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
	var names []string
	for _, r := range report.Results {
		names = append(names, r.Name)
		if r.Error != "" {
			t.Errorf("%s: %s", r.Name, r.Error)
			continue
		}
		if r.Ours == nil || *r.Ours < 0 || r.Goal == "" || r.Peak == nil || *r.Peak < 10<<20 {
			t.Errorf("%s: %+v", r.Name, r)
		}
		if withoutFloor := []string{"pipeline", "freshness", "growth"}; (r.Floor == nil) != slices.Contains(withoutFloor, r.Name) ||
			r.Floor != nil && (*r.Floor <= 0 || *r.Ratio != *r.Ours / *r.Floor) {
			t.Errorf("%s: floor %v, ratio %v", r.Name, r.Floor, r.Ratio)
		}
	}
	var want []string
	for _, r := range rows() {
		want = append(want, r.name)
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("rows: %s", diff)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	checkJSON(t, report)
}

// checkJSON holds the report against what scripts rely on.
func checkJSON(t *testing.T, report *Report) {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Results []map[string]any `json:"results"`
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != len(report.Results) {
		t.Errorf("%d results of %d", len(got.Results), len(report.Results))
	}
	for _, r := range got.Results {
		for _, key := range []string{"name", "ours", "floor", "ratio", "goal", "met", "p50", "p99", "cpu_s_per_million", "peak_bytes"} {
			if _, ok := r[key]; !ok {
				t.Errorf("%v has no %s", r["name"], key)
			}
		}
		if _, ok := r["met"].(bool); !ok {
			t.Errorf("%v: met is %v", r["name"], r["met"])
		}
	}
}

func TestARowThatCannotBeMeasuredIsToldAndIsNotMet(t *testing.T) {
	o := quickly(t, "ingest-batch")
	o.External = true
	o.Settings.Kafka.Brokers = []string{"127.0.0.1:1"}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r := report.Results[0]; r.Error == "" || r.Met || len(report.Unmeasured()) != 1 {
		t.Errorf("%+v", r)
	}
	checkJSON(t, report)
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil || !strings.Contains(table.String(), "ingest-batch was not measured: ") {
		t.Errorf("%v\n%s", err, table.String())
	}
}

func TestRunRefusesWhatItCannotDo(t *testing.T) {
	o := quickly(t, "ingest-batch", "speed")
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `no row "speed": want some of ingest-batch,`) {
		t.Errorf("unknown row: %v", err)
	}
	o = quickly(t)
	o.Trace = filepath.Join(o.Dir, "missing.csv")
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "missing.csv") {
		t.Errorf("missing trace: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if report, err := Run(ctx, quickly(t, "ingest-batch")); err == nil || report == nil || len(report.Results) > 0 {
		t.Errorf("interrupted: %v, %v", report, err)
	}
}

// A trace takes the place of what is generated; its rows are checked as those are. Each turn of ours leaves a profile.
func TestATraceIsSentAndProfiled(t *testing.T) {
	o := quickly(t, "ingest-batch", "aggregate")
	o.Profiles = filepath.Join(t.TempDir(), "profiles")
	o.Trace = filepath.Join("..", "..", "testdata", "trace-b.csv")
	report, err := Run(t.Context(), o)
	if err != nil || len(report.Unmeasured()) > 0 {
		t.Fatalf("%v, %+v", err, report)
	}
	for _, name := range []string{"ingest-batch-1.pprof", "ingest-batch.heap.pprof", "aggregate-1.pprof", "aggregate.heap.pprof"} {
		if info, err := os.Stat(filepath.Join(o.Profiles, name)); err != nil || info.Size() == 0 {
			t.Errorf("profile %s: %v", name, err)
		}
	}
}

func TestFigures(t *testing.T) {
	if got := median([]float64{4, 1, 3}); got != 3 {
		t.Errorf("median of three is %g", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median of four is %g", got)
	}
	for v, want := range map[float64]string{0.123: "0.12", 12.34: "12.3", 123456.7: "123457", -250: "-250"} {
		if got := figure(&v); got != want {
			t.Errorf("%g is shown as %s, want %s", v, got, want)
		}
	}
	if got := figure(nil); got != "–" {
		t.Errorf("nothing is shown as %q", got)
	}
}
