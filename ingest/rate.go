package ingest

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"reckoner"
)

// rates bounds the requests of each credential by a token bucket of its own, in this process.
type rates struct {
	perSecond int // 0: no bound
	burst     int

	mu     sync.Mutex
	of     map[string]*rate.Limiter // by credential
	latest time.Time
}

func newRates(l Limits) *rates {
	return &rates{perSecond: l.RateMax, burst: max(l.RateBurst, 1), of: make(map[string]*rate.Limiter)}
}

// rateError is a request over its credential's rate, and when the next one would not be.
type rateError struct{ wait time.Duration }

// Error says what to do.
func (e *rateError) Error() string { return e.Unwrap().Error() }

// Unwrap gives the error its code.
func (e *rateError) Unwrap() error {
	return reckoner.Errorf(reckoner.TooMany, "too many requests with this credential: try again in %s s, or send more usages with each request", e.seconds())
}

// seconds is the wait as Retry-After has it: whole, and never too short.
func (e *rateError) seconds() string {
	return strconv.FormatInt(int64((e.wait+time.Second-1)/time.Second), 10)
}

// limit counts a request against its credential's rate, and tells the caller what is left of it.
func (s *Server) limit(c *call) error {
	if s.rates.perSecond == 0 {
		return nil
	}
	remaining, wait := s.rates.take(c.credential.ID, c.received)
	h := c.w.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(s.rates.burst))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	if wait == 0 {
		return nil
	}
	s.metrics.limited.Inc()
	err := &rateError{wait}
	h.Set("Retry-After", err.seconds())
	h.Set("X-RateLimit-Retry-After", strconv.FormatInt(c.received.Add(wait+time.Second-1).Unix(), 10))
	return err
}

// take returns how many more requests may follow at once, and how long to wait where not even this one may.
func (r *rates) take(credential string, now time.Time) (remaining int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.latest) { // received before one that overtook it: a bucket whose time goes back fills twice
		now = r.latest
	}
	r.latest = now
	l := r.of[credential]
	if l == nil {
		r.forget(now)
		l = rate.NewLimiter(rate.Limit(r.perSecond), r.burst)
		r.of[credential] = l
	}
	reservation := l.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return 0, wait
	}
	return max(int(l.TokensAt(now)), 0), 0
}

// ratesMax is how many buckets are kept before those that are full are forgotten: a new one is full, too.
const ratesMax = 10_000

func (r *rates) forget(now time.Time) {
	if len(r.of) < ratesMax {
		return
	}
	for credential, l := range r.of {
		if int(l.TokensAt(now)) >= r.burst {
			delete(r.of, credential)
		}
	}
}
