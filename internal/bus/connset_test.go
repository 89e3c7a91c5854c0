package bus_test

import (
	"io"
	"net"
	"testing"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/bus/bustest"
	"reckoner/internal/embedded/broker/brokertest"
)

// quickTimeout is how long a broker that hangs holds up a test.
const quickTimeout = 300 * time.Millisecond

// silent returns the address of a broker that hangs: it takes connections and requests, and answers nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// TestGroupPassesOverABrokerThatHangs: the client asks the first broker that takes a connection, every time.
func TestGroupPassesOverABrokerThatHangs(t *testing.T) {
	b := brokertest.Start(t)
	makeTopic(t, open(t, b), "t", 2)
	c, err := bus.Open(bus.Options{Brokers: []string{silent(t), b.Addr()}, IOTimeout: quickTimeout, MetadataTTL: quickTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	m := join(t, c, nil)
	eventually(t, "it has all", bustest.Shares(2, []int{2}, m))
}
