package send

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	requestTimeout  = 60 * time.Second
	answerBytesMax  = 64 << 10
	messageBytesMax = 1 << 10 // of the server's words
	backoffMin      = 100 * time.Millisecond
	backoffMax      = 10 * time.Second
	retryAfterMax   = 60 * time.Second
	idempotencyName = "Idempotency-Key"
	preferName      = "Prefer"
)

// A client makes one request after the other, each again until it is answered for good.
type client struct {
	http       *http.Client
	base       *url.URL
	id, secret string
	retryFor   time.Duration
	note       func(string) // tells a person why nothing moves
}

// An answer is the final word of the server about one request.
type answer struct {
	status  int
	outcome string // of a revert, when it is decided
	repeats bool   // every usage of the request was known before; only told to who waits for the outcome
	code    int    // the gRPC code of an error
	message string
}

func (a answer) ok() bool { return a.status/100 == 2 }

func (a answer) String() string {
	if a.message == "" {
		return fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))
	}
	return fmt.Sprintf("%d (code %d): %s", a.status, a.code, a.message)
}

func newClient(o Options, note func(string)) (*client, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("the address %q is not a URL like http://127.0.0.1:7400", o.URL)
	}
	id, secret, ok := strings.Cut(o.Credential, ":")
	if !ok || id == "" || secret == "" {
		return nil, errors.New("the credential is not of the form id:secret")
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: o.Connections, MaxConnsPerHost: o.Connections,
		IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: false,
	}
	return &client{
		http: &http.Client{
			Transport: transport, Timeout: requestTimeout,
			// A redirected POST loses its body: show the redirection instead.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base: base, id: id, secret: secret, retryFor: o.RetryFor, note: note,
	}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// asked says how one request is made.
type asked struct {
	key    string // the header Idempotency-Key; empty: none
	prefer string // the header Prefer; empty: none
	// once ends the request with errUnclear after an attempt that may have been stored without an answer: a second one
	// would be told that it is a repetition of the first.
	once bool
}

var errUnclear = errors.New("it is not clear whether the server took it")

// post returns the first answer that is final. Its error means that there was none: ctx ended, or the server gave no
// final answer for as long as retryFor.
func (c *client) post(ctx context.Context, body []byte, how asked, path ...string) (answer, error) {
	target := c.base.JoinPath(path...).String()
	var since time.Time
	for attempt := 0; ; attempt++ {
		a, wait, err := c.try(ctx, target, how, body)
		if how.once && mayBeStored(a, err) {
			return answer{}, fmt.Errorf("%w: %w", errUnclear, orAnswer(err, a))
		}
		if ctx.Err() != nil {
			return answer{}, context.Cause(ctx)
		}
		if err == nil && !retryable(a.status) {
			return a, nil
		}
		err = orAnswer(err, a)
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) > c.retryFor {
			return answer{}, fmt.Errorf("no final answer for %s: %w", c.retryFor, err)
		}
		if wait == 0 {
			wait = backoff(attempt)
		}
		c.note(fmt.Sprintf("waiting %s: %v", wait.Round(100*time.Millisecond), err))
		if err := sleep(ctx, wait); err != nil {
			return answer{}, err
		}
	}
}

// mayBeStored reports whether an attempt without a final answer may have been stored: it was sent, and not for sure
// turned away.
func mayBeStored(a answer, err error) bool {
	if err == nil {
		return retryable(a.status) && a.status != http.StatusTooManyRequests
	}
	op, ok := errors.AsType[*net.OpError](err)
	return !ok || op.Op != "dial"
}

func orAnswer(err error, a answer) error {
	if err == nil {
		return errors.New(a.String())
	}
	return err
}

// try makes one attempt. wait is what the server asked for, 0 when it did not.
func (c *client) try(ctx context.Context, target string, how asked, body []byte) (a answer, wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, 0, err
	}
	req.SetBasicAuth(c.id, c.secret)
	req.Header.Set("Content-Type", "application/json")
	for name, value := range map[string]string{idempotencyName: how.key, preferName: how.prefer} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	if err != nil {
		return answer{}, 0, fmt.Errorf("read the answer: %w", err)
	}
	a = answer{status: resp.StatusCode, outcome: resp.Header.Get(outcomeName)}
	var told struct {
		Code    int    `json:"code"`
		Message string `json:"message"`

		Outcomes []struct {
			Duplicate bool `json:"duplicate"`
		} `json:"outcomes"`
	}
	switch err := json.Unmarshal(data, &told); {
	case err != nil: // the status says enough
	case a.ok():
		a.repeats = len(told.Outcomes) > 0
		for _, one := range told.Outcomes {
			a.repeats = a.repeats && one.Duplicate
		}
	default:
		a.code, a.message = told.Code, clipTo(messageBytesMax, told.Message)
	}
	return a, retryAfter(resp.Header.Get("Retry-After"), time.Now()), nil
}

// retryable reports whether the same request may succeed later. A 501 says that it never will.
func retryable(status int) bool {
	return status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented
}

// retryAfter reads the header's two forms, seconds and a date; 0 for anything else.
func retryAfter(text string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), retryAfterMax)
}

// backoff doubles, with jitter so that the workers do not come back all at once.
func backoff(attempt int) time.Duration {
	d := min(backoffMin<<min(attempt, 10), backoffMax)
	return d/2 + rand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
