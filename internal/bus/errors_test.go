package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

func TestRetryable(t *testing.T) {
	for err, want := range map[error]bool{
		ErrBusy:                       true,
		context.DeadlineExceeded:      true,
		io.EOF:                        true,
		io.ErrUnexpectedEOF:           true,
		net.ErrClosed:                 true,
		kafka.NotLeaderForPartition:   true,
		kafka.NotEnoughReplicas:       true,
		kafka.RequestTimedOut:         true,
		kafka.UnknownTopicOrPartition: true,
		kafka.BrokerNotAvailable:      true,
		kafka.Unknown:                 true,
		kafka.RebalanceInProgress:     true,
		protocol.NewErrNoTopic("t"):   true,
		&UnknownError{Err: io.EOF}:    true,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}: true,

		nil:                            false,
		context.Canceled:               false,
		ErrClosed:                      false,
		kafka.MessageSizeTooLarge:      false,
		kafka.OffsetOutOfRange:         false,
		kafka.TopicAuthorizationFailed: false,
		errors.New("something else"):   false,
		&TooLargeError{}:               false,
		&GapError{}:                    false,
		&OutOfRangeError{}:             false,
		&TopicMismatchError{}:          false,
		&PartitionsChangedError{}:      false,
		&UnknownError{Err: kafka.MessageSizeTooLarge}: false,
	} {
		if got := Retryable(err); got != want {
			t.Errorf("Retryable(%v) = %v", err, got)
		}
		if err == nil {
			continue
		}
		if got := Retryable(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("Retryable(wrapped %v) = %v", err, got)
		}
	}
}

// Refused is what a person has to change: never what may pass, and never what nobody knows.
func TestRefused(t *testing.T) {
	for _, err := range []error{
		kafka.TopicAuthorizationFailed, kafka.SASLAuthenticationFailed, kafka.UnsupportedVersion,
		fmt.Errorf("topic x: %w", kafka.ClusterAuthorizationFailed), fmt.Errorf("create: %w: 3 copies", kafka.InvalidReplicationFactor),
		&TopicMismatchError{}, &PartitionsChangedError{},
	} {
		if !Refused(err) || Retryable(err) {
			t.Errorf("%v: refused %t, retryable %t", err, Refused(err), Retryable(err))
		}
	}
	for _, err := range []error{
		nil, io.EOF, context.DeadlineExceeded, context.Canceled, kafka.NotController, kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable,
		kafka.BrokerNotAvailable, ErrBusy, ErrClosed, errors.New("new to us"), &UnknownError{Err: io.EOF},
	} {
		if Refused(err) {
			t.Errorf("%v is refused", err)
		}
	}
}
