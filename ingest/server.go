package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/catalog"
)

// Publisher writes records to the log. Its contract is that of bus.Producer: nil only when every in-sync replica of every
// record's partition has it; bus.ErrBusy when nothing was written; after any other error it is open what was.
type Publisher interface {
	Produce(ctx context.Context, topic string, recs []bus.Record) error
}

// Catalogs gives the catalog of the moment.
type Catalogs interface{ Current() *catalog.Catalog }

// Options are what a Server is made of. Catalog, Publisher, Outcomes, Ledger and Limits are required.
type Options struct {
	Catalog Catalogs
	// CatalogWriter changes what Catalog gives; nil: there is no admin API.
	CatalogWriter CatalogWriter
	// Reports runs the reports to partners, where this process makes them; nil: who asks for a run is told where.
	Reports   ReportRuns
	Publisher Publisher
	Outcomes  *Outcomes
	Ledger    Ledger
	Limits    Limits

	MaxAge         time.Duration // of a time of use; 0: no bound
	MaxAhead       time.Duration // of a time of use before the clock
	OutcomeTimeout time.Duration // how long a revert waits for its outcome
	ChangeTimeout  time.Duration // how long a change of the catalog waits for its decision; 0: 10 s

	Log        *slog.Logger          // default: none
	Registerer prometheus.Registerer // default: a registry of its own
	Now        func() time.Time      // default: the clock
	NewID      func() string         // default: random UUIDs that sort by time
	// At is called before every step of a write (Steps), by many goroutines, for crash tests; nil otherwise.
	At func(step string)
}

// Server answers the HTTP routes of every dialect. It is an http.Handler and safe for concurrent use.
type Server struct {
	catalog   Catalogs
	publisher Publisher
	outcomes  *Outcomes
	ledger    Ledger
	limits    Limits

	maxAge, maxAhead, outcomeTimeout, changeTimeout time.Duration

	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	newID   func() string
	at      func(step string)
	routes  router
	unknown *dialect // answers for paths that are nobody's
	bodies  budget
	// scratches are the *scratch that no request uses now.
	scratches sync.Pool
	rates     *rates
}

// New returns a server.
func New(o Options) (*Server, error) {
	if o.Catalog == nil || o.Publisher == nil || o.Outcomes == nil || o.Ledger == nil {
		return nil, errors.New("ingest: a catalog, a publisher, outcomes and a ledger are required")
	}
	if o.Limits.BodyBytesMax <= 0 || o.Limits.InflightBytesMax < o.Limits.BodyBytesMax || o.Limits.UsagesMax <= 0 {
		return nil, errors.New("ingest: the limits of bodies and usages must be set, and the bytes in flight hold one body at least")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if o.At == nil {
		o.At = func(string) {}
	}
	if o.ChangeTimeout <= 0 {
		o.ChangeTimeout = 10 * time.Second
	}
	s := &Server{
		catalog: o.Catalog, publisher: o.Publisher, outcomes: o.Outcomes, ledger: o.Ledger, limits: o.Limits,
		maxAge: o.MaxAge, maxAhead: o.MaxAhead, outcomeTimeout: o.OutcomeTimeout, changeTimeout: o.ChangeTimeout,
		log: o.Log, metrics: newMetrics(o.Registerer), now: o.Now, newID: o.NewID, at: o.At,
		bodies: budget{max: o.Limits.InflightBytesMax}, rates: newRates(o.Limits),
	}
	f := newFrontier(s)
	s.unknown = &f.dialect
	d, err := newDescription(s)
	if err != nil {
		return nil, err
	}
	s.routes = newRouter(slices.Concat(
		f.routes(),
		newReportRuns(s, o.Reports).routes(),
		newAdmin(s, o.CatalogWriter).routes(),
		newUsages(s).routes(),
		newV1(s).routes(),
		d.routes(),
	))
	s.outcomes.observe(s.metrics, s.limits.WaitersMax)
	return s, nil
}

// call is one request on its way through the server.
type call struct {
	w          *recorder
	r          *http.Request
	id         string
	started    time.Time // for durations
	received   time.Time // the time of receipt, stamped into events
	catalog    *catalog.Catalog
	credential *catalog.Credential
	dialect    *dialect
	route      *route
	params     params
	held       int64 // bytes of the body taken from the budget
	periods    periods
	cause      error // why the answer is what it is; for the log
}

// recorder remembers the status. Unwrap lets deadlines through.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP answers one request. Whatever goes wrong, the caller gets an answer in the dialect's shape.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{
		w: &recorder{ResponseWriter: w}, r: r, id: requestID(r.Header, s.newID), started: time.Now(),
		received: s.now().UTC(), catalog: s.catalog.Current(), dialect: s.unknown,
	}
	w.Header().Set(requestIDHeader, c.id)
	defer s.end(c)
	defer func() {
		if v := recover(); v != nil {
			s.metrics.panics.Inc()
			s.log.Error("a request ran into a defect", "request_id", c.id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			if c.w.status == 0 {
				s.fail(c, fmt.Errorf("panic: %v", v))
			}
		}
	}()
	if err := s.serve(c); err != nil {
		s.fail(c, err)
	}
}

