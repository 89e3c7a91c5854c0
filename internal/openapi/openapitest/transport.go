package openapitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// Transport is an http.RoundTripper that fails a test for every exchange that is not as the document says.
type Transport struct {
	T       testing.TB
	Checker *Checker
	Next    http.RoundTripper // nil: http.DefaultTransport
}

// RoundTrip implements http.RoundTripper. It reads the whole answer.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.Next
	if next == nil {
		next = http.DefaultTransport
	}
	var sent bytes.Buffer
	out := r
	if r.Body != nil && r.Body != http.NoBody {
		out = r.Clone(r.Context())
		out.Body = readCloser{io.TeeReader(r.Body, &sent), r.Body}
	}
	res, err := next.RoundTrip(out)
	if err != nil {
		return nil, err //nolint:wrapcheck // as if this were not here
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
	exchange := &Exchange{Request: r, RequestBody: sent.Bytes(), Status: res.StatusCode, Header: res.Header, Body: body}
	if err := t.Checker.Check(exchange); err != nil {
		t.T.Error(err)
	}
	return res, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}
