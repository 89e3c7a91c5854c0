package chdb

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// Transport carries HTTP requests to the engine inside the process, without a
// socket: for a client whose transport can be replaced, such as clickhouse-go
// by its TransportFunc. It has connections of its own: queries through Handler,
// however many and however slow, never make it wait for its turn.
func (e *Engine) Transport() http.RoundTripper { return transport{e.handler(e.inside)} }

type transport struct{ handler http.Handler }

// RoundTrip runs the handler and returns as soon as it has sent its headers; the
// body is read as it is written.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	body, pipe := io.Pipe()
	w := &pipeWriter{pipe: pipe, header: http.Header{}, ready: make(chan struct{})}
	go func() {
		defer func() {
			p := recover()
			_ = in.Body.Close() // read or not, it is over
			w.WriteHeader(http.StatusOK)
			if p == nil {
				_ = pipe.Close()
				return
			}
			_ = pipe.CloseWithError(io.ErrUnexpectedEOF) // as a socket that is cut
			if p != http.ErrAbortHandler {               //nolint:errorlint // a panic value, compared as net/http does
				panic(p)
			}
		}()
		t.handler.ServeHTTP(w, in)
	}()
	select {
	case <-w.ready:
	case <-r.Context().Done():
		_ = body.Close() // the handler's writes fail from now on
		return nil, r.Context().Err()
	}
	length := int64(-1)
	if w.sent.Get("Content-Length") == "0" {
		length = 0
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: length, Request: r,
	}, nil
}

// pipeWriter is a ResponseWriter into a pipe.
type pipeWriter struct {
	pipe   *io.PipeWriter
	header http.Header
	once   sync.Once
	ready  chan struct{}
	status int         // valid once ready is closed
	sent   http.Header // likewise
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.ready)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	n, err := w.pipe.Write(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = errClientGone
	}
	return n, err
}

func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }

var errClientGone = errors.New("the client has gone")
