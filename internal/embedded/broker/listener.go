package broker

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// connections knows every open client connection, so that they can be cut, and which requests are to be held.
type connections struct {
	mu     sync.Mutex
	open   map[*guardedConn]struct{}
	pauses map[int16]*Pause // by request kind
}

func newConnections() *connections {
	return &connections{open: make(map[*guardedConn]struct{}), pauses: make(map[int16]*Pause)}
}

func (c *connections) listen(l net.Listener) net.Listener { return &listener{Listener: l, conns: c} }

// cut closes every open connection. Requests in flight on them get no answer, whether they took effect or not.
func (c *connections) cut() {
	c.mu.Lock()
	open := slices.Collect(maps.Keys(c.open))
	c.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close()
	}
}

func (c *connections) add(conn *guardedConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = struct{}{}
}

func (c *connections) drop(conn *guardedConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

func (c *connections) pause(kind int16) *Pause {
	p := &Pause{resumed: make(chan struct{})}
	p.resume = sync.OnceFunc(func() { close(p.resumed) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pauses[kind] = p
	return p
}

func (c *connections) paused(kind int16) *Pause {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pauses[kind]
}

type listener struct {
	net.Listener
	conns *connections
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &guardedConn{Conn: conn, conns: l.conns, closed: make(chan struct{})}
	c.close = sync.OnceFunc(func() { close(c.closed) })
	l.conns.add(c)
	return c, nil
}

// frameBytesMax is Kafka's own default for socket.request.max.bytes.
const frameBytesMax = 100 << 20

// guardedConn ends a connection whose bytes are no Kafka request. kfake would take a stray "GET / HTTP" for the length
// of a request of a gigabyte, and would panic on a request kind it does not know; a stray program on the port must not
// be able to end the process.
type guardedConn struct {
	net.Conn
	conns  *connections
	closed chan struct{}
	close  func()  // closes closed
	head   [6]byte // length (4 bytes) and kind (2) of the request being read
	given  int     // how much of head the reader has got
	left   int     // bytes of the request behind head that are still to come
	began  bool    // a head was read
}

// Read is called by one goroutine at a time.
func (c *guardedConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !c.began || (c.given == len(c.head) && c.left == 0) {
		if err := c.begin(); err != nil {
			return 0, err
		}
	}
	if c.given < len(c.head) {
		n := copy(p, c.head[c.given:])
		c.given += n
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// begin reads and checks the head of the next request.
func (c *guardedConn) begin() error {
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(c.head[:4])
	kind := int16(binary.BigEndian.Uint16(c.head[4:]))
	if size < 8 || size > frameBytesMax {
		return fmt.Errorf("a request of %d bytes is no Kafka request", size)
	}
	if kmsg.RequestForKey(kind) == nil {
		return fmt.Errorf("request kind %d is unknown", kind)
	}
	if p := c.conns.paused(kind); p != nil && !p.hold(c.closed) {
		return net.ErrClosed
	}
	c.given, c.left, c.began = 0, int(size)-2, true
	return nil
}

// Close ends the connection.
func (c *guardedConn) Close() error {
	c.close()
	c.conns.drop(c)
	return c.Conn.Close()
}
