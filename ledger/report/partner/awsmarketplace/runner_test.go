package awsmarketplace_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/runner"
)

// newRunner returns a runner of its own process.
func (r *rig) newRunner(c *catalog.Catalog, now func() time.Time, at func(step string)) *runner.Runner {
	run, err := runner.New(runner.Options{
		Ledger: r.ledger, Catalog: func() *catalog.Catalog { return c }, Targets: []partner.Target{r.target},
		Batch: 10, Concurrency: 2, SlowConcurrency: 2, RequestTimeout: 5 * time.Second, DeliveryTimeout: 20 * time.Millisecond, ShutdownTimeout: 200 * time.Millisecond,
		RetryBackoffMin: time.Millisecond, RetryBackoffMax: time.Millisecond, MaxLag: time.Minute,
		Now: now, At: at, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return run
}

// The port is right: the runner that reports to others reports to AWS. Two of them run at once, AWS fails, hours and days are
// missed; and in the end AWS has what was used, and was told one quantity of every hour.
func TestTheRunnerReportsToAWS(t *testing.T) {
	r := newRig(t)
	var now atomic.Int64
	now.Store(start.Add(90 * time.Minute).UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()).UTC() }
	r.aws.now = clock
	dice := rand.New(rand.NewPCG(7, 9)) //nolint:gosec // a test's
	calm := false
	r.aws.fault = func(n int) trap {
		if calm {
			return trap{}
		}
		return []trap{{}, {}, {}, {code: "ThrottlingException"}, {skip: map[int]bool{n - 1: true}}, {code: "AccessDeniedException"}}[dice.IntN(6)]
	}
	c := parse(t, withURL(document(twoDimensions, ""), r.url))
	runners := []*runner.Runner{r.newRunner(c, clock, nil), r.newRunner(c, clock, nil)}
	play := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	for step := range 120 {
		for range play.IntN(4) {
			r.ledger.use([]string{"", "s1", "s2"}[play.IntN(3)], []string{"calls", "bytes"}[play.IntN(2)],
				clock().Add(-time.Duration(play.IntN(40))*time.Hour), reckoner.Thousandths(play.Int64N(3_000_000)))
		}
		pass := []time.Duration{20 * time.Minute, time.Hour, time.Hour, 3 * time.Hour, 30 * time.Hour}[play.IntN(5)]
		if pass > 24*time.Hour {
			// Of what two reporters were sending at once nobody may know what came of it. It is found out while AWS takes that hour.
			calm = true
			if s, err := runners[0].Run(t.Context(), runner.Request{}, nil); err != nil || s.Accepted+s.Unchanged != 1 {
				t.Fatalf("%+v %v", s, err)
			}
			calm = false
		}
		now.Add(int64(pass))
		var both sync.WaitGroup
		for _, one := range runners[:1+step%2] {
			both.Go(func() {
				if _, err := one.Run(t.Context(), runner.Request{}, nil); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	calm = true
	for range 3 {
		now.Add(int64(time.Hour))
		if s, err := runners[0].Run(t.Context(), runner.Request{}, nil); err != nil || s.Failed+s.Refused+s.Unsendable > 0 {
			t.Fatalf("%+v %v", s, err)
		}
	}
	r.isRight(t, clock())
}

// isRight asks whether AWS has all whole units of what was used.
func (r *rig) isRight(t *testing.T, now time.Time) {
	t.Helper()
	for _, c := range []struct {
		meter, dimension string
		unit             reckoner.Quantity
	}{{"calls", "calls_1k", reckoner.Units(1000)}, {"bytes", "gb", reckoner.Thousandths(500)}} {
		is := r.ledger.total(c.meter, now.Truncate(time.Hour), "", "s1", "s2")
		held := times(r.aws.billed(c.dimension), c.unit)
		left, _ := is.Sub(held)
		if left.Sign() < 0 || left.Cmp(c.unit) >= 0 || held.IsZero() {
			t.Errorf("%s of %s was used and AWS has %s: %s is left over, and a unit is %s", is, c.meter, held, left, c.unit)
		}
	}
	if len(r.aws.duplicates) > 0 {
		t.Errorf("AWS was told two quantities of %v", r.aws.duplicates)
	}
	seen := map[time.Time]bool{}
	for i := range r.ledger.rows {
		if row := &r.ledger.rows[i]; row.Status == ledger.ReportExpired {
			t.Errorf("%s is said to have expired", row.Day)
		} else if row.Status == ledger.ReportSuperseded {
			continue
		} else if seen[row.Timestamp] {
			t.Errorf("two reports of %s", row.Timestamp)
		} else {
			seen[row.Timestamp] = true
		}
	}
}

// A process that was killed after it sent and before it could record it: the next one says the same again, and AWS takes it
// as one.
func TestAKilledReporterIsFollowedByAnother(t *testing.T) {
	for _, step := range []string{"claim", "store", "check", "send", "sent", "record"} {
		r := newRig(t)
		r.set(start.Add(3*time.Hour + 30*time.Minute))
		r.ledger.use("s1", "calls", start.Add(time.Hour), reckoner.Units(5500))
		r.ledger.use("", "bytes", start.Add(2*time.Hour), reckoner.Thousandths(1700))
		c := parse(t, withURL(document(twoDimensions, ""), r.url))
		dead := false
		r.ledger.written = func([]ledger.Report) error {
			if dead {
				return errors.New("the process is dead")
			}
			return nil
		}
		ctx, kill := context.WithCancel(t.Context())
		killed := r.newRunner(c, r.clock, func(at string) {
			if at == step {
				dead = true
				kill()
			}
		})
		_, _ = killed.Run(ctx, runner.Request{}, nil)
		kill()
		dead = false
		r.ledger.use("s1", "calls", start.Add(time.Hour), reckoner.Units(1000)) // late: the same hour would come to more
		for range 2 {
			if _, err := r.newRunner(c, r.clock, nil).Run(t.Context(), runner.Request{}, nil); err != nil {
				t.Fatal(err)
			}
			r.set(r.clock().Add(time.Hour))
		}
		if calls, bytes := r.aws.billed("calls_1k"), r.aws.billed("gb"); calls != 6 || bytes != 3 || len(r.aws.duplicates) > 0 {
			t.Errorf("killed at %s: AWS has %d and %d, told twice: %v", step, calls, bytes, r.aws.duplicates)
		}
	}
}

// withURL sends a document's installation to a fake.
func withURL(text, url string) string {
	return strings.Replace(text, "  target:", fmt.Sprintf("  base_url: %q\n  target:", url), 1)
}
