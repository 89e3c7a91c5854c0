package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
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

// Missing records of the log have a remedy, and it is named; those of another topic are their reader's business.
func TestMissingRecordsNameTheRemedy(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&GapError{Topic: TopicEvents, Partition: 3, Want: 10, Got: 14}, "`reckoner migrate --new-log --accept-loss 3:4`"},
		{&OutOfRangeError{Topic: TopicEvents, Partition: 2, Want: 100, First: 1100, Next: 5000}, "`reckoner migrate --new-log --accept-loss 2:1000`"},
		{&OutOfRangeError{Topic: TopicEvents, Partition: 2, Want: 100, First: 0, Next: 50}, "`reckoner migrate --new-log --accept-loss 2:unknown`"},
	} {
		if !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%q does not name %q", tt.err, tt.want)
		}
	}
	for _, err := range []error{&GapError{Topic: TopicCatalog, Got: 1}, &OutOfRangeError{Topic: TopicDeadLetter, First: 1}} {
		if strings.Contains(err.Error(), "--new-log") {
			t.Errorf("%q names a remedy that is the log's", err)
		}
	}
}
