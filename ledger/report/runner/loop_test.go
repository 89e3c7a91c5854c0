package runner_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report/runner"
)

func negative(t testing.TB) reckoner.Quantity {
	t.Helper()
	q, err := reckoner.Quantity{}.Sub(reckoner.Thousandths(5))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func noCycle() reckoner.Cycle { return reckoner.Cycle{} }

// start runs the loop, and returns what stops it and waits for it.
func (b *bench) loop(t *testing.T, every, jitter time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.runner.Loop(ctx, every, jitter); err != nil {
			t.Error(err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// An installation that is tried again and again delays no tick: the others are reported at each.
func TestStragglersDelayNoTick(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(3), nil)
		b.partner.answer = func(c call, _ int) (*http.Response, error) {
			if c.id == "icfg_001" {
				return status(http.StatusServiceUnavailable, ""), nil
			}
			return nil, nil
		}
		began := time.Now()
		stop := b.loop(t, 10*time.Second, 4*time.Second)
		time.Sleep(95 * time.Second)
		stop()
		current := 0
		for _, c := range b.partner.of("icfg_002") {
			if c.EOD.After(c.at) {
				if want := began.Add(time.Duration(current)*10*time.Second + 2*time.Second); !c.at.Equal(want) {
					t.Errorf("tick %d came after %s, want %s", current, c.at.Sub(began), want.Sub(began))
				}
				current++
			}
		}
		if current != 10 || len(b.partner.of("icfg_001")) < 5 {
			t.Errorf("%d ticks, %d attempts of the straggler", current, len(b.partner.of("icfg_001")))
		}
		s := b.runner.Status()
		if s.OK != 2 || s.Failing != 1 || s.Busy != 0 || s.Every != 10*time.Second || s.EndedAt.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// A tick that the ledger failed is made up for soon, and not a whole tick later.
func TestLoopComesBackSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d *downLedger
		b := newBench(t, many(2), func(o *runner.Options) {
			d = &downLedger{agent: o.Ledger.(*agent)}
			d.down.Store(true)
			o.Ledger = d
		})
		stop := b.loop(t, time.Hour, time.Minute)
		time.Sleep(10 * time.Minute)
		if s := b.runner.Status(); s.Err == nil || !s.EndedAt.IsZero() || s.TriedAt.IsZero() || len(b.partner.all) > 0 {
			t.Errorf("%+v", s)
		}
		d.down.Store(false)
		time.Sleep(2 * time.Minute)
		if s := b.runner.Status(); s.Err != nil || s.Last.Accepted != 2 {
			t.Errorf("%+v", s)
		}
		sent := len(b.partner.all)
		time.Sleep(50 * time.Minute)
		if len(b.partner.all) != sent {
			t.Error("it came again before its time")
		}
		stop()
	})
}

// A stop lets go of those that wait to be tried again, and stores that they failed.
func TestLoopEndsSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(2), nil)
		b.partner.answer = func(c call, _ int) (*http.Response, error) {
			if c.id == "icfg_000" {
				return status(http.StatusTooManyRequests, "", "Retry-After", "200"), nil
			}
			return hang(c.ctx)
		}
		stop := b.loop(t, time.Hour, 0)
		time.Sleep(3 * time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("it took %s", took)
		}
		if rows := b.reports("icfg_000"); rows[0].Status != ledger.ReportFailed || rows[0].Code != http.StatusTooManyRequests || rows[1].Status != ledger.ReportSending {
			t.Errorf("%+v", rows)
		}
		if rows := b.reports("icfg_001"); rows[0].Status != ledger.ReportFailed || rows[0].Attempt != 1 {
			t.Errorf("%+v", rows)
		}
	})
}
