package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"reckoner"
)

// errSlowBody says that the body did not arrive within the time a body has.
var errSlowBody = errors.New("the body did not arrive in time")

// budget bounds the bytes of bodies that all requests hold together.
type budget struct {
	max  int64
	used atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// firstRead is what a body is given room for before any of it came: a caller who announces much and sends nothing must
// not hold memory.
const firstRead = 16 << 10

// readBody returns the whole body, in the memory of buf where that has the room. What it holds is taken from the budget as it arrives, and given back when the request
// ends. A body that is too large, too slow or cut short is an error, and nothing of it is used.
func (s *Server) readBody(c *call, buf []byte) ([]byte, error) {
	limit := s.limits.BodyBytesMax
	tooLarge := &reckoner.Error{Code: reckoner.TooLarge, Message: fmt.Sprintf("the body is larger than %d bytes", limit)}
	if c.r.ContentLength > limit {
		return nil, tooLarge
	}
	c.readDeadline(time.Now().Add(s.limits.BodyTimeout))
	// The body itself is bounded too: an http.MaxBytesReader closes the connection of a caller who goes on sending.
	body := http.MaxBytesReader(c.w.ResponseWriter, c.r.Body, limit)
	given := buf
	buf = buf[:0:0] // nothing is taken for it yet
	for {
		if len(buf) == cap(buf) {
			var err error
			if buf, err = s.grow(c, buf, given); err != nil {
				return nil, err
			}
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, tooLarge
		}
		switch {
		case err == io.EOF:
			// A deadline left behind would look like a lost caller while the request waits.
			c.readDeadline(time.Time{})
			return buf, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, errSlowBody
		case err != nil:
			return nil, &reckoner.Error{Code: reckoner.Invalid, Message: "the body ended early", Err: err}
		}
	}
}

// grow doubles the room, but to no more than is announced: most bodies are read into one buffer of their size, which is
// the given one if it is as large.
func (s *Server) grow(c *call, buf, given []byte) ([]byte, error) {
	size := min(max(firstRead, 2*cap(buf)), int(s.limits.BodyBytesMax)+1)
	if n := c.r.ContentLength; n >= 0 && n <= int64(size) {
		size = int(n) + 1 // one more, to see the end without growing
	}
	more := int64(size - cap(buf))
	if !s.bodies.take(more) {
		return nil, &reckoner.Error{
			Code: reckoner.Unavailable, Message: "too many bytes of other requests are in flight; nothing was written, try again in a moment",
		}
	}
	c.held += more
	if cap(given) >= size {
		return append(given[:0:size], buf...), nil
	}
	return append(make([]byte, 0, size), buf...), nil
}

// readDeadline is best effort: a writer without deadlines (in a test, behind another handler) has none.
func (c *call) readDeadline(t time.Time) {
	_ = http.NewResponseController(c.w).SetReadDeadline(t)
}
