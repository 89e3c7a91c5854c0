package openapitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
)

// Transport is an http.RoundTripper that fails a test for an exchange that is not as the document says. It looks at all of
// them, but of a great many that are alike at a part: a look costs more than the exchange, and tests of load would wait for it.
type Transport struct {
	T       testing.TB
	Checker *Checker
	Next    http.RoundTripper // nil: http.DefaultTransport

	mu   sync.Mutex
	seen map[string]int
}

// Of exchanges of one operation and status so many are looked at one after another, and then one of so many.
const (
	lookedAt = 100
	oneOf    = 25
)

// skips reports whether an exchange need not be looked at.
func (t *Transport) skips(e *Exchange) bool {
	kind := t.Checker.kind(e)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[string]int{}
	}
	t.seen[kind]++
	n := t.seen[kind]
	return n > lookedAt && n%oneOf != 0
}

// RoundTrip implements http.RoundTripper. It reads the whole answer.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.Next
	if next == nil {
		next = http.DefaultTransport
	}
	out, sent := r, &copied{}
	if r.Body != nil && r.Body != http.NoBody {
		sent.ReadCloser = r.Body
		out = r.Clone(r.Context())
		out.Body = sent
	}
	res, err := next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if cerr := res.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	// A server may answer before it has read the body; then the request was refused, and what was sent of it does not matter.
	exchange := &Exchange{Request: r, RequestBody: sent.bytes(), Status: res.StatusCode, Header: res.Header, Body: body}
	if t.skips(exchange) {
		return res, nil
	}
	if err := t.Checker.Check(exchange); err != nil {
		t.T.Error(err)
	}
	return res, nil
}

// copied is a body that is copied as it is read. The client may still read when the answer has come.
type copied struct {
	io.ReadCloser

	mu  sync.Mutex
	all []byte
}

// Read implements io.Reader.
func (c *copied) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, p[:n]...)
	return n, err
}

// bytes returns what was read until now.
func (c *copied) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[:len(c.all):len(c.all)] // what follows is written behind it
}
