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
		adds    []tally // one a millisecond, from t0
		after   time.Duration
		want    time.Duration
	}{
		{"nothing", t0, nil, time.Hour, -1},
		{"an empty tally", t0, []tally{{}}, time.Hour, -1},
		{"one, fresh", t0, []tally{{records: 1}}, 0, time.Second},
		{"one, aged", t0, []tally{{records: 1}}, 300 * time.Millisecond, 700 * time.Millisecond},
		{"one, too old", t0, []tally{{records: 1}}, time.Minute, 0},
		{"age of the oldest", t0, []tally{{records: 1}, {records: 1}}, 500 * time.Millisecond, 500 * time.Millisecond},
		{"full of records", t0, []tally{{records: 9}, {records: 1}}, 0, 0},
		{"full of bytes", t0, []tally{{records: 1, bytes: 1 << 20}}, 0, 0},
		{"waited for, idle", time.Time{}, []tally{{records: 1, waited: true}}, 0, 0},
		{"waited for, just flushed", t0, []tally{{records: 1, waited: true}}, 10 * time.Millisecond, 40 * time.Millisecond},
		{"waited for, long after", t0, []tally{{records: 1, waited: true}}, 60 * time.Millisecond, 0},
		{"waited for and then not", t0, []tally{{records: 1, waited: true}, {records: 1}}, 10 * time.Millisecond, 40 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBudget(testLimits())
			b.take(tt.flushed)
			for i := range tt.adds {
				b.add(&tt.adds[i], t0.Add(time.Duration(i)*time.Millisecond))
			}
			if got := b.due(t0.Add(tt.after)); got != tt.want {
				t.Errorf("due in %s, want %s", got, tt.want)
			}
		})
	}
}

// Taking forgets what was added before, and only that.
func TestBudgetTake(t *testing.T) {
	b := newBudget(testLimits())
	b.add(&tally{records: 10, bytes: 5, waited: true}, day())
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
