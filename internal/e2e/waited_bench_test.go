package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// BenchmarkWaitedUsage measures how long POST /usages takes, the decision and its row in ClickHouse included, when nothing
// else happens and at 500 requests a second. At a rate, a request's time begins when it was due, so that a server that
// stands still is not asked less.
func BenchmarkWaitedUsage(b *testing.B) {
	i := newInstallation(b, patient())
	account := uuid.NewString()
	i.dev(b, "--catalog", catalogFile(b, catalogWith(account,
		"meters: [{name: api_calls, unit: calls}]\n"+subscriptionOf(account, "api_calls", "1000000000"))))
	a := i.producer()
	a.client.Transport = &http.Transport{MaxIdleConnsPerHost: 1000}
	body := m{"subscriptionId": sharedSubscription, "quantity": 1}
	post := func(b *testing.B, due time.Time) time.Duration {
		if got := a.post(b, "/usages", body); got.status != http.StatusCreated {
			b.Errorf("answered %s", got)
		}
		return time.Since(due)
	}
	for range 50 { // connections, caches, the first parts
		post(b, time.Now())
	}
	b.Run("idle", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			took = append(took, post(b, time.Now()))
		}
		spread(b, took)
	})
	b.Run(fmt.Sprintf("rate=%d", 500), func(b *testing.B) {
		const gap = time.Second / 500
		took := make([]time.Duration, b.N)
		var work sync.WaitGroup
		began := time.Now()
		for n := range b.N {
			due := began.Add(time.Duration(n) * gap)
			<-time.After(time.Until(due))
			work.Go(func() { took[n] = post(b, due) })
		}
		work.Wait()
		spread(b, took)
	})
}

func spread(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(percent int) float64 { return float64(took[(len(took)-1)*percent/100].Microseconds()) / 1000 }
	b.ReportMetric(at(50), "p50-ms")
	b.ReportMetric(at(99), "p99-ms")
}
