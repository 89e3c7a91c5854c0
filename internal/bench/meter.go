package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

// meter measures what this process takes while something runs.
type meter struct {
	cpu      time.Duration
	events   int64
	profiles string // where profiles of the processors go, their names' begin; empty: nowhere
	turns    int
	heap     int64 // what was held when the heap's profile was last written
	failed   error // the last attempt at that
	memory
}

// meter returns the meter of the row's own work.
func (s *site) meter() meter {
	if s.Profiles == "" {
		return meter{}
	}
	return meter{profiles: filepath.Join(s.Profiles, s.row)}
}

// memory are greatest values, in bytes.
type memory struct {
	peak   int64 // resident, of the whole process
	goPeak int64 // of the Go runtime: everything of ours, the embedded Kafka and the producers
	engine int64 // the rest: the embedded ClickHouse, where it runs in this process
}

// during runs one turn, of ours or of a floor, from the same start: what the turn before left is given back.
func (m *meter) during(run func() (events int64, err error)) error {
	debug.FreeOSMemory()
	resetPeak()
	profiled, err := m.profile()
	if err != nil {
		return err
	}
	stop := m.watch()
	began := processCPU()
	events, err := run()
	m.cpu += processCPU() - began
	m.events += events
	stop()
	return errors.Join(err, profiled(), m.failed)
}

// profile begins a profile of one turn, if profiles are wanted. Those of several turns are for pprof to add up.
func (m *meter) profile() (end func() error, err error) {
	if m.profiles == "" {
		return func() error { return nil }, nil
	}
	m.turns++
	f, err := os.Create(fmt.Sprintf("%s-%d.pprof", m.profiles, m.turns))
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}

// profileHeap writes what holds the memory, whenever a tenth more is held than the last time: the last profile is from
// about the peak.
func (m *meter) profileHeap() {
	if m.profiles == "" || m.goPeak < m.heap+m.heap/10 {
		return
	}
	m.heap = m.goPeak
	f, err := os.Create(m.profiles + ".heap.pprof")
	if err == nil {
		err = errors.Join(pprof.WriteHeapProfile(f), f.Close())
	}
	m.failed = err
}

// watch looks at the memory until it is stopped.
func (m *meter) watch() (stop func()) {
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			m.look()
			m.profileHeap()
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		work.Wait()
		m.look()
		m.peak = max(m.peak, status("VmHWM"))
	}
}

func (m *memory) look() {
	resident, ours := status("VmRSS"), goMemory()
	m.peak = max(m.peak, resident)
	m.goPeak = max(m.goPeak, ours)
	m.engine = max(m.engine, resident-ours)
}

// report sets the columns of a row.
func (m *meter) report(r *Result) {
	if m.events > 0 {
		r.CPU = new(m.cpu.Seconds() / float64(m.events) * 1e6)
	}
	if m.peak > 0 {
		r.Peak = new(m.peak)
	}
	r.extra("peak_go_bytes", float64(m.goPeak))
	r.extra("peak_engine_bytes", float64(m.engine))
}

// reportFloor sets what the floor took, beside the row.
func (m *meter) reportFloor(r *Result) {
	if m.events > 0 {
		r.extra("floor_cpu_s_per_million", m.cpu.Seconds()/float64(m.events)*1e6)
	}
}

// goMemory is what the Go runtime holds of the system's memory.
func goMemory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// status reads a line of the process's status in bytes; 0 where the system has no such thing.
func status(name string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if key == name {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64) // 0 when it reads otherwise
			return n << 10
		}
	}
	return 0
}

// resetPeak makes VmHWM begin anew, where the system lets it; else the watcher's samples are what there is.
func resetPeak() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // as said above
}
