package runner_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/ledger/report/runner"
)

// values returns all samples but histograms, as "name label=value … value".
func values(t testing.TB, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "reckoner_report_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				all[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				all[name] = m.GetGauge().GetValue()
			default:
				all[name] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	text := strings.Replace(many(4), `base_url: "https://partner.test/api", token_env: TOKEN_003`, "token_env: TOKEN_003", 1)
	bubble(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b := newBench(t, text, func(o *runner.Options) {
			o.Registerer, o.DeliveryTimeout = reg, 15*time.Second
			o.Lag = func(context.Context) (func(string) (time.Duration, bool), error) {
				return func(string) (time.Duration, bool) { return time.Hour, true }, nil
			}
		})
		b.partner.answer = func(c call, _ int) (*http.Response, error) {
			switch c.id {
			case "icfg_001":
				return status(http.StatusForbidden, ""), nil
			case "icfg_002":
				return nil, errLost
			default:
				return nil, nil
			}
		}
		b.run(t, runner.Request{})
		ended := time.Now()
		time.Sleep(30 * time.Minute)
		got := values(t, reg)
		for name, want := range map[string]float64{
			"reports_total accepted vercel": 2, "reports_total refused vercel": 2, "reports_total failed vercel": 2,
			"reports_total superseded vercel": 0, "reports_total expired vercel": 0,
			"attempts_total 2xx vercel": 2, "attempts_total 4xx vercel": 2,
			"installations ok": 1, "installations refused": 1, "installations failing": 1, "installations unsendable": 1,
			"unsendable_total base_url": 1, "unsendable_total token": 0, "stale_total": 6, "overtaken_total": 0,
			"run_seconds": 1, "run_errors_total": 0, "last_run_timestamp_seconds": float64(ended.Unix()), "unrecorded_total": 0,
		} {
			if is, ok := got[name]; !ok || is != want {
				t.Errorf("%s is %v, want %v", name, is, want)
			}
		}
		if got["attempts_total none vercel"] < 4 {
			t.Errorf("%v attempts without an answer", got["attempts_total none vercel"])
		}
		if age := got["oldest_acceptance_seconds"]; age < 1800 || age > 1830 {
			t.Errorf("the oldest acceptance is %v s ago", age)
		}
		for name := range got {
			if strings.Contains(name, "icfg") {
				t.Errorf("%s names an installation", name)
			}
		}
	})
}

// A process can be killed at every step; each is announced before anything of it is done.
func TestStepsAreAnnounced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var b *bench
		var seen []string
		b = newBench(t, many(1), func(o *runner.Options) {
			o.At = func(step string) {
				seen = append(seen, step)
				done := map[string]int{"claim": len(b.claims), "store": len(b.rows), "send": len(b.partner.all)}
				if done[step] > 0 && !slices.Contains(seen, "sent") {
					t.Errorf("%s was begun before it was announced", step)
				}
			}
		})
		b.run(t, runner.Request{})
		if want := slices.Insert(runner.Steps(), 7, "send", "sent"); fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", seen, want)
		}
		// History, subscriptions and figures are read after the claim, and the check comes after what is to be sent was stored: the proof in
		// ledger.ReportStore stands on it.
		if want := "[last claim history used figures write claimed write]"; fmt.Sprint(b.done) != want {
			t.Errorf("%v, want %v", b.done, want)
		}
	})
}
