package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reckoner/ingest"
	"reckoner/internal/bus"
	"reckoner/internal/catalog"
	"reckoner/ledger/clickhouse"
)

// usagesSite is everything between an HTTP request and the ledger, in this process: both engines, an aggregator, and the
// API with a catalog and a clock that a test sets.
type usagesSite struct {
	*site
	api     string
	catalog atomic.Pointer[catalog.Catalog]
	now     atomic.Pointer[time.Time]
}

// Current implements ingest.Catalogs.
func (s *usagesSite) Current() *catalog.Catalog { return s.catalog.Load() }

const (
	usagesOrg     = "6f0d0000-0000-4000-8000-000000000001"
	usagesAccount = "9c1e0000-0000-4000-8000-000000000001"
)

// subscribe sets the catalog: subscriptions of one account, each with a limit, or none where that is empty.
func (s *usagesSite) subscribe(limits map[string]string) {
	s.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `organizations: [{id: %s, name: acme}]
accounts: [{id: %s, organization: %[1]s}]
meters: [{name: calls, unit: calls}, {name: storage, unit: GB, type: total}]
credentials: [{id: c, secret_sha256: %[3]s, scopes: [usage.write, usage.revert, usage.read], organizations: ["*"]}]
subscriptions:
- {id: level, account: %[2]s, meter: storage}
`, usagesOrg, usagesAccount, hashOf("s"))
	for id, limit := range limits {
		fmt.Fprintf(&b, "- {id: %s, account: %s, meter: calls, period: {anchor: 2026-01-10T00:00:00Z, every: month}", id, usagesAccount)
		if limit != "" {
			fmt.Fprintf(&b, ", limit: %q", limit)
		}
		b.WriteString("}\n")
	}
	c, err := catalog.Parse("catalog.yaml", []byte(b.String()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.catalog.Store(c)
}

// set moves the clock of the API.
func (s *usagesSite) set(now time.Time) { s.now.Store(&now) }

func newUsagesSite(t *testing.T, limits map[string]string) *usagesSite {
	s := &usagesSite{site: newSite(t)}
	if err := s.do(Migrate, "3"); err != nil {
		t.Fatal(err)
	}
	s.run(nil)
	s.subscribe(limits)
	s.set(time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC))
	l, err := clickhouse.Open(clickhouse.Options{URL: s.clickhouse})
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := ingest.OpenOutcomes(t.Context(), s.client, nil)
	if err != nil {
		t.Fatal(err)
	}
	producer := s.client.NewProducer(bus.ProducerOptions{Partitions: map[string]int{bus.TopicEvents: s.partitions}})
	server, err := ingest.New(ingest.Options{
		Catalog: s, Publisher: producer, Outcomes: outcomes, Ledger: l, Limits: ingest.DefaultLimits(),
		MaxAge: 35 * 24 * time.Hour, MaxAhead: 5 * time.Minute, OutcomeTimeout: 30 * time.Second,
		Now: func() time.Time { return *s.now.Load() },
	})
	if err != nil {
		t.Fatal(err)
	}
	var following sync.WaitGroup
	following.Go(func() { _ = outcomes.Run(t.Context()) }) // ends with the test's context
	web := httptest.NewServer(server)
	s.api = web.URL
	t.Cleanup(func() {
		web.Close()
		following.Wait()
		if err := producer.Close(context.Background()); err != nil {
			t.Errorf("close the producer: %v", err)
		}
		_ = l.Close()
	})
	return s
}

// reply is what a request was answered.
type reply struct {
	status   int
	header   http.Header
	body     string
	Quantity json.Number `json:"quantity"`
	Updated  time.Time   `json:"updatedTime"`
}

// request makes one, with a key unless that is empty, and more headers: names and values in turn. Of a request that fails
// the status is 0.
func (s *usagesSite) request(method, path, body, key string, header ...string) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.api+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return reply{}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Header.Set("REB-APIKEY", "c:s")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Error(err)
		return reply{}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Error(err)
		return reply{}
	}
	r := reply{status: res.StatusCode, header: res.Header, body: string(b)}
	if bytes.HasPrefix(b, []byte("{")) {
		if err := json.Unmarshal(b, &r); err != nil {
			s.t.Errorf("%s %s: %v", method, path, err)
		}
	}
	return r
}

