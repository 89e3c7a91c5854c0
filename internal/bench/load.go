package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"reckoner/internal/bench/workload"
)

// eventsHeader tells the floor how many records a request is worth. The product gets it too, and ignores it.
const eventsHeader = "Bench-Events"

// load sends requests over connections that stay open, the next one when the last is answered.
type load struct {
	addr    string
	sources []workload.Source // one a connection
	// for is how long requests are begun; 0: until a source ends or limit is reached.
	lasting time.Duration
	limit   int64 // events, of all connections; 0: none
	// rate is how many events a second are sent, of all connections; 0: as many as are answered.
	rate  int64
	batch int64 // with rate: usages in a request
	// gate holds a connection back, for flow control; nil: nothing does.
	gate func(ctx context.Context) error
	// reverts is how many connections carry reverts, which wait for their outcome; 0: they go where the usages go.
	reverts int
	prefer  string // header Prefer of usages; empty: none
	// keep makes it note how long each request of usages took.
	keep bool
}

// sent is what was sent and answered with success.
type sent struct {
	events, reverts atomic.Int64
	requests        []int64 // by source
	took            time.Duration
	latencies       []time.Duration
}

// run sends until it is over. Any answer but success ends it.
func (l *load) run(ctx context.Context, s *sent) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.requests = make([]int64, len(l.sources))
	began := time.Now()
	var work, apart sync.WaitGroup
	var queue chan *revertRequest
	if l.reverts > 0 {
		queue = make(chan *revertRequest, 4*l.reverts)
		for range l.reverts {
			apart.Go(func() {
				if err := l.sendReverts(ctx, queue, s); err != nil {
					cancel(err)
				}
			})
		}
	}
	latencies := make([][]time.Duration, len(l.sources))
	for i := range l.sources {
		work.Go(func() {
			p := &producer{load: l, source: l.sources[i], sent: s, requests: &s.requests[i], queue: queue, began: began}
			if err := p.run(ctx, i); err != nil {
				cancel(err)
			}
			latencies[i] = p.latencies
		})
	}
	work.Wait()
	s.took = time.Since(began)
	if queue != nil {
		close(queue)
	}
	apart.Wait()
	for _, one := range latencies {
		s.latencies = append(s.latencies, one...)
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("send the workload: %w", err)
	}
	return nil
}

// revertRequest is one that goes over a connection of its own.
type revertRequest struct{ raw []byte }

// sendReverts sends what is queued, until the queue is closed.
func (l *load) sendReverts(ctx context.Context, queue <-chan *revertRequest, s *sent) error {
	c := &connection{addr: l.addr}
	defer c.close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r, ok := <-queue:
			if !ok {
				return nil
			}
			if err := c.post(ctx, r.raw); err != nil {
				return err
			}
			s.events.Add(1)
			s.reverts.Add(1)
		}
	}
}

// producer sends the requests of one source over one connection.
type producer struct {
	*load
	source    workload.Source
	sent      *sent
	requests  *int64
	queue     chan *revertRequest
	began     time.Time
	latencies []time.Duration
	raw       []byte
}

func (p *producer) run(ctx context.Context, number int) error {
	c := &connection{addr: p.addr}
	defer c.close()
	var due time.Duration
	if p.rate > 0 { // not all at once
		due = time.Duration(float64(number) * float64(p.batch) / float64(p.rate) * float64(time.Second))
	}
	var r workload.Request
	for !p.over() {
		if p.gate != nil {
			if err := p.gate(ctx); err != nil {
				return err
			}
		}
		if !p.source.Next(&r) {
			return nil
		}
		if p.rate > 0 {
			if err := sleep(ctx, time.Until(p.began.Add(due))); err != nil {
				return err
			}
			due += time.Duration(float64(r.Events) * float64(len(p.sources)) / float64(p.rate) * float64(time.Second))
		}
		if err := p.send(ctx, c, &r); err != nil {
			return err
		}
		*p.requests++
	}
	return ctx.Err()
}

func (p *producer) over() bool {
	return p.lasting > 0 && time.Since(p.began) >= p.lasting || p.limit > 0 && p.sent.events.Load() >= p.limit
}

func (p *producer) send(ctx context.Context, c *connection, r *workload.Request) error {
	p.raw = appendRequest(p.raw[:0], r, p.prefer)
	if r.Revert && p.queue != nil {
		select {
		case p.queue <- &revertRequest{append([]byte(nil), p.raw...)}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	began := time.Now()
	if err := c.post(ctx, p.raw); err != nil {
		return err
	}
	if p.keep && !r.Revert {
		p.latencies = append(p.latencies, time.Since(began))
	}
	if r.Revert {
		p.sent.reverts.Add(1)
	}
	p.sent.events.Add(int64(r.Events))
	return nil
}

// demoCredential is that of the demo catalog.
const demoCredential = "demo:demo-secret"

// appendRequest appends a request as it goes over the wire.
func appendRequest(b []byte, r *workload.Request, prefer string) []byte {
	b = append(append(append(b, "POST "...), r.Path...), " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Basic "...)
	b = base64.StdEncoding.AppendEncode(b, []byte(demoCredential))
	b = strconv.AppendInt(append(b, "\r\n"+eventsHeader+": "...), int64(r.Events), 10)
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(r.Body)), 10)
	if r.Key != "" {
		b = append(append(b, "\r\nIdempotency-Key: "...), r.Key...)
	}
	if prefer != "" {
		b = append(append(b, "\r\nPrefer: "...), prefer...)
	}
	return append(append(b, "\r\n\r\n"...), r.Body...)
}

// connection is a connection that stays open. net/http's client would take as much of the processors as some of the
// servers that are measured.
type connection struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
}

// answerTimeout is longer than any server waits before it refuses.
const answerTimeout = 40 * time.Second

// post sends a request, reads its answer, and returns an error unless that is 200 or 202.
func (c *connection) post(ctx context.Context, raw []byte) error {
	status, body, err := c.exchange(ctx, raw)
	if err == nil && status != http.StatusOK && status != http.StatusAccepted {
		err = fmt.Errorf("answered %d: %.200s", status, body)
	}
	return err
}

// exchange sends a request and reads its answer.
func (c *connection) exchange(ctx context.Context, raw []byte) (status int, body []byte, err error) {
	if c.conn == nil {
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", c.addr)
		if err != nil {
			return 0, nil, err
		}
		c.conn, c.in = conn, bufio.NewReaderSize(conn, 4<<10)
	}
	if err := c.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, nil, err
	}
	if _, err := c.conn.Write(raw); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, body, errors.Join(err, res.Body.Close())
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close() // everything was answered
	}
}

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
