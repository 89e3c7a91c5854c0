package ingest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// rateWorld is a world of two requests a second, three at once, whose clock a test moves.
func rateWorld(t testing.TB) (*world, *time.Time) {
	now := noon()
	return newWorld(t, func(o *Options) {
		o.Limits.RateMax, o.Limits.RateBurst = 2, 3
		o.Now = func() time.Time { return now }
	}), &now
}

func TestRateOfACredential(t *testing.T) {
	w, now := rateWorld(t)
	for i := range 3 {
		a := w.post(createPath, usagesBody(1))
		if a.status != http.StatusOK || a.header.Get("X-RateLimit-Limit") != "3" || a.header.Get("X-RateLimit-Remaining") != strconv.Itoa(2-i) {
			t.Fatalf("request %d: %d %v", i, a.status, a.header)
		}
	}
	a := w.post(createPath, usagesBody(1))
	if code, message := a.errorBody(t); a.status != http.StatusTooManyRequests || code != 8 || !strings.Contains(message, "1 s") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if got := a.header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After is %q", got)
	}
	if got := a.header.Get("X-RateLimit-Remaining"); got != "0" {
		t.Errorf("X-RateLimit-Remaining is %q", got)
	}
	if n := len(w.produced()); n != 3 {
		t.Errorf("%d events were written", n)
	}
	// Another credential has a bucket of its own; who proves nothing takes from none.
	if a := w.post(createPath, usagesBody(1), as("old")); a.status != http.StatusOK {
		t.Errorf("another credential: %d", a.status)
	}
	for range 5 {
		if a := w.post(createPath, usagesBody(1), "Authorization: Bearer demo:wrong"); a.status != http.StatusUnauthorized {
			t.Errorf("a wrong secret: %d", a.status)
		}
	}
	*now = now.Add(500 * time.Millisecond)
	if a := w.post(createPath, usagesBody(1)); a.status != http.StatusOK {
		t.Errorf("half a second later: %d", a.status)
	}
	if got, want := w.metrics("reckoner_ingest_rate_limited_total"), "reckoner_ingest_rate_limited_total{} 1\n"; got != want {
		t.Errorf("metrics: %s", got)
	}
}

// The usages dialect, /v1 and /admin answer with a problem, and the time of the next attempt.
func TestRateAsAProblem(t *testing.T) {
	w, now := rateWorld(t)
	var a answer
	for range 4 {
		a = w.request(http.MethodGet, "/usages?limit=1", "")
	}
	var problem struct {
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil || a.status != http.StatusTooManyRequests || problem.Status != a.status || problem.Detail == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	at, err := strconv.ParseInt(a.header.Get("X-RateLimit-Retry-After"), 10, 64)
	if err != nil || !time.Unix(at, 0).After(*now) || time.Unix(at, 0).After(now.Add(2*time.Second)) {
		t.Errorf("X-RateLimit-Retry-After is %q at %d", a.header.Get("X-RateLimit-Retry-After"), now.Unix())
	}
}

func TestNoRateSaysNothing(t *testing.T) {
	w := newWorld(t)
	if a := w.post(createPath, usagesBody(1)); a.header.Get("X-RateLimit-Limit") != "" {
		t.Errorf("%v", a.header)
	}
}

// Whoever does as Retry-After says is let in, and over any time no credential gets more than its rate and its burst.
func TestRateProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{RateMax: rapid.IntRange(1, 50).Draw(t, "rate"), RateBurst: rapid.IntRange(1, 20).Draw(t, "burst")}
		r, now, allowed := newRates(limits), noon(), 0
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "ms")) * time.Millisecond)
			_, wait := r.take("c", now)
			if wait > 0 {
				now = now.Add(wait)
				if _, again := r.take("c", now); again > time.Microsecond { // of rounding
					t.Fatalf("waited %s as told, and has to wait %s more", wait, again)
				} else if again > 0 {
					continue
				}
			}
			allowed++
		}
		if most := limits.RateBurst + int(now.Sub(noon())*time.Duration(limits.RateMax)/time.Second) + 1; allowed > most {
			t.Fatalf("%d requests in %s with rate %d and burst %d", allowed, now.Sub(noon()), limits.RateMax, limits.RateBurst)
		}
	})
}

// Requests beside each other come to their bucket in another order than they were received in. That gives nobody more.
func TestRateOfRequestsOutOfOrder(t *testing.T) {
	r, now, allowed := newRates(Limits{RateMax: 100, RateBurst: 1}), noon(), 0
	for range 1000 { // in 1 s
		now = now.Add(time.Millisecond)
		for _, received := range []time.Time{now, now.Add(-time.Millisecond)} {
			if _, wait := r.take("c", received); wait == 0 {
				allowed++
			}
		}
	}
	if allowed > 102 {
		t.Errorf("%d requests in a second", allowed)
	}
}

// Credentials come and go; what is kept of them does not grow without end.
func TestBucketsAreForgotten(t *testing.T) {
	r, now := newRates(Limits{RateMax: 10, RateBurst: 1}), noon()
	for i := range 3 * ratesMax {
		now = now.Add(time.Millisecond)
		if _, wait := r.take(fmt.Sprint(i), now); wait != 0 {
			t.Fatalf("credential %d waits", i)
		}
	}
	if len(r.of) > ratesMax+1 {
		t.Errorf("%d buckets are kept", len(r.of))
	}
}

// A process that only makes reports bounds its callers, too.
func TestRateOfTheReportServer(t *testing.T) {
	w, r := newRunsWorld(t)
	close(r.ended)
	limits := DefaultLimits()
	limits.RateMax, limits.RateBurst = 1, 1
	h, err := NewReportServer(ReportOptions{Catalog: w.catalog, Runs: r, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		req := httptest.NewRequest(http.MethodGet, "/admin/v1/reports/runs/run-1", nil)
		req.Header.Set("Authorization", "Bearer root:se:cret")
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, req); rec.Code != want {
			t.Errorf("%d %s, want %d", rec.Code, rec.Body, want)
		}
	}
}
