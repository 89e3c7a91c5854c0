package awsmarketplace

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"reckoner/internal/catalog"
	"reckoner/ledger/report/partner"
)

// DefaultGrace is how long after its end an hour is left alone, so that what came in last is counted in its own hour. What
// comes later is not lost: it goes out with the next hour.
const DefaultGrace = 10 * time.Minute

// Options are what a Target works with.
type Options struct {
	// Grace is how long after its end an hour is reported. 0: DefaultGrace.
	Grace time.Duration
	// Load returns the SDK's configuration, credentials among it. Nil: the SDK's own way (environment, profile, role).
	Load func(ctx context.Context) (aws.Config, error)
	// Transport carries the requests. Nil: one of its own.
	Transport http.RoundTripper
}

// Target reports to the AWS Marketplace. It is safe for concurrent use.
type Target struct {
	grace time.Duration
	load  func(ctx context.Context) (aws.Config, error)
	http  *http.Client

	mu     sync.Mutex
	loaded *aws.Config
}

var (
	_ partner.Ambient = (*Target)(nil)
	_ partner.Carrier = (*Target)(nil)
)

// New returns a Target. Credentials are looked for at the first delivery.
func New(o Options) *Target {
	t := &Target{grace: o.Grace, load: o.Load, http: newHTTP(o.Transport)}
	if t.grace == 0 {
		t.grace = DefaultGrace
	}
	if t.load == nil {
		t.load = func(ctx context.Context) (aws.Config, error) {
			// Each delivery names its own region; one is given here so that the SDK asks nobody for one.
			return config.LoadDefaultConfig(ctx, config.WithRegion("us-east-1"))
		}
	}
	return t
}

// Name is that of the catalog.
func (*Target) Name() string { return catalog.TargetAWSMarketplace }

// CarriesOver says that an hour that could not be reported goes out with the next one.
func (*Target) CarriesOver() {}

// Ambient says that AWS is found, and credentials for it, by the SDK.
func (*Target) Ambient() {}

// Takes is how long AWS takes records. Whatever was reported before that is in the state of the newest report.
func (*Target) Takes() time.Duration { return takes }

// config returns the SDK's configuration. One that could not be loaded is tried again at the next delivery.
func (t *Target) config(ctx context.Context) (aws.Config, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loaded == nil {
		c, err := t.load(ctx)
		if err != nil {
			return aws.Config{}, err
		}
		t.loaded = &c
	}
	return *t.loaded, nil
}
