package bus

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// TestJoiningSaysChangesOnly: what differs by a port is the same failure.
func TestJoiningSaysChangesOnly(t *testing.T) {
	refused := func(port int) error {
		at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
		return fmt.Errorf("join: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: at, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
	}
	j := newJoining("g", time.Millisecond)
	for i, c := range []struct {
		err  error
		news bool
	}{
		{refused(1), true}, {refused(2), false}, {kafka.GroupCoordinatorNotAvailable, true}, {fmt.Errorf("join: %w", kafka.GroupCoordinatorNotAvailable), false},
		{refused(3), true}, {kafka.InconsistentGroupProtocol, true}, {kafka.InconsistentGroupProtocol, false}, {errors.New("else"), true},
	} {
		if _, news := j.failure(c.err); news != c.news {
			t.Errorf("%d: %v: news %v", i, c.err, news)
		}
	}
	if n := j.joined(); n != 8 {
		t.Errorf("%d failures", n)
	}
	if _, news := j.failure(errors.New("else")); !news {
		t.Error("after a generation the same is not said again")
	}
}

func TestJoiningWaitsLongerAndLonger(t *testing.T) {
	for _, c := range []struct {
		err error
		max time.Duration
	}{{kafka.InconsistentGroupProtocol, lastingMax}, {kafka.GroupCoordinatorNotAvailable, passingMax}, {kafka.RebalanceInProgress, 0}} {
		j := newJoining("g", 100*time.Millisecond)
		var longest time.Duration
		for range 30 {
			longest = max(longest, j.pause(c.err))
		}
		if bound := c.max + c.max/2; longest > bound || longest < c.max/2 { // a backoff is spread by half
			t.Errorf("%v: at most %s, want about %s", c.err, longest, c.max)
		}
		j.joined()
		if again := j.pause(c.err); again > 150*time.Millisecond {
			t.Errorf("%v: after a generation the first wait is %s", c.err, again)
		}
	}
}
