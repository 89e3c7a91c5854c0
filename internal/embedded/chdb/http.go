package chdb

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Handler serves the ClickHouse HTTP interface: queries at `/`, health at
// `/ping`. Clients that speak to a ClickHouse server speak to it unchanged, as
// far as docs/adr/0003-embedded-clickhouse.md says.
func (e *Engine) Handler() http.Handler { return e.handler(e.port) }

// handler serves with the connections of p.
func (e *Engine) handler(p *pool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serve(p, w, r) })
}

func (e *Engine) serve(p *pool, w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		writeOk(w)
		return
	case "", "/":
	default:
		http.Error(w, "There is no handle "+r.URL.Path+"\n\nUse / or /ping for health checks.\nSend queries with POST or GET /?query=...", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, PUT")
		http.Error(w, "Method "+r.Method+" is not supported; use GET or POST", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.RawQuery == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		writeOk(w)
		return
	}
	e.serveQuery(p, w, r)
}

func writeOk(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	_, _ = io.WriteString(w, "Ok.\n") // a client that has gone needs no answer
}

func (e *Engine) serveQuery(p *pool, w http.ResponseWriter, r *http.Request) {
	q, err := readRequest(r)
	if err != nil {
		newAnswer(w, &request{}, e.about, newQueryID()).fail(asException(err))
		return
	}
	if q.queryID == "" {
		q.queryID = newQueryID()
	}
	a := newAnswer(w, q, e.about, q.queryID)
	if err := e.answer(r.Context(), p, q, r.Body, a); err != nil {
		exception := asException(err)
		e.options.Log.Debug("query failed", "query_id", q.queryID, "code", exception.Code, "error", exception.Text)
		a.fail(exception)
	}
}

// answer reads the query, runs it and writes its result.
func (e *Engine) answer(ctx context.Context, p *pool, q *request, body io.Reader, a *answer) error {
	in, err := e.readInput(q, body)
	if err != nil {
		return err
	}
	defer in.close()
	a.format = firstOf(in.format, q.format)
	if revision, hello := isHello(in, q); hello {
		return a.whole(e.about.helloBlock(revision), stats{resultRows: 1})
	}
	c, err := p.take(ctx, q.database, q.settings, in.kind == statementSession)
	if err != nil {
		return err
	}
	defer p.give(c)
	if in.kind == statementSelect {
		stop := e.killWhenGone(ctx, c)
		defer stop()
		if isStreamable(a.format) && !q.buffered {
			if err := c.streamChunks(in.sql, a.format, q.params, a.chunk); err != nil {
				return err
			}
			return a.finish()
		}
	}
	res, err := c.run(in.sql, a.format, q.params)
	if err != nil {
		return err
	}
	defer res.free()
	return a.whole(res.bytes(), res.stats())
}

// killWhenGone ends the SELECT that c runs when its client has gone. Nothing but
// a SELECT is ever ended so: an insert is finished whoever listens. It tries
// again until the query has ended, since a kill that comes before the engine
// knows the query hits nothing. The stop function returns when no kill is under
// way any more, so that it can only ever hit the query it was meant for.
func (e *Engine) killWhenGone(ctx context.Context, c *conn) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		again := time.NewTicker(killInterval)
		defer again.Stop()
		for {
			e.kill(c)
			select {
			case <-again.C:
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		if !cancel() {
			<-done
			c.spoilt = true
		}
	}
}

// killInterval is the pause between two attempts to end a query.
const killInterval = 50 * time.Millisecond

func newQueryID() string { return uuid.NewString() }
