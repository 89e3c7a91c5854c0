package bus

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// connSet knows the open connections of a group member, so that they can be cut, and which brokers hang.
//
// The client asks for the coordinator at the first broker of its list that takes a connection. One that hangs takes
// them: the system does it in its place. So a frozen process at the head of the list would keep a member out of its
// group for as long as it is frozen; it is passed over instead.
type connSet struct {
	brokers []string // what the client's list is

	mu   sync.Mutex
	over bool
	open map[*setConn]struct{}
	hung map[string]time.Time // addresses that did not answer in time, and since when
}

// hungFor is how long a broker that did not answer is passed over. It must be given another chance: it may be the one
// that coordinates.
const hungFor = 5 * time.Second

var errHung = errors.New("this broker did not answer a moment ago; another one is asked")

func newConnSet(brokers []string) *connSet {
	return &connSet{brokers: brokers, open: make(map[*setConn]struct{}), hung: make(map[string]time.Time)}
}

// admit says whether to connect to an address.
func (s *connSet) admit(address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	hangs := func(a string) bool {
		since, ok := s.hung[a]
		return ok && time.Since(since) < hungFor
	}
	better := func(b string) bool { return !hangs(b) }
	switch {
	case s.over:
		return net.ErrClosed
	case hangs(address) && slices.ContainsFunc(s.brokers, better):
		return errHung
	default:
		return nil
	}
}

// answered keeps what became of reading from an address.
func (s *connSet) answered(address string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.hung[address] = time.Now()
	} else if err == nil {
		delete(s.hung, address)
	}
}

// dial returns a dial function whose connections belong to the set.
func (s *connSet) dial(timeout time.Duration) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := s.admit(address); err != nil {
			return nil, err
		}
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return s.add(conn, address), nil
	}
}

func (s *connSet) add(conn net.Conn, address string) net.Conn {
	c := &setConn{Conn: conn, set: s, address: address}
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
	set     *connSet
	address string
}

// Read reads, and notices when nothing comes in time.
func (c *setConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.set.answered(c.address, err)
	return n, err
}

// Close ends the connection.
func (c *setConn) Close() error {
	c.set.mu.Lock()
	delete(c.set.open, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}
