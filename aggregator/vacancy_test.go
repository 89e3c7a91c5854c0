package aggregator

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The time runs from when a partition came, over generations in which it stays; one that goes and comes waits anew.
func TestVacanciesWaitOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVacancies(10*time.Second, quiet())
		wait := func(want time.Duration, limit time.Duration) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			waited, err := v.wait(ctx, 1)
			if got := time.Since(began); got != want || waited != (want > 0) || (err != nil) != (want == limit) {
				t.Errorf("waited %s (%t, %v), want %s", got, waited, err, want)
			}
		}
		wait(4*time.Second, 4*time.Second) // the generation ends
		v.keep([]int32{0, 1})
		wait(6*time.Second, time.Hour)
		wait(0, time.Hour)
		v.keep([]int32{0}) // its holder came, and went
		wait(10*time.Second, time.Hour)
		v.filled(1)
		wait(10*time.Second, time.Hour)
	})
	if waited, err := (*vacancies)(nil).wait(t.Context(), 1); waited || err != nil {
		t.Errorf("nobody's vacancies waited: %t, %v", waited, err)
	}
}

// A partition that another process counted so far is not restored while that process may come back; when it does not,
// it is.
func TestRestoreWaitsForTheHolder(t *testing.T) {
	const delay = 300 * time.Millisecond
	r := newRig(t, func(o *Options) { soon(o); o.RestoreDelay = delay })
	n := r.fill(testPartition, 30)
	other := &scene{t: t, log: r.log, ledger: r.ledger}
	other.advance(other.starter(t.TempDir()), 20)

	end := r.begin(testPartition)
	eventually(t, "assigned", func() bool { _, in := r.a.Status(); return in })
	end()
	eventually(t, "the generation ended", func() bool { _, in := r.a.Status(); return !in })
	if _, err := os.Stat(r.a.starter.path(testPartition)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("it did not wait to restore: %v", err)
	}
	end = r.begin()
	end()
	began := time.Now()
	r.begin(testPartition)
	eventually(t, "restored, and decided to the end", func() bool { return r.a.Held()[testPartition] == n })
	if took := time.Since(began); took < delay {
		t.Errorf("it waited only %s", took)
	}
	must(t, r.ledger.complete())
}

// What is restored is counted row by row, also when it is little.
func TestRestoredRowsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := newRig(t, func(o *Options) { soon(o); o.Registerer = reg })
	r.fill(testPartition, 30)
	other := &scene{t: t, log: r.log, ledger: r.ledger}
	other.advance(other.starter(t.TempDir()), 20)
	r.begin(testPartition)
	eventually(t, "decided to the end", func() bool { return r.a.Held()[testPartition] == 30 })
	families, err := reg.Gather()
	must(t, err)
	rows := -1.0
	for _, f := range families {
		if f.GetName() == "reckoner_aggregator_restored_rows_total" {
			rows = f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	if rows != 20 {
		t.Errorf("%v rows were restored, the metric says, want 20", rows)
	}
}
