// Package vercel reports to the Vercel Marketplace: usage and billing items of a day and its period, as running totals, to
// each installation's own address with its own access token. The newest timestamp wins there, so sending again is always safe.
//
// What is reported is that of ledger/report, as it is (draft.go); how it is sent, and what an answer means, is here
// (deliver.go, answer.go).
package vercel

import (
	"cmp"
	"net"
	"net/http"
	"time"

	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
)

// Name is that of the target in the catalog.
const Name = "vercel"

// takes is how long after its end the partner takes a part: period.end and eod are not older when a report arrives.
const takes = 24 * time.Hour

// What a zero option comes to.
const (
	defaultConcurrency     = 48
	defaultDeliveryTimeout = 5 * time.Minute
)

// Options are what a target can be told. All may be zero.
type Options struct {
	// Concurrency is how many deliveries there are at once: so many connections are kept open. 0: 48.
	Concurrency int
	// DeliveryTimeout is how long after the moment of a report its delivery may still go on, with all that is tried again. A part
	// is due only if it is still taken by then. 0: 5 minutes.
	DeliveryTimeout time.Duration
	Version         string            // of this program, for the User-Agent
	Now             func() time.Time  // for Retry-After given as a date; nil: the clock
	Transport       http.RoundTripper // nil: one of its own
}

// Target is the partner. It is safe for concurrent use.
type Target struct {
	o         Options
	client    *http.Client
	userAgent string
}

var _ partner.Target = (*Target)(nil)

// New makes a target.
func New(o Options) *Target {
	o.Concurrency = cmp.Or(max(o.Concurrency, 0), defaultConcurrency)
	o.DeliveryTimeout = min(cmp.Or(max(o.DeliveryTimeout, 0), defaultDeliveryTimeout), takes/2)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		o.Transport = transport(o.Concurrency)
	}
	return &Target{
		o: o, userAgent: "reckoner/" + cmp.Or(o.Version, "dev"),
		client: &http.Client{
			Transport:     o.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token would go along
		},
	}
}

// transport keeps a connection for every delivery there may be at once. How long a delivery may take is its context's.
func transport(concurrency int) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           concurrency,
		MaxIdleConnsPerHost:    concurrency, // often all installations are at one host
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // an answer is empty or a line
		ForceAttemptHTTP2:      true,
	}
}

// Close lets go of the connections that are idle.
func (t *Target) Close() { t.client.CloseIdleConnections() }

// Name returns the target's name in the catalog.
func (t *Target) Name() string { return Name }

// Takes returns how long after its end the partner takes reports of a part.
func (t *Target) Takes() time.Duration { return takes }

// Due returns the parts that can still be delivered, and last the one that holds now.
func (t *Target) Due(terms *report.Terms, _ []ledger.Report, now time.Time) ([]report.Part, error) {
	return terms.Calendar().Due(now, takes-t.o.DeliveryTimeout), nil
}

// Edges returns where the ledger is to be cut for a part.
func (t *Target) Edges(terms *report.Terms, _ []ledger.Report, part report.Part) []time.Time {
	return terms.Edges(part)
}
