package bus

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"
)

// GroupTakenError says that the group has members of another program, with which this one cannot share partitions.
type GroupTakenError struct {
	Group string
	Err   error
}

// Error names the group and the remedy.
func (e *GroupTakenError) Error() string {
	return fmt.Sprintf("another program uses the consumer group %s: give that program, or this one, another group (kafka.group): %v", e.Group, e.Err)
}

// Unwrap returns what the broker said.
func (e *GroupTakenError) Unwrap() error { return e.Err }

// joining is what a member does about failures to join: it tries again ever more seldom, and says each thing once.
type joining struct {
	group  string
	wait   *backoff.ExponentialBackOff
	failed int    // attempts of any kind since the last generation
	said   string // of the last failure
}

// What a member waits at most between two attempts: shortly when the cause may pass by itself, and longer when a person has
// to do something, who then does not wait long either.
const (
	passingMax = 2 * time.Second
	lastingMax = 10 * time.Second
)

func newJoining(group string, first time.Duration) *joining {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.MaxInterval = first, 2, lastingMax
	return &joining{group: group, wait: b}
}

// failure returns a failure with its remedy, and whether to say it: it is the first, or another one than the last.
func (j *joining) failure(err error) (told error, news bool) {
	if errors.Is(err, kafka.InconsistentGroupProtocol) {
		err = &GroupTakenError{Group: j.group, Err: err}
	}
	said := gist(err)
	news = j.failed == 0 || said != j.said
	j.failed++
	j.said = said
	return err, news
}

// pause is how long to wait before the next attempt. A rebalance that others began is joined at once: the broker makes
// all wait for each other.
func (j *joining) pause(err error) time.Duration {
	switch {
	case errors.Is(err, kafka.RebalanceInProgress):
		return 0
	case Retryable(err):
		return min(j.wait.NextBackOff(), passingMax)
	default:
		return j.wait.NextBackOff()
	}
}

// joined ends the failures and returns how many there were.
func (j *joining) joined() (failed int) {
	failed, j.failed = j.failed, 0
	j.wait.Reset()
	return failed
}

// gist is what stays the same when the same thing fails again: no port that the system chose, no broker out of several.
func gist(err error) string {
	if code, ok := errors.AsType[kafka.Error](err); ok {
		return code.Title()
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