// use reports a usage and holds the answer against what has to come of it: a quantity, or a status where none counts.
func (s *usagesSite) use(id, subscription, quantity, more, want string) {
	s.t.Helper()
	r := s.request(http.MethodPost, "/usages", fmt.Sprintf(`{"subscriptionId":%q,"quantity":%s%s}`, subscription, quantity, more), id)
	if got := r.Quantity.String(); r.status != http.StatusCreated && strconv.Itoa(r.status) != want || r.status == http.StatusCreated && got != want {
		s.t.Errorf("%s: %s of %s: %d %s, want %s", id, quantity, subscription, r.status, r.body, want)
		return
	}
	if again := s.request(http.MethodGet, "/usages/"+id, "", ""); r.status == http.StatusCreated && (again.status != http.StatusOK || again.body != r.body) {
		s.t.Errorf("%s was recorded as %s, and shows as %d %s", id, r.body, again.status, again.body)
	} else if r.status == http.StatusConflict && again.status == http.StatusOK && r.header.Get("Reckoner-Outcome") == "limit_exceeded" {
		s.t.Errorf("%s was refused, and shows as %s", id, again.body)
	}
}

func (s *usagesSite) delete(id, key string, want int) {
	s.t.Helper()
	if r := s.request(http.MethodDelete, "/usages/"+id, "", key); r.status != want {
		s.t.Errorf("delete %s: %d %s, want %d", id, r.status, r.body, want)
	}
}

const partial = `,"acceptPartialQuantity":true`

func at(when string) string { return fmt.Sprintf(`,"usageTime":%q`, when) }

// TestUsageLimits goes through the rules of a limit, from the request to the row, on the real engines.
func TestUsageLimits(t *testing.T) {
	s := newUsagesSite(t, map[string]string{"a": "10.005", "b": "1", "open": ""})

	// Headroom is what is left, to the thousandth, and each subscription has its own.
	s.use("a1", "a", "4.002", "", "4.002")
	s.use("b1", "b", "1", "", "1")
	s.use("b2", "b", "0.001", "", "409")
	s.use("b3", "b", "0.001", partial, "409") // nothing is left to accept
	s.use("a2", "a", "6.004", "", "409")
	s.use("a3", "a", "6.004", partial, "6.003")
	s.use("a4", "a", "0.001", "", "409")

	// A repetition repeats the first answer, whatever happened since; other content under an id does not count.
	s.use("a1", "a", "4.002", "", "4.002")
	s.use("a2", "a", "6.004", "", "409")
	s.use("a3", "a", "6.004", partial, "6.003")
	s.use("a1", "a", "4.001", "", "409")
	s.use("a1", "b", "4.002", "", "409")

	// What is taken back gives room, once.
	s.delete("a3", "del", http.StatusNoContent)
	s.delete("a3", "del", http.StatusNoContent)
	s.delete("a3", "", http.StatusConflict)
	s.delete("a2", "", http.StatusConflict) // it never counted
	s.delete("a1", "del", http.StatusConflict)
	s.delete("nobody's", "", http.StatusNotFound)
	if r := s.request(http.MethodGet, "/usages/a3", "", ""); r.status != http.StatusNotFound {
		t.Errorf("a usage that was taken back shows: %d %s", r.status, r.body)
	}
	if r := s.request(http.MethodPost, "/usages", `{"subscriptionId":"a","quantity":6.004`+partial+`}`, "a3"); r.status != http.StatusCreated || r.Quantity != "6.003" {
		t.Errorf("a repetition of what was taken back: %d %s", r.status, r.body)
	}
	s.use("a5", "a", "6.004", "", "409")
	s.use("a6", "a", "6.003", "", "6.003")

	// Each period has its own headroom; the period is that of the time of use, its begin included.
	s.use("p1", "a", "10.005", at("2026-06-09T23:59:59.999999999Z"), "10.005")
	s.use("p2", "a", "0.001", at("2026-06-09T00:00:00Z"), "409")
	s.use("p3", "a", "0.001", at("2026-06-10T00:00:00Z"), "409")
	s.set(time.Date(2026, 7, 10, 0, 0, 0, 0, time.UTC))
	s.use("p4", "a", "10.006", "", "409")
	s.use("p5", "a", "10.005", "", "10.005")
	s.use("p6", "a", "0.001", at("2026-07-09T23:59:59Z"), "409") // late, in a period that is full

	// The limit that counts is that of the moment of receipt.
	s.subscribe(map[string]string{"a": "12", "b": "", "open": "1"})
	s.use("l1", "a", "2", partial, "1.995")
	s.use("l2", "b", "1000", "", "1000")
	s.subscribe(map[string]string{"a": "3", "b": "5", "open": ""})
	s.use("l3", "a", "1", partial, "409") // more is used than the limit is now
	s.use("l4", "b", "1", partial, "409")
	s.delete("p5", "", http.StatusNoContent)
	s.use("l5", "a", "2", partial, "1.005")

	// Without a limit everything counts, as far as a number goes; a level has no limit and no deletes.
	s.use("o1", "open", "9223372036854775807", "", "9223372036854775807")
	s.use("o2", "open", "9223372036854775807", partial, "9223372036854775807")
	s.use("v1", "level", "5.5", "", "5.5")
	s.delete("v1", "", http.StatusConflict)

	// What was answered is what stands in the ledger.
	want := "a\t2026-05-10\t10.005\na\t2026-06-10\t10.005\na\t2026-07-10\t3\nb\t2026-06-10\t1\nb\t2026-07-10\t1000"
	if got := s.query(`SELECT subscription_id, toDate(period_start), toString(quantity) FROM reckoner.subscription_totals
		WHERE meter = 'calls' AND subscription_id != 'open' ORDER BY 1, 2`); got != want {
		t.Errorf("totals:\n%s\nwant:\n%s", got, want)
	}
	s.proven()
}

