package runner_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner/ledger"
	"reckoner/ledger/report/runner"
)

// Each of these answers is final: one attempt, a row that says so, an error that names it; and the next run tries the current
// part again, because a token may have been mended.
func TestFinalAnswers(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 410, 422} {
		bubble(t, func(t *testing.T) {
			b := newBench(t, many(2), nil)
			b.partner.answer = func(c call, _ int) (*http.Response, error) {
				if c.id == "icfg_000" {
					return status(code, `{"error":{"code":"no","message":"never"}}`), nil
				}
				return nil, nil
			}
			s := b.run(t, runner.Request{})
			rows := b.reports("icfg_000")
			if s.Refused != 1 || s.Accepted != 1 || s.OK() || len(s.Errors) != 1 || statuses(rows) != "refused refused" {
				t.Fatalf("%d: %+v, %s", code, s, statuses(rows))
			}
			if r := rows[1]; r.Code != code || r.Attempt != 1 || !strings.Contains(r.Response, "never") || r.Error == "" || r.SentAt.IsZero() {
				t.Errorf("%d: %+v", code, r)
			}
			b.partner.answer = nil
			time.Sleep(time.Minute)
			b.run(t, runner.Request{})
			if rows = b.reports("icfg_000"); rows[len(rows)-1].Status != ledger.ReportAccepted {
				t.Errorf("%d: then %s", code, statuses(rows))
			}
		})
	}
}

// A refusal after an attempt whose answer was lost does not say that the partner has nothing: it is told as refused, and kept as
// not known.
func TestRefusedAfterALostAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(1), nil)
		b.partner.answer = func(_ call, nth int) (*http.Response, error) {
			if nth == 1 {
				return nil, errLost
			}
			return status(http.StatusForbidden, ""), nil
		}
		s := b.run(t, runner.Request{})
		if rows := b.reports(""); s.Refused != 1 || statuses(rows) != "failed refused" || rows[0].Code != http.StatusForbidden || rows[0].Attempt != 2 {
			t.Errorf("%+v, %s", s, statuses(rows))
		}
	})
}

// Parts go out in their order, and one that has to wait holds back those that follow.
func TestOlderPartsGoFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, document, nil)
		b.partner.answer = func(c call, nth int) (*http.Response, error) {
			if c.id == "icfg_2" && nth < 4 {
				return status(http.StatusBadGateway, ""), nil
			}
			return nil, nil
		}
		s := b.run(t, runner.Request{})
		if s.Accepted != 3 || s.Failed != 0 || s.Reports != 7 {
			t.Errorf("%+v", s)
		}
		of := b.partner.of("icfg_2")
		if len(of) != 6 {
			t.Fatalf("%d attempts, want four of the first part and one of each other", len(of))
		}
		for i := 1; i < len(of); i++ {
			if same := i < 4; of[i].Timestamp.Equal(of[0].Timestamp) != same || !of[i].EOD.After(of[i-1].EOD) != same || same && string(of[i].body) != string(of[0].body) {
				t.Errorf("attempt %d: %s, eod %s", i, of[i].Timestamp, of[i].EOD)
			}
		}
		for i, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
			if got := of[i+1].at.Sub(of[i].at); got != want {
				t.Errorf("wait %d is %s, want half of a bound that doubles: %s", i, got, want)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(1), nil)
		asked := "40"
		b.partner.answer = func(_ call, nth int) (*http.Response, error) {
			if nth == 1 || nth > 3 {
				return status(http.StatusTooManyRequests, "", "Retry-After", asked), nil
			}
			return nil, nil
		}
		began := time.Now()
		if s := b.run(t, runner.Request{}); s.Accepted != 1 || b.partner.all[1].at.Sub(b.partner.all[0].at) != 40*time.Second {
			t.Errorf("%+v after %s", s, time.Since(began))
		}
		// One that is longer than a delivery may take leaves it to a run that comes after it.
		asked = "1800"
		time.Sleep(time.Minute)
		began = time.Now()
		if s := b.run(t, runner.Request{}); s.Failed != 1 || time.Since(began) > time.Second {
			t.Errorf("%+v after %s", s, time.Since(began))
		}
		sent := len(b.partner.all)
		time.Sleep(29 * time.Minute)
		if s := b.run(t, runner.Request{}); s.Skipped != 1 || len(b.partner.all) != sent {
			t.Errorf("before its time: %+v", s)
		}
		b.partner.answer = nil
		time.Sleep(time.Minute)
		if s := b.run(t, runner.Request{}); s.Accepted != 1 {
			t.Errorf("after its time: %+v", s)
		}
	})
}

// Installations that hang and are known to take no slot of those that are well, however many there are. One whose turn comes last is
// answered before the first of them times out.
func TestHangingInstallationsDelayNobody(t *testing.T) {
	const hanging = 48
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(hanging+1), func(o *runner.Options) { o.Concurrency, o.SlowConcurrency, o.Batch = 2, 2, 10 })
		b.partner.answer = func(c call, _ int) (*http.Response, error) {
			if c.id != "icfg_048" {
				return nil, context.DeadlineExceeded
			}
			return nil, nil
		}
		b.run(t, runner.Request{})
		b.partner.all, b.partner.answer = nil, func(c call, _ int) (*http.Response, error) {
			if c.id != "icfg_048" {
				return hang(c.ctx)
			}
			return nil, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			cancel()
		}()
		_, _ = b.runner.Run(ctx, runner.Request{}, nil)
		of := b.partner.of("icfg_048")
		if len(of) == 0 || of[0].at.Sub(began) > 500*time.Millisecond {
			t.Errorf("the one that is well was reported %d times", len(of))
		}
	})
}

// Of those that fail, no more than two batches wait to be tried again: the others are left to the next run, at once.
func TestWaitingIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(30), func(o *runner.Options) { o.Batch = 5 })
		b.partner.answer = func(call, int) (*http.Response, error) { return status(http.StatusInternalServerError, ""), nil }
		s := b.run(t, runner.Request{})
		again := 0
		for _, r := range b.reports("") {
			if r.Day.End.Before(time.Now()) && r.Attempt > 1 {
				again++
			}
		}
		if s.Failed != 30 || again == 0 || again > 10 {
			t.Errorf("%+v; %d were tried again", s, again)
		}
	})
}

// Whoever is stopped lets attempts that are under way come to their end, stores what came of them, and begins none.
func TestStopRecordsWhatWasSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(6), func(o *runner.Options) { o.Concurrency = 2 })
		b.partner.answer = func(call, int) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return nil, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		s, err := b.runner.Run(ctx, runner.Request{}, nil)
		if err == nil || time.Since(began) > 4*time.Second {
			t.Errorf("%v after %s: %+v", err, time.Since(began), s)
		}
		rows := b.reports("")
		taken := slices.DeleteFunc(slices.Clone(rows), func(r ledger.Report) bool { return r.Status != ledger.ReportAccepted })
		if len(b.partner.all) != 2 || len(taken) != 2 || strings.Contains(statuses(rows), "failed") {
			t.Errorf("%d sent, rows %s", len(b.partner.all), statuses(rows))
		}
	})
}
