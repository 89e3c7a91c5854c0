package runner_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report/runner"
)

// An attempt that is under way when the process is stopped comes to its end, if the partner answers soon enough, and what came of it
// is stored.
func TestStopLetsAnAttemptEnd(t *testing.T) {
	for _, tt := range []struct {
		takes time.Duration
		want  string
	}{{8 * time.Second, "accepted sending"}, {15 * time.Second, "failed sending"}} {
		bubble(t, func(t *testing.T) {
			b := newBench(t, many(1), func(o *runner.Options) { o.RequestTimeout, o.ShutdownTimeout = time.Minute, 20*time.Second })
			b.partner.answer = func(c call, _ int) (*http.Response, error) {
				select {
				case <-time.After(tt.takes):
					return nil, nil
				case <-c.ctx.Done():
					return nil, c.ctx.Err()
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := b.runner.Run(ctx, runner.Request{}, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if got := statuses(b.reports("")); got != tt.want {
				t.Errorf("the partner takes %s: %s, want %s", tt.takes, got, tt.want)
			}
		})
	}
}

// forgetful is a ledger that fails some writes.
type forgetful struct {
	runner.Ledger
	fails func() bool
}

func (f *forgetful) WriteReports(ctx context.Context, rows []ledger.Report) error {
	if f.fails() {
		return errLost
	}
	return f.Ledger.WriteReports(ctx, rows)
}

// What came of reports is stored though the ledger fails for a while.
func TestRecordingIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		recording, fails := false, 3
		b := newBench(t, many(1), func(o *runner.Options) {
			o.Ledger = &forgetful{o.Ledger, func() bool {
				if !recording || fails == 0 {
					return false
				}
				fails--
				return true
			}}
			o.At = func(step string) { recording = step == "record" }
		})
		if s := b.run(t, runner.Request{}); s.Accepted != 1 || fails != 0 || statuses(b.reports("")) != "accepted accepted" {
			t.Errorf("%+v, %d writes are yet to fail, %s", s, fails, statuses(b.reports("")))
		}
	})
}

// The clock may show the very millisecond of the last report, whose reporter's claim is gone: two reports never have one timestamp.
func TestTimestampOfTheLastReportIsNotTakenAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(1), nil)
		last := time.Now().UTC().Truncate(time.Millisecond)
		row := ledger.Report{InstallationID: "icfg_000", Target: "vercel", Timestamp: last, Reporter: "other", Moment: last, Status: ledger.ReportExpired, Revision: 1}
		row.Day = reckoner.Period{Start: last.AddDate(0, 0, -1), End: last}
		if err := b.memory.WriteReports(t.Context(), []ledger.Report{row}); err != nil {
			t.Fatal(err)
		}
		b.run(t, runner.Request{})
		for _, r := range b.reports("") {
			if r.Reporter == "me" && !r.Timestamp.After(last) {
				t.Errorf("%s, and the last report has %s", r.Timestamp, last)
			}
		}
	})
}
