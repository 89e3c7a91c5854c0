package bus

import (
	"context"
	"net"
	"sync"
	"time"
)

// connSet knows the open connections of a group member, so that they can be cut.
type connSet struct {
	mu   sync.Mutex
	over bool
	open map[*setConn]struct{}
}

func newConnSet() *connSet { return &connSet{open: make(map[*setConn]struct{})} }

// dial returns a dial function whose connections belong to the set.
func (s *connSet) dial(timeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		s.mu.Lock()
		over := s.over
		s.mu.Unlock()
		if over {
			return nil, net.ErrClosed
		}
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return s.add(conn), nil
	}
}

func (s *connSet) add(conn net.Conn) net.Conn {
	c := &setConn{Conn: conn, set: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		_ = conn.Close()
		return c
	}
	s.open[c] = struct{}{}
	return c
}

// cut closes all connections and refuses new ones.
func (s *connSet) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for c := range s.open {
		_ = c.Conn.Close()
	}
}

type setConn struct {
	net.Conn
	set *connSet
}

// Close ends the connection.
func (c *setConn) Close() error {
	c.set.mu.Lock()
	delete(c.set.open, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}
