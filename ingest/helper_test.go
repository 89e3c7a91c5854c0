package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/internal/openapi/openapitest"
	"reckoner/internal/wire"
	"reckoner/ledger"
)

const (
	acme    = "6f0d0000-0000-4000-8000-000000000001"
	globex  = "6f0d0000-0000-4000-8000-000000000002"
	hollow  = "6f0d0000-0000-4000-8000-000000000003" // has no active account
	site    = "0a410000-0000-4000-8000-000000000001"
	account = "9c1e0000-0000-4000-8000-000000000001" // acme's, with a subscription
	closed  = "9c1e0000-0000-4000-8000-000000000002" // acme's, disabled
	other   = "9c1e0000-0000-4000-8000-000000000003" // globex's
	usageID = "11111111-1111-4111-8111-111111111111"

	createPath  = "/v1beta1/organizations/" + acme + "/billing/" + account + "/usages"
	createShort = "/v1beta1/organizations/billing/usages"
	revertPath  = "/v1beta1/admin/organizations/" + acme + "/billing/" + account + "/usage/" + usageID + "/revert"
	revertShort = "/v1beta1/organizations/billing/usages/revert"
	readPath    = "/v1beta1/organizations/" + acme + "/billing/" + account + "/transactions"
	debitedPath = "/v1beta1/organizations/" + acme + "/billing/" + account + "/debited_transactions_total"
)

func noon() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 123456789, time.UTC) }

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func catalogText() string {
	return fmt.Sprintf(`
organizations: [{id: %[1]s, name: acme}, {id: %[2]s, name: globex}, {id: %[3]s, name: hollow}]
projects: [{id: %[4]s, name: site, organization: %[1]s}]
accounts:
- {id: %[5]s, organization: %[1]s, state: active, created_at: 2026-01-01T00:00:00Z, default_subscription: sub_1}
- {id: %[6]s, organization: %[1]s, state: disabled, created_at: 2026-02-01T00:00:00Z}
- {id: %[7]s, organization: %[2]s, state: active, created_at: 2026-01-01T00:00:00Z}
meters:
- {name: tokens, unit: tokens, type: interval, match: {type: credit, source: model}, priority: 10}
- {name: storage, unit: GB, type: total, match: {type: feature, source: store, metadata: {region: eu}}}
subscriptions: [{id: sub_1, account: %[5]s, meter: credit, limit: "1000.5", period: {anchor: 2026-01-10T00:00:00Z, every: month}}]
credentials:
- {id: demo, secret_sha256: %[8]s, scopes: [usage.write, usage.revert, usage.read], organizations: ["*"]}
- {id: old, secret_sha256: %[8]s, scopes: [usage.write, usage.backfill], organizations: ["*"]}
- {id: reader, secret_sha256: %[8]s, scopes: [usage.read], organizations: ["*"]}
- {id: narrow, secret_sha256: %[8]s, scopes: [usage.write, usage.revert, usage.read], organizations: [%[2]s]}
`, acme, globex, hollow, site, account, closed, other, hash("se:cret"))
}

