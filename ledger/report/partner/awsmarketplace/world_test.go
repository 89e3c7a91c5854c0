package awsmarketplace_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/awsmarketplace"
)

const accountID = "9c1e0000-0000-4000-8000-000000000001"

// start is near the end of a month, after which AWS takes that month's records for six hours only.
var start = time.Date(2026, 10, 30, 6, 0, 0, 0, time.UTC)

const twoDimensions = "{meter: calls, dimension: calls_1k, unit: 1000}, {meter: bytes, dimension: gb, unit: 0.5}"

// document is a catalog with one installation at AWS. rest is put into the installation.
func document(dimensions, rest string) string {
	return `organizations: [{id: o}]
accounts: [{id: ` + accountID + `, organization: o}]
meters: [{name: calls}, {name: bytes}, {name: disk, type: total}]
subscriptions: [{id: s1, account: ` + accountID + `}, {id: s2, account: ` + accountID + `}]
installations:
- id: i1
  target: aws-marketplace
  account: ` + accountID + `
  aws: {license_arn: "arn:aws:license-manager::294406891311:license:l-1", region: eu-west-1, customer_account_id: "123456789012",
    from: ` + start.Format(time.RFC3339) + `, dimensions: [` + dimensions + `]}
` + rest
}

func parse(t testing.TB, text string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse("catalog.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func termsOf(t testing.TB, c *catalog.Catalog) *report.Terms {
	t.Helper()
	for in := range c.Installations() {
		terms, err := report.TermsOf(c, report.MetersOf(c), in)
		if err != nil {
			t.Fatal(err)
		}
		return terms
	}
	t.Fatal("no installation")
	return nil
}

// usage is what the ledger holds: an amount in a bucket.
type usage struct {
	subscription, meter string
	bucket              time.Time
	quantity            reckoner.Quantity // of a revert negative
	offset              int64
}

// store is a ledger in memory. Its rows are as the real one gives them back.
type store struct {
	mu      sync.Mutex
	usages  []usage
	rows    []ledger.Report
	claims  []ledger.ReportClaim
	written func(rows []ledger.Report) error // before they are stored; nil: nothing
}

func (s *store) use(subscription, meter string, at time.Time, q reckoner.Quantity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usages = append(s.usages, usage{subscription, meter, reckoner.BucketOf(at), q, int64(len(s.usages))})
}

// Figures folds what there is.
func (s *store) Figures(_ context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fold(queries, func(*ledger.FiguresQuery, usage) bool { return true }), nil
}

// FiguresAt folds what there was.
func (s *store) FiguresAt(_ context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fold(queries, func(q *ledger.FiguresQuery, u usage) bool { return q.AsOf != nil && u.offset <= q.AsOf.Offset }), nil
}

// SubscriptionsUsed is what the only account has used.
func (s *store) SubscriptionsUsed(_ context.Context, accounts []string) (map[string]map[string]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[string]time.Time{}
	for _, u := range s.usages {
		if u.bucket.After(last[u.subscription]) {
			last[u.subscription] = u.bucket
		}
	}
	used := map[string]map[string]time.Time{}
	for _, account := range accounts {
		used[account] = last
	}
	return used, nil
}

func (s *store) fold(queries []ledger.FiguresQuery, counts func(*ledger.FiguresQuery, usage) bool) []ledger.Figures {
	all := make([]ledger.Figures, len(queries))
	for i := range queries {
		q := &queries[i]
		sums := map[ledger.Figure]reckoner.Quantity{}
		for _, u := range s.usages {
			at, exact := slices.BinarySearchFunc(q.Edges, u.bucket, time.Time.Compare)
			if !exact {
				at--
			}
			if !counts(q, u) || !slices.Contains(q.SubscriptionIDs, u.subscription) || at < 0 || at+1 >= len(q.Edges) {
				continue
			}
			k := ledger.Figure{SubscriptionID: u.subscription, Meter: u.meter, MeterType: reckoner.Interval,
				Slice: reckoner.Period{Start: q.Edges[at], End: q.Edges[at+1]}}
			sum, err := sums[k].Add(u.quantity)
			if err != nil {
				panic(err)
			}
			sums[k] = sum
			all[i].AsOf = &reckoner.Position{Offset: u.offset}
		}
		for k, sum := range sums {
			k.Quantity = sum
			all[i].Rows = append(all[i].Rows, k)
		}
	}
	return all
}

func (*store) Behind(context.Context, ledger.FiguresQuery) iter.Seq2[ledger.Entry, error] {
	return func(func(ledger.Entry, error) bool) {}
}

// total is what was used of a meter by some subscriptions until a time.
func (s *store) total(meter string, until time.Time, of ...string) reckoner.Quantity {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum reckoner.Quantity
	for _, u := range s.usages {
		if u.meter == meter && u.bucket.Before(until) && slices.Contains(of, u.subscription) && !u.bucket.Before(start) {
			sum, _ = sum.Add(u.quantity)
		}
	}
	return sum
}

func (s *store) LastTimestamps(_ context.Context, ids []string) (map[string]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[string]time.Time{}
	see := func(id string, at time.Time) {
		if slices.Contains(ids, id) && at.After(last[id]) {
			last[id] = at
		}
	}
	for i := range s.rows {
		see(s.rows[i].InstallationID, s.rows[i].Timestamp)
	}
	for _, c := range s.claims {
		see(c.InstallationID, c.Timestamp)
	}
	return last, nil
}

func (s *store) Claim(_ context.Context, claims []ledger.ReportClaim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims = append(s.claims, claims...)
	return nil
}

func (s *store) Claimed(_ context.Context, ids []string, reporter string) (map[string]time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[string]time.Time{}
	for _, c := range s.claims {
		if c.Reporter != reporter && slices.Contains(ids, c.InstallationID) && c.Timestamp.After(last[c.InstallationID]) {
			last[c.InstallationID] = c.Timestamp
		}
	}
	return last, nil
}

func (s *store) History(_ context.Context, ids []string, since time.Time) ([]ledger.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	chosen := map[string]*ledger.Report{}
	choose := func(k string, r *ledger.Report) {
		if k += r.InstallationID; chosen[k] == nil || r.Timestamp.After(chosen[k].Timestamp) {
			chosen[k] = r
		}
	}
	for i := range s.rows {
		r := &s.rows[i]
		if !slices.Contains(ids, r.InstallationID) || r.Status == ledger.ReportSuperseded {
			continue
		}
		choose("all", r)
		if r.Status == ledger.ReportAccepted {
			choose("accepted", r)
		}
		if r.Day.End.After(since) {
			choose(fmt.Sprint(r.Period, r.Day), r)
		}
	}
	seen := map[*ledger.Report]bool{}
	var out []ledger.Report
	for _, r := range chosen {
		if !seen[r] {
			seen[r] = true
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b ledger.Report) int {
		return cmp.Or(strings.Compare(a.InstallationID, b.InstallationID), a.Timestamp.Compare(b.Timestamp))
	})
	return out, nil
}

func (s *store) WriteReports(_ context.Context, rows []ledger.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.written != nil {
		if err := s.written(rows); err != nil {
			return err
		}
	}
	for _, r := range rows {
		i := slices.IndexFunc(s.rows, func(o ledger.Report) bool {
			return o.InstallationID == r.InstallationID && o.Timestamp.Equal(r.Timestamp) && o.Reporter == r.Reporter
		})
		switch {
		case i < 0:
			s.rows = append(s.rows, r)
		case r.Revision > s.rows[i].Revision:
			s.rows[i] = r
		}
	}
	return nil
}

// rig is a target with AWS before it.
type rig struct {
	t      testing.TB
	aws    *fake
	url    string
	target *awsmarketplace.Target
	ledger *store
	now    atomic.Int64 // the clock of the world: a call that nobody waits for any more may still look at it
}

// load gives the SDK credentials that the fake knows.
func load(context.Context) (aws.Config, error) {
	return aws.Config{Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "hunter2", SessionToken: "s3ss10n"}, nil
	})}, nil
}

func (r *rig) clock() time.Time { return time.Unix(0, r.now.Load()).UTC() }

func (r *rig) set(t time.Time) { r.now.Store(t.UnixNano()) }

func newRig(t testing.TB) *rig {
	r := &rig{t: t, ledger: new(store), target: awsmarketplace.New(awsmarketplace.Options{Load: load})}
	r.set(start)
	r.aws = newFake(r.clock)
	server := httptest.NewUnstartedServer(r.aws)
	server.Config.ErrorLog = nil
	server.Start()
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// deliver sends a payload once.
func (r *rig) deliver(payload []byte, attempt uint32, before *partner.Answer) partner.Answer {
	return r.target.Deliver(r.t.Context(), &partner.Delivery{BaseURL: r.url, Payload: payload, Attempt: attempt, Before: before})
}

var _ http.Handler = (*fake)(nil)
