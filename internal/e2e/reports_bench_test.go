package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/clickhouse"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner/vercel/receiver"
)

// What BenchmarkReports reports: so many installations, with so many meters each.
const (
	benchInstallations = 10_000
	benchMeters        = 5
	benchConcurrency   = 32 // the default of report.concurrency
	benchBatch         = 500
)

// BenchmarkReports measures `report --once` over ten thousand installations, and beside it what it cannot do without: the same
// figures from ClickHouse and the same POSTs, bare. first is a run of which the partner has nothing yet (the day that ended
// and the current one); steady the ones that follow. Run it with -benchtime 1x.
func BenchmarkReports(b *testing.B) {
	r := newReported(b, benchInstallations, 2*time.Hour)
	var meters, prices strings.Builder
	for n := range benchMeters {
		fmt.Fprintf(&meters, "- {name: m%d, match: {type: feature, source: m%d}}\n", n, n)
		fmt.Fprintf(&prices, `{meter: m%d, unit_price: "0.01", included: "10"},`, n)
	}
	r.catalog = strings.NewReplacer("accounts:\n", "meters:\n"+meters.String()+"accounts:\n", `{meter: credit, unit_price: "0.01", included: "10"}`, prices.String(),
		"plan: pro, meter: credit", "plan: pro").Replace(r.catalog)
	r.processes(b)
	r.fill(b)
	r.drain(b)
	b.Run("first", func(b *testing.B) { r.measure(b) })
	b.Run("steady", func(b *testing.B) {
		r.fill(b)
		r.drain(b)
		r.measure(b)
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			b.Log(strings.TrimSpace(r.command(b, 0, "check")))
		}
	})
	b.Run("figures", func(b *testing.B) { r.bareFigures(b) })
	b.Run("posts", func(b *testing.B) { r.barePosts(b) })
}

// fill reports a usage of every meter of every installation.
func (r *reported) fill(b *testing.B) {
	b.Helper()
	a := r.producer()
	a.client.Transport = &http.Transport{MaxIdleConnsPerHost: benchConcurrency}
	r.each(func(n int) {
		var list []m
		for k := range benchMeters {
			list = append(list, m{"id": uuid.NewString(), "amount": n%50 + k + 1, "type": "feature", "source": fmt.Sprint("m", k)})
		}
		if got, err := a.try("POST", createPath(r.accounts[n]), usages(list...)); err != nil || got.status != 200 {
			b.Errorf("usage of installation %d: %s %v", n, got, err)
		}
	})
}

// each does something for every installation, several at a time.
func (r *reported) each(do func(n int)) {
	var work sync.WaitGroup
	next := make(chan int)
	for range benchConcurrency {
		work.Go(func() {
			for n := range next {
				do(n)
			}
		})
	}
	for n := range r.accounts {
		next <- n
	}
	close(next)
	work.Wait()
}

// measure runs `report --once` and tells its time, and the most memory that it ever held.
func (r *reported) measure(b *testing.B) {
	b.Helper()
	had := r.value(b, "SELECT count() FROM partner_reports")
	var peak int64
	b.ResetTimer()
	for b.Loop() {
		p := start(b, r.env, append([]string{"report", "--once"}, r.at()...)...)
		for !p.gone() {
			peak = max(peak, p.Memory("VmHWM"))
			<-time.After(10 * time.Millisecond) // a process that ended has no memory to read
		}
		if status := p.wait(b, time.Minute); status != 0 {
			b.Fatalf("status %d\n%s%s", status, p.out.String(), p.log.String())
		}
		b.Log(strings.TrimSpace(p.out.String()))
	}
	b.StopTimer()
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	b.Logf("reports stored: %s before, %s after", had, r.value(b, "SELECT count() FROM partner_reports"))
}

// bareFigures asks ClickHouse for what a run asks for, and does nothing with it.
func (r *reported) bareFigures(b *testing.B) {
	b.Helper()
	c, err := catalog.Parse("catalog.yaml", []byte(r.catalog))
	if err != nil {
		b.Fatal(err)
	}
	meters, now := report.MetersOf(c), time.Now()
	var queries []ledger.FiguresQuery
	for in := range c.Installations() {
		terms, err := report.TermsOf(c, meters, in)
		if err != nil {
			b.Fatal(err)
		}
		for _, part := range terms.Calendar().Due(now, 23*time.Hour) { // as in the runs: the day that ended, and the current one
			queries = append(queries, ledger.FiguresQuery{AccountID: in.AccountID, SubscriptionIDs: terms.SubscriptionIDs(), Edges: terms.Edges(part)})
		}
	}
	l, err := clickhouse.Open(clickhouse.Options{URL: "http://" + r.clickhouse})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	rows := 0
	b.ResetTimer()
	for b.Loop() {
		rows = 0
		for from := 0; from < len(queries); from += benchBatch {
			answers, err := l.Figures(b.Context(), queries[from:min(from+benchBatch, len(queries))])
			if err != nil {
				b.Fatal(err)
			}
			for i := range answers {
				rows += len(answers[i].Rows)
			}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(len(queries)), "queries")
	if rows < benchInstallations*benchMeters {
		b.Errorf("%d figures of %d installations with %d meters", rows, benchInstallations, benchMeters)
	}
}

// barePosts sends the payloads that were sent last, over sockets, to a receiver of its own.
func (r *reported) barePosts(b *testing.B) {
	b.Helper()
	bodies, count := make([][]receiver.Taken, len(r.accounts)), 0
	for n := range bodies {
		if bodies[n] = r.partner.Latest(fmt.Sprintf("icfg_%d", n)); len(bodies[n]) == 0 {
			b.Fatalf("installation %d was not reported", n)
		}
		count += len(bodies[n])
	}
	server := httptest.NewServer(receiver.New(receiver.Options{}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchConcurrency}}
	b.ResetTimer()
	for b.Loop() {
		r.each(func(n int) {
			for i := range bodies[n] {
				barePost(b, client, fmt.Sprintf("%s/v1/installations/icfg_%d/billing", server.URL, n), bodies[n][i].Body)
			}
		})
	}
	b.ReportMetric(float64(count), "posts")
}

func barePost(b *testing.B, client *http.Client, url string, body []byte) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer any")
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	if _ = res.Body.Close(); res.StatusCode != http.StatusCreated {
		b.Errorf("%s: %d", url, res.StatusCode)
	}
}