// TestUsageListIsStable pages through 5,000 usages, seven at a time, while others are added: every one of them shows once,
// in its order.
func TestUsageListIsStable(t *testing.T) {
	s := newUsagesSite(t, map[string]string{"a": "", "b": ""})
	const usages, size = 5000, 7
	start := *s.now.Load()
	s.report("u", usages, 16)
	s.await(usages)
	last := *s.now.Load()
	s.set(last.Add(time.Second)) // what is added is later than the filter's end

	filter := fmt.Sprintf("filter=createdTime:%s..%s;subscriptionId:a,b&sort=createdTime,-id&limit=%d", start.Format(time.RFC3339Nano), last.Format(time.RFC3339Nano), size)
	type shown struct{ ID, CreatedTime string }
	pages := make([][]shown, (usages+size-1)/size)
	var readers sync.WaitGroup
	var next atomic.Int64
	for range 4 {
		readers.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(pages); n = int(next.Add(1)) - 1 {
				s.report(fmt.Sprint("x", n, "-"), 2, 1)
				r := s.request(http.MethodGet, fmt.Sprintf("/organizations/acme/usages?%s&offset=%d", filter, n*size), "", "")
				err := json.Unmarshal([]byte(r.body), &pages[n])
				if total := r.header.Get("Pagination-Total"); err != nil || r.status != http.StatusOK || total != strconv.Itoa(usages) ||
					r.header.Get("Pagination-Offset") != strconv.Itoa(n*size) || r.header.Get("Pagination-Limit") != strconv.Itoa(size) {
					t.Errorf("page %d: %d %s %v: %v", n, r.status, r.body, r.header, err)
					return
				}
			}
		})
	}
	readers.Wait()
	seen := map[string]bool{}
	before := time.Time{}
	for _, u := range slices.Concat(pages...) {
		created, err := time.Parse(time.RFC3339Nano, u.CreatedTime)
		if err != nil || created.Before(before) || seen[u.ID] {
			t.Fatalf("%s of %s after %s, seen before: %v (%v)", u.ID, u.CreatedTime, before, seen[u.ID], err)
		}
		seen[u.ID], before = true, created
	}
	if len(seen) != usages {
		t.Errorf("%d of %d usages were shown", len(seen), usages)
	}
}

// report sends usages that nobody waits for, each received at a time of its own.
func (s *usagesSite) report(prefix string, n, clients int) {
	var wait sync.WaitGroup
	var next atomic.Int64
	for range clients {
		wait.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				s.tick()
				body := fmt.Sprintf(`{"id":"%s%d","subscriptionId":"%c","quantity":%d}`, prefix, i, 'a'+rune(i%2), i)
				if r := s.request(http.MethodPost, "/usages", body, "", "Prefer", "respond-async"); r.status != http.StatusAccepted {
					s.t.Errorf("%s%d: %d %s", prefix, i, r.status, r.body)
				}
			}
		})
	}
	wait.Wait()
}

// tick moves the clock of the API a little.
func (s *usagesSite) tick() {
	for {
		now := s.now.Load()
		next := now.Add(time.Microsecond)
		if s.now.CompareAndSwap(now, &next) {
			return
		}
	}
}

// await waits until so many usages are listed.
func (s *usagesSite) await(n int) {
	s.t.Helper()
	eventually(s.t, func() string {
		r := s.request(http.MethodGet, "/usages?limit=0", "", "")
		if got := r.header.Get("Pagination-Total"); got != strconv.Itoa(n) || r.body != "[]" {
			return fmt.Sprintf("%s of %d usages are listed: %d %s", got, n, r.status, r.body)
		}
		return ""
	})
}