func parseCatalog(t testing.TB, text string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse("catalog.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// swap is a catalog that a test may exchange.
type swap struct {
	atomic.Pointer[catalog.Catalog]
}

func (s *swap) Current() *catalog.Catalog { return s.Load() }

// outcomeFeed is a topic usage.outcomes that holds what a test puts in.
type outcomeFeed struct{ records chan bus.Record }

func (f *outcomeFeed) EndOffsets(_ context.Context, topic string) (map[int]int64, error) {
	if topic != bus.TopicOutcomes {
		return nil, fmt.Errorf("asked for the end of %s", topic)
	}
	return map[int]int64{0: 7}, nil
}

func (f *outcomeFeed) Follow(ctx context.Context, topic string, from map[int]int64, to bus.Follower) error {
	if topic != bus.TopicOutcomes || from[0] != 7 {
		return fmt.Errorf("followed %s from %v", topic, from)
	}
	for {
		select {
		case r := <-f.records:
			if err := to.Record(r); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *outcomeFeed) put(t testing.TB, v reckoner.Verdict) {
	b, err := wire.EncodeVerdict(&v)
	if err != nil {
		t.Error(err)
		return
	}
	f.records <- bus.Record{Value: b}
}

// world is a server among recording fakes. Change its fields before the first request.
type world struct {
	t        testing.TB
	server   *Server
	feed     *outcomeFeed
	outcomes *Outcomes
	catalog  *swap
	reader   *fakeReader
	registry *prometheus.Registry
	options  Options

	// produce, when set, is what the publisher does; else it accepts.
	produce func(ctx context.Context, recs []bus.Record) error
	// decide, when set, is the verdict on every awaited event.
	decide func(e *reckoner.Event) reckoner.Verdict

	mu     sync.Mutex
	events []*reckoner.Event // what was produced, in order
}

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{
		t: t, feed: &outcomeFeed{records: make(chan bus.Record, 1000)}, catalog: &swap{}, reader: &fakeReader{t: t},
		registry: prometheus.NewRegistry(),
	}
	w.catalog.Store(parseCatalog(t, catalogText()))
	var err error
	if w.outcomes, err = OpenOutcomes(t.Context(), w.feed, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.outcomes.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("following the outcomes ended with %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	var next atomic.Int64
	w.options = Options{
		Catalog: w.catalog, Publisher: w, Outcomes: w.outcomes, Ledger: w.reader, Limits: DefaultLimits(),
		MaxAge: 35 * 24 * time.Hour, MaxAhead: 5 * time.Minute, OutcomeTimeout: 2 * time.Second,
		Registerer: w.registry, Now: noon,
		NewID: func() string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", next.Add(1)) },
	}
	for _, f := range change {
		f(&w.options)
	}
	if w.server, err = New(w.options); err != nil {
		t.Fatal(err)
	}
	return w
}

// Produce implements Publisher.
func (w *world) Produce(ctx context.Context, topic string, recs []bus.Record) error {
	if topic != bus.TopicEvents || len(recs) == 0 {
		w.t.Errorf("produced %d records to %s", len(recs), topic)
	}
	if w.produce != nil {
		if err := w.produce(ctx, recs); err != nil {
			return err
		}
	}
	for _, r := range recs {
		e, err := wire.DecodeEvent(r.Value)
		if err != nil || string(r.Key) != e.AccountID {
			w.t.Errorf("produced a record with key %q that is no event: %v", r.Key, err)
			continue
		}
		w.mu.Lock()
		w.events = append(w.events, e)
		w.mu.Unlock()
		if w.decide != nil && e.ReplyTo != "" {
			v := w.decide(e)
			v.ReplyTo, v.AccountID, v.Kind, v.ID = e.ReplyTo, e.AccountID, e.Kind, e.ID
			if v.First == 0 {
				v.First = v.Outcome
			}
			w.feed.put(w.t, v)
		}
	}
	return nil
}

func (w *world) produced() []*reckoner.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
}

// answer is what a caller got.
type answer struct {
	status int
	header http.Header
	body   string
}

// errorBody reads the dialect's shape of an error, strictly.
func (a answer) errorBody(t testing.TB) (code int, message string) {
	t.Helper()
	var e struct {
		Code    *int    `json:"code"`
		Message *string `json:"message"`
		Details []any   `json:"details"`
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Code == nil || e.Message == nil || e.Details == nil {
		t.Fatalf("not an error of the dialect: %d %s", a.status, a.body)
	}
	return *e.Code, *e.Message
}

// request makes one request as the credential demo, unless headers say otherwise: "Name: value".
func (w *world) request(method, path, body string, headers ...string) answer {
	w.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	return w.serve(httptest.NewRequest(method, path, r), headers...)
}

func (w *world) serve(r *http.Request, headers ...string) answer {
	w.t.Helper()
	r.SetBasicAuth("demo", "se:cret")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Authorization" {
			r.Header.Del(name)
		}
		if value != "" {
			r.Header.Add(name, value)
		}
	}
	var sent bytes.Buffer
	if r.Body != nil {
		r.Body = io.NopCloser(io.TeeReader(r.Body, &sent))
	}
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	w.asDescribed(&openapitest.Exchange{Request: r, RequestBody: sent.Bytes(), Status: rec.Code, Header: rec.Header(), Body: rec.Body.Bytes()})
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

var checker = sync.OnceValues(openapitest.New)

// asDescribed holds an exchange against the API's description; not those of benchmarks, which would measure it.
func (w *world) asDescribed(e *openapitest.Exchange) {
	w.t.Helper()
	if _, ok := w.t.(*testing.T); !ok {
		return
	}
	c, err := checker()
	if err == nil {
		err = c.Check(e)
	}
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) post(path, body string, headers ...string) answer {
	w.t.Helper()
	return w.request(http.MethodPost, path, body, headers...)
}

func as(credential string) string { return "Authorization: Bearer " + credential + ":se:cret" }

// usagesBody is a create request of n good usages.
func usagesBody(n int) string {
	var b strings.Builder
	b.WriteString(`{"usages":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"22222222-2222-4222-8222-%012d","amount":%d}`, i, i+1)
	}
	b.WriteString("]}")
	return b.String()
}

// fakeReader is a ledger of a few rows.
type fakeReader struct {
	t       testing.TB
	rows    []ledger.Transaction
	total   reckoner.Quantity
	err     error
	queries []ledger.TransactionQuery
	usages  usageReads
	fakeAccounts
}

func (f *fakeReader) Transactions(_ context.Context, q ledger.TransactionQuery) ([]ledger.Transaction, error) {
	f.queries = append(f.queries, q)
	return f.rows[:min(len(f.rows), q.Limit)], f.err
}

func (f *fakeReader) Debited(_ context.Context, accountID, typ string) (reckoner.Quantity, error) {
	if accountID != account || typ != "credit" {
		f.t.Errorf("read the total of %s, %s", accountID, typ)
	}
	return f.total, f.err
}

// metrics returns the counters and gauges of these names, one a line.
func (w *world) metrics(names ...string) string {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range names {
		for _, f := range families {
			if f.GetName() != name {
				continue
			}
			for _, m := range f.GetMetric() {
				var labels []string
				for _, l := range m.GetLabel() {
					labels = append(labels, l.GetName()+"="+l.GetValue())
				}
				value := m.GetCounter().GetValue() + m.GetGauge().GetValue() // one of them is absent
				fmt.Fprintf(&b, "%s{%s} %g\n", name, strings.Join(labels, ","), value)
			}
		}
	}
	return b.String()
}
