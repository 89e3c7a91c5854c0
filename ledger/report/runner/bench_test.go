package runner_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/vercel"
	"reckoner/ledger/report/runner"
)

// instant is a ledger that answers at once: 5 meters of every subscription in every slice, and reports that nobody keeps.
type instant struct {
	*memory
	peak atomic.Uint64 // bytes of the heap
}

func (i *instant) Figures(_ context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	out := make([]ledger.Figures, len(queries))
	for n, q := range queries {
		out[n].AsOf = &reckoner.Position{Log: 1, Offset: 1}
		for m := range 5 {
			for e := 1; e < len(q.Edges); e++ {
				out[n].Rows = append(out[n].Rows, ledger.Figure{
					SubscriptionID: q.SubscriptionIDs[len(q.SubscriptionIDs)-1], Meter: fmt.Sprintf("m%d", m), MeterType: reckoner.Interval,
					Slice: reckoner.Period{Start: q.Edges[e-1], End: q.Edges[e]}, Quantity: reckoner.Thousandths(123_456),
				})
			}
		}
	}
	return out, nil
}

func (i *instant) LastTimestamps(context.Context, []string) (map[string]time.Time, error) {
	return nil, nil
}
func (i *instant) Claim(context.Context, []ledger.ReportClaim) error { return nil }
func (i *instant) Claimed(context.Context, []string, string) (map[string]time.Time, error) {
	return nil, nil
}
func (i *instant) History(context.Context, []string, time.Time) ([]ledger.Report, error) {
	return nil, nil
}
func (i *instant) WriteReports(context.Context, []ledger.Report) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	i.peak.Store(max(i.peak.Load(), m.HeapInuse))
	return nil
}

type taker struct{}

func (taker) RoundTrip(req *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, req.Body)
	return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody, Header: http.Header{}}, err
}

// BenchmarkRun is one run of 10,000 installations with 5 meters each, without the time of ledger and partner: what is left is
// the runner's own.
func BenchmarkRun(b *testing.B) {
	const installations = 10_000
	var text strings.Builder
	text.WriteString("organizations: [{id: o}]\nmeters:\n")
	for m := range 5 {
		fmt.Fprintf(&text, "  - {name: m%d, unit: u, type: interval}\n", m)
	}
	text.WriteString("plans: [{id: pro, prices: [{meter: m0, unit_price: \"0.5\"}, {meter: m1, unit_price: \"0.25\"}]}]\n")
	var accounts, subscriptions, all strings.Builder
	for i := range installations {
		id := fmt.Sprintf("9c1e0000-0000-4000-8000-%012d", i)
		fmt.Fprintf(&accounts, "  - {id: %s, organization: o}\n", id)
		fmt.Fprintf(&subscriptions, "  - {id: s%d, account: %s, plan: pro}\n", i, id)
		fmt.Fprintf(&all, "  - {id: icfg_%05d, target: vercel, account: %s, base_url: \"https://partner.test\", token_env: TOKEN, resources: [{subscription: s%d, resource_id: r}]}\n", i, id, i)
	}
	text.WriteString("accounts:\n" + accounts.String() + "subscriptions:\n" + subscriptions.String() + "installations:\n" + all.String())
	c := parse(b, text.String())
	l := &instant{memory: newMemory()}
	r, err := runner.New(runner.Options{
		Ledger: l, Catalog: func() *catalog.Catalog { return c }, Getenv: func(string) string { return "token" },
		Targets: []partner.Target{vercel.New(vercel.Options{Transport: taker{}})}, Batch: 500, Concurrency: 32, SlowConcurrency: 16,
		RequestTimeout: 10 * time.Second, DeliveryTimeout: 5 * time.Minute, RetryBackoffMin: time.Second, RetryBackoffMax: time.Minute,
		MaxLag: time.Minute, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		if s, err := r.Run(b.Context(), runner.Request{}, nil); err != nil || s.Accepted != installations {
			b.Fatalf("%v, %+v", err, s)
		}
	}
	b.ReportMetric(float64(installations)*float64(b.N)/b.Elapsed().Seconds(), "installations/s")
	b.ReportMetric(float64(l.peak.Load()-before.HeapInuse)/(1<<20), "MiB-peak")
}
