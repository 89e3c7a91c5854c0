package runner_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"reckoner/ledger/report/runner"
)

// Days that were reported never expire: not after a run as of the past, and not after a clock that had been set back.
func TestReportedDaysNeverExpire(t *testing.T) {
	var past time.Time
	for name, look := range map[string]func(t *testing.T, b *bench){
		"a run as of the past": func(t *testing.T, b *bench) { b.run(t, runner.Request{At: past}) },
		"a clock set back": func(t *testing.T, b *bench) {
			b.ahead.Store(int64(-5 * 24 * time.Hour))
			b.run(t, runner.Request{})
			b.ahead.Store(0)
		},
	} {
		for _, answer := range []int{http.StatusCreated, http.StatusBadRequest} {
			t.Run(fmt.Sprint(name, " ", answer), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					past = time.Now().Add(24 * time.Hour)
					b := newBench(t, many(1), nil)
					for range 7 {
						b.run(t, runner.Request{})
						time.Sleep(24 * time.Hour)
					}
					b.run(t, runner.Request{})
					b.partner.answer = func(call, int) (*http.Response, error) { return status(answer, ""), nil }
					look(t, b)
					b.partner.answer = nil
					if s := b.run(t, runner.Request{}); s.Expired != 0 || s.Accepted != 1 {
						t.Errorf("%+v: %s", s, statuses(b.reports("")))
					}
				})
			})
		}
	}
}