func (s *Server) serve(c *call) error {
	rt, params, d, err := s.routes.find(c.r.Method, c.r.URL.EscapedPath())
	if d != nil {
		c.dialect = d
	}
	if err != nil {
		return err
	}
	c.route, c.params = rt, params
	if rt.open {
		return rt.handle(c)
	}
	prove := d.authenticate
	if prove == nil {
		prove = authenticate
	}
	if c.credential, err = prove(c.catalog, c.r.Header); err != nil {
		return err
	}
	if !c.credential.Allows(rt.scope) {
		return errForbidden
	}
	if err := s.limit(c); err != nil {
		return err
	}
	return rt.handle(c)
}

func (s *Server) fail(c *call, err error) {
	c.cause = err
	s.writeDeadline(c)
	c.dialect.fail(c, err)
}

// answer writes a JSON body.
func (s *Server) answer(c *call, status int, body []byte) {
	s.writeDeadline(c)
	writeJSON(c.w, status, body)
}

// answerJSON writes v as JSON.
func (s *Server) answerJSON(c *call, status int, v any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false) // as proto JSON has it
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	s.answer(c, status, bytes.TrimSuffix(body.Bytes(), []byte{'\n'}))
	return nil
}

func (s *Server) writeDeadline(c *call) {
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(s.limits.WriteTimeout)) // best effort, as in readDeadline
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone; nobody to tell
}

// statusGone counts a request whose caller left before its answer: nobody read that answer, and it is no failure of ours.
const statusGone = 499

// end gives back what the request held, counts it and logs one line: never a secret, never a body.
func (s *Server) end(c *call) {
	s.bodies.give(c.held)
	s.metrics.inflight.Set(float64(s.bodies.used.Load()))
	if errors.Is(c.cause, context.Canceled) && c.r.Context().Err() != nil {
		c.w.status = statusGone
	}
	s.metrics.answered(c)
	level := slog.LevelDebug
	if c.w.status >= http.StatusInternalServerError && c.w.status != http.StatusNotImplemented {
		level = slog.LevelWarn
	}
	if !s.log.Enabled(c.r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", c.id), slog.String("method", c.r.Method), slog.String("path", clip(c.r.URL.Path)),
		slog.Int("status", c.w.status), slog.Duration("took", time.Since(c.started)),
	}
	if c.credential != nil {
		attrs = append(attrs, slog.String("credential", c.credential.ID))
	}
	switch {
	case c.cause == nil:
	case level == slog.LevelDebug: // what is wrong with a request quotes it, and bodies stay out of logs
		attrs = append(attrs, slog.String("code", reckoner.CodeOf(c.cause).String()))
	default:
		attrs = append(attrs, slog.Any("error", c.cause))
		if inner := errors.Unwrap(c.cause); inner != nil {
			attrs = append(attrs, slog.Any("cause", inner))
		}
	}
	s.log.LogAttrs(c.r.Context(), level, "request", attrs...)
}
