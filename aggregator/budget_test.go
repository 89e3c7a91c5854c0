package aggregator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudgetDue(t *testing.T) {
	t0 := day()
	for _, tt := range []struct {
		name    string
		flushed time.Time
		took    time.Duration
		adds    []tally // one a millisecond, from t0
		after   time.Duration
		want    time.Duration
	}{
		{"nothing", t0, 0, nil, time.Hour, -1},
		{"an empty tally", t0, 0, []tally{{}}, time.Hour, -1},
		{"one, fresh", t0, 0, []tally{{records: 1}}, 0, time.Second},
		{"one, aged", t0, 0, []tally{{records: 1}}, 300 * time.Millisecond, 700 * time.Millisecond},
		{"one, too old", t0, 0, []tally{{records: 1}}, time.Minute, 0},
		{"age of the oldest", t0, 0, []tally{{records: 1}, {records: 1}}, 500 * time.Millisecond, 500 * time.Millisecond},
		{"full of records", t0, 0, []tally{{records: 9}, {records: 1}}, 0, 0},
		{"full of bytes", t0, 0, []tally{{records: 1, bytes: 1 << 20}}, 0, 0},
		{"waited for, idle", time.Time{}, 0, []tally{{records: 1, awaited: t0}}, 0, 0},
		{"waited for, just flushed", t0, 0, []tally{{records: 1, awaited: t0}}, 10 * time.Millisecond, 40 * time.Millisecond},
		{"waited for, long after", t0, 0, []tally{{records: 1, awaited: t0}}, 60 * time.Millisecond, 0},
		{"waited for and then not", t0, 0, []tally{{records: 1, awaited: t0}, {records: 1}}, 10 * time.Millisecond, 40 * time.Millisecond},
		{"waited for, after a fast flush", t0, 20 * time.Millisecond, []tally{{records: 1, awaited: t0}}, 30 * time.Millisecond, 20 * time.Millisecond},
		{"waited for, after a slow flush", t0, 200 * time.Millisecond, []tally{{records: 1, awaited: t0}}, 210 * time.Millisecond, 190 * time.Millisecond},
		{"waited for, a slow flush ago", t0, 200 * time.Millisecond, []tally{{records: 1, awaited: t0}}, 400 * time.Millisecond, 0},
		{"waited for, after the slowest flush", t0, time.Minute, []tally{{records: 1, awaited: t0}}, 300 * time.Millisecond, 700 * time.Millisecond},
		{"waited for just long enough", t0, 0, []tally{{records: 1, awaited: t0.Add(-2 * time.Second)}}, 60 * time.Millisecond, 0},
		{"waited for too long ago", t0, 0, []tally{{records: 1, awaited: t0.Add(-2*time.Second - 1)}}, 60 * time.Millisecond, 940 * time.Millisecond},
		{"waited for too long ago, and by another", t0, 0, []tally{{records: 1, awaited: t0.Add(-time.Hour)}, {records: 1, awaited: t0}}, 60 * time.Millisecond, 0},
		{"received by a clock that is ahead", t0, 0, []tally{{records: 1, awaited: t0.Add(time.Hour)}}, 60 * time.Millisecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBudget(testLimits())
			b.add(&tally{records: largeFlush}, tt.flushed)
			b.take(tt.flushed)
			b.done(tt.flushed.Add(tt.took))
			for i := range tt.adds {
				b.add(&tt.adds[i], t0.Add(time.Duration(i)*time.Millisecond))
			}
			if got := b.due(t0.Add(tt.after)); got != tt.want {
				t.Errorf("due in %s, want %s", got, tt.want)
			}
		})
	}
}

// A small flush is slow for the disk's sake alone: who waits need not wait for another half of the time.
func TestASlowSmallFlushPutsNothingOff(t *testing.T) {
	slow, t0 := 400*time.Millisecond, day()
	for _, tt := range []struct {
		records int
		want    time.Duration
	}{{largeFlush, slow}, {largeFlush - 1, 0}} {
		b := newBudget(testLimits())
		b.add(&tally{records: tt.records}, t0)
		b.take(t0)
		b.done(t0.Add(slow))
		b.add(&tally{records: 1, awaited: t0.Add(slow)}, t0.Add(slow))
		if got := b.due(t0.Add(slow)); got != tt.want {
			t.Errorf("after %d records: due in %s, want %s", tt.records, got, tt.want)
		}
	}
}

// Taking forgets what was added before, and only that.
func TestBudgetTake(t *testing.T) {
	b := newBudget(testLimits())
	b.add(&tally{records: 10, bytes: 5, awaited: day()}, day())
	b.take(day())
	if got := b.due(day()); got != -1 {
		t.Errorf("due in %s after take", got)
	}
	b.add(&tally{records: 1}, day().Add(time.Millisecond))
	if got := b.due(day().Add(time.Millisecond)); got != time.Second {
		t.Errorf("due in %s: the age is of the new one, and nobody waits", got)
	}
}

// Every worker that waits for room goes on when a flush starts, and with its context's end.
func TestBudgetWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(testLimits())
		ctx, cancel := context.WithCancel(t.Context())
		b.add(&tally{records: 10}, time.Now())
		results := make(chan error, 8)
		wait := func() { go func() { results <- b.wait(ctx) }() }
		wait()
		wait()
		synctest.Wait()
		if len(results) != 0 {
			t.Fatal("there was room in a full budget")
		}
		b.take(time.Now())
		synctest.Wait()
		if len(results) != 2 || <-results != nil || <-results != nil {
			t.Fatal("not all went on after take")
		}
		b.add(&tally{records: 10}, time.Now())
		wait()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		b.take(time.Now())
		if err := b.wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("room after the end: error %v", err)
		}
	})
}
