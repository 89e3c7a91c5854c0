package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"reckoner/internal/bench/workload"
	"reckoner/internal/config"
)

// Options say what is measured, and on what.
type Options struct {
	Settings *config.Settings // of the processes; addresses and directories are the benchmark's own
	// Only names rows; empty: all of them.
	Only []string
	// Quick keeps every bound tiny: the figures then mean nothing, but every step is taken.
	Quick bool
	Seed  uint64
	// KnownIDs is how many ids known-ids makes; 0: as many as its goal speaks of. With less the goal is not met.
	KnownIDs int64
	// Trace is a CSV file of usage to send in place of what is generated; empty: none.
	Trace string
	// External says that Settings name a cluster and a server to use, which nobody else uses meanwhile. Else every row has
	// embedded engines of its own.
	External bool
	Dir      string // takes everything that is stored, and is left empty; empty: the system's for temporary files
	// Profiles is a directory for profiles of the processors while ours runs, a file for each turn; empty: none.
	Profiles string
	Progress io.Writer // what is going on; nil: nothing is told
	Log      *slog.Logger
}

// Report is what was measured.
type Report struct {
	Results []Result `json:"results"`
	Machine Machine  `json:"machine"`
	Seed    uint64   `json:"seed"`
	Quick   bool     `json:"quick"`
	Trace   string   `json:"trace,omitempty"`
	Began   string   `json:"began"`
	Took    float64  `json:"took_s"`
}

// Machine is what it was measured on.
type Machine struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	CPU        string `json:"cpu"`
	Processors int    `json:"processors"`
	GoMaxProcs int    `json:"gomaxprocs"`
	Go         string `json:"go"`
	Load       string `json:"load"` // of the last minute, at the begin; else than 0 somebody else was at work
}

// Result is one row. What a row does not have is null.
type Result struct {
	Name  string   `json:"name"`
	What  string   `json:"what"`
	Unit  string   `json:"unit"` // of ours and floor
	Ours  *float64 `json:"ours"`
	Floor *float64 `json:"floor"`
	Ratio *float64 `json:"ratio"` // ours / floor
	Goal  string   `json:"goal"`
	Met   bool     `json:"met"`
	P50   *float64 `json:"p50"` // milliseconds
	P99   *float64 `json:"p99"`
	// CPU is the time of all threads of this process for a million events of ours: engines and producers included.
	CPU *float64 `json:"cpu_s_per_million"`
	// Peak is the greatest resident memory of this process while ours ran: engines and producers included.
	Peak  *int64             `json:"peak_bytes"`
	Extra map[string]float64 `json:"extra,omitempty"`
	Bound string             `json:"bound"` // no row takes longer
	Took  float64            `json:"took_s"`
	Error string             `json:"error,omitempty"` // why it could not be measured
}

// Unmeasured returns the names of the rows that could not be measured.
func (r *Report) Unmeasured() []string {
	var names []string
	for i := range r.Results {
		if r.Results[i].Error != "" {
			names = append(names, r.Results[i].Name)
		}
	}
	return names
}

// Run measures. A row that cannot be measured is in the report with its error; Run's own error means that nothing could
// be, or that ctx ended.
func Run(ctx context.Context, o Options) (*Report, error) {
	rows, err := choose(o.Only)
	if err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Trace != "" { // what is wrong with it is told at once
		if _, err := workload.OpenTrace(o.Trace, 1); err != nil {
			return nil, err
		}
	}
	if o.Profiles != "" {
		if err := os.MkdirAll(o.Profiles, 0o750); err != nil {
			return nil, fmt.Errorf("profiles: %w", err)
		}
	}
	began := time.Now()
	report := &Report{Machine: machine(), Seed: o.Seed, Quick: o.Quick, Trace: o.Trace, Began: began.UTC().Format(time.RFC3339)}
	b := &bench{Options: o, scale: scaleOf(o.Quick), now: began.UTC().Truncate(time.Second)}
	if o.KnownIDs > 0 {
		b.scale.knownIDs = o.KnownIDs
	}
	for i, row := range rows {
		b.say("%d/%d %s: %s (at most %s)", i+1, len(rows), row.name, row.what, row.bound(b.scale))
		result := b.measure(ctx, row)
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		report.Results = append(report.Results, result)
		report.Took = time.Since(began).Seconds()
		if result.Error != "" {
			b.say("  not measured: %s", result.Error)
		}
	}
	return report, nil
}

// bench is a run of the benchmark.
type bench struct {
	Options
	scale scale
	now   time.Time // of the workload
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.Progress, format+"\n", args...) // nobody to tell
}

// measure takes one row to its end within its bound.
func (b *bench) measure(ctx context.Context, r row) Result {
	result := Result{Name: r.name, What: r.what, Unit: r.unit, Goal: r.goal, Bound: r.bound(b.scale).String()}
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, r.bound(b.scale), errBound)
	defer cancel()
	s, err := b.newSite(ctx)
	s.row = r.name
	if err == nil {
		err = r.run(s.ctx, s, &result)
		if cause := context.Cause(s.ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		err = errors.Join(err, s.close())
	}
	result.Took = time.Since(began).Seconds()
	if err != nil {
		result.Error, result.Met = err.Error(), false
	}
	// What this row took must not be the next one's.
	runtime.GC()
	return result
}

var errBound = errors.New("the row took longer than its bound")

// ratio sets ours, floor and what they make.
func (r *Result) ratio(ours, floor float64) {
	r.Ours, r.Floor, r.Ratio = &ours, &floor, new(ours/floor)
}

func (r *Result) extra(name string, value float64) {
	if r.Extra == nil {
		r.Extra = make(map[string]float64)
	}
	r.Extra[name] = value
}

// choose returns the rows of the names, in the table's order.
func choose(only []string) ([]row, error) {
	all := rows()
	if len(only) == 0 {
		return all, nil
	}
	var names []string
	for _, r := range all {
		names = append(names, r.name)
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no row %q: want some of %s", name, strings.Join(names, ", "))
		}
	}
	return slices.DeleteFunc(all, func(r row) bool { return !slices.Contains(only, r.name) }), nil
}

func machine() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Processors: runtime.NumCPU(), GoMaxProcs: runtime.GOMAXPROCS(0), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	return m
}
