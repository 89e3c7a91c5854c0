package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report/partner"
)

// Ledger is what a runner needs of the ledger.
type Ledger interface {
	ledger.FiguresReader
	ledger.ReportStore
}

// Options are what a runner works with.
type Options struct {
	Ledger  Ledger
	Catalog func() *catalog.Catalog // the present one
	Targets []partner.Target
	// Lag returns how far the aggregator is behind the log, by account; false: unknown. Nil, and an error: unknown for all.
	// Reports are sent all the same.
	Lag func(ctx context.Context) (of func(accountID string) (time.Duration, bool), err error)
	// BaseURL is where installations without a base_url are reported to. Empty: nowhere.
	BaseURL string
	Getenv  func(name string) string // nil: os.Getenv

	Batch           int // installations whose reports are made together
	Concurrency     int // deliveries at a time, of installations whose last report was accepted
	SlowConcurrency int // and of the others
	RequestTimeout  time.Duration
	DeliveryTimeout time.Duration
	RetryBackoffMin time.Duration
	RetryBackoffMax time.Duration
	MaxLag          time.Duration
	// ShutdownTimeout is how long what was under way may take after Run's or Loop's ctx ended. 0: 20 s.
	ShutdownTimeout time.Duration

	Reporter   string                              // names this process among all that ever reported; empty: a random one
	Now        func() time.Time                    // the clock by which days are reported; nil: time.Now
	Random     func(n time.Duration) time.Duration // a wait in [0, n), n > 0; nil: random
	At         func(step string)                   // called before each of Steps; nil: nothing is
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Steps are the steps of a report that At is told of, in their order.
func Steps() []string {
	return []string{"claim", "history", "figures", "store", "check", "send", "sent", "record"}
}

const shutdownTimeout = 20 * time.Second

// complete fills in what may be left out, and checks the rest.
func (o *Options) complete() error {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.N[time.Duration]
	}
	if o.At == nil {
		o.At = func(string) {}
	}
	if o.Reporter == "" {
		o.Reporter = uuid.NewString()
	}
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = shutdownTimeout
	}
	var errs []error
	check := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New("reports: "+what))
		}
	}
	check(o.Ledger != nil && o.Catalog != nil && o.Log != nil && o.Registerer != nil, "ledger, catalog, log and registerer are needed")
	check(len(o.Targets) > 0, "there is no target")
	check(o.Batch > 0 && o.Concurrency > 0 && o.SlowConcurrency > 0, "batch and concurrencies are 1 at least")
	check(o.RequestTimeout > 0 && o.DeliveryTimeout > 0 && o.RetryBackoffMin > 0 && o.ShutdownTimeout > 0, "timeouts and backoffs are positive")
	check(o.RetryBackoffMax >= o.RetryBackoffMin, "the greatest backoff is less than the least one")
	names := make(map[string]bool)
	for _, t := range o.Targets {
		check(!names[t.Name()], fmt.Sprintf("two targets are named %q", t.Name()))
		names[t.Name()] = true
	}
	return errors.Join(errs...)
}
