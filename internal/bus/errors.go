package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// ErrBusy says that a produce was refused before anything of it was written, because too many bytes are on their way
// already. The same request may succeed a moment later.
var ErrBusy = errors.New("too many bytes are on their way to Kafka; try again in a moment")

// ErrClosed says that the client, producer or reader was closed before.
var ErrClosed = errors.New("the Kafka client is closed")

// UnknownError says that a produce failed in a way that leaves open which of its records are stored: none, some or
// all, now or a little later. Only sending them again, with the same ids, makes sure.
type UnknownError struct{ Err error }

// Error says what is open and why.
func (e *UnknownError) Error() string {
	return "unknown whether the records are stored; send them again with the same ids: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnknownError) Unwrap() error { return e.Err }

// TooLargeError says that a record can never be produced. Nothing of its call was written.
type TooLargeError struct {
	Index int // the record's place in the call
	Bytes int // its size, at most
	Max   int
}

// Error names the record and the limit.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("record %d has %d bytes, the limit is %d; make it smaller", e.Index, e.Bytes, e.Max)
}

// PartitionsChangedError says that a topic has another number of partitions than it must have, or than when the producer
// first wrote to it. Going on would send the keys elsewhere, so the producer refuses.
type PartitionsChangedError struct {
	Topic   string
	Was, Is int
}

// Error names the topic, the numbers and the remedy.
func (e *PartitionsChangedError) Error() string {
	return fmt.Sprintf("topic %s has %d partitions where %d were expected; if they were changed, register the new log with `reckoner migrate --new-log`, then start this process again", e.Topic, e.Is, e.Was)
}

// GapError says that a log misses offsets between the one wanted and the next that it has. Reading never goes on
// behind it.
type GapError struct {
	Topic     string
	Partition int
	Want, Got int64
}

// Error names the place, the likely causes, and the remedy.
func (e *GapError) Error() string {
	return fmt.Sprintf("%s/%d has a gap: offset %d was wanted, the next is %d; the topic must be neither compacted nor written in transactions", e.Topic, e.Partition, e.Want, e.Got) +
		goOn(e.Topic, e.Partition, strconv.FormatInt(e.Got-e.Want, 10))
}

// OutOfRangeError says that a log does not reach the wanted offset: it begins later (records expired or were deleted)
// or ends earlier (the topic was recreated, or records were lost).
type OutOfRangeError struct {
	Topic       string
	Partition   int
	Want        int64
	First, Next int64 // the log holds [First, Next)
}

// Error names the offset, the range, and the remedy.
func (e *OutOfRangeError) Error() string {
	lost := "unknown"
	if e.Want < e.First {
		lost = strconv.FormatInt(e.First-e.Want, 10)
	}
	return fmt.Sprintf("%s/%d has no offset %d: it holds offsets %d to before %d", e.Topic, e.Partition, e.Want, e.First, e.Next) +
		goOn(e.Topic, e.Partition, lost)
}

// goOn is the remedy for records of the log that are gone. Other topics are nobody's accounts: their readers know what to
// do without them.
func goOn(topic string, partition int, lost string) string {
	if topic != TopicEvents {
		return ""
	}
	return fmt.Sprintf("; if they are missing for good, stop ingest and the aggregators, then `reckoner migrate --new-log --accept-loss %d:%s` "+
		"goes on without them (with --dry-run it only shows what is lost)", partition, lost)
}

// TopicMismatchError says that topics exist and are not what they must be.
type TopicMismatchError struct{ Differences []string }

// Error lists every difference.
func (e *TopicMismatchError) Error() string {
	return "topics are not as they must be: " + strings.Join(e.Differences, "; ")
}

// Retryable reports whether doing the same again may succeed without anybody's help: the network, a broker that
// starts, a leader that moves, a full queue. A cancelled context, a gap, a refusal for good and what is not understood
// are not retryable.
func Retryable(err error) bool {
	var network net.Error
	var code kafka.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return false
	case errors.Is(err, ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.As(err, &code):
		return code.Temporary() || retryableCode(code)
	case errors.Is(err, protocol.ErrNoTopic), errors.Is(err, protocol.ErrNoPartition), errors.Is(err, protocol.ErrNoLeader):
		return true // what the cluster told a moment ago; it may be new
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, net.ErrClosed), errors.As(err, &network):
		return true
	default:
		return false
	}
}

// Refused reports whether the cluster turned this client away until a person changes something: a right that it lacks, a
// protocol that the two do not share, topics that are not what they must be. It is less than not Retryable, which is also
// what nobody has met yet.
func Refused(err error) bool {
	if _, ok := errors.AsType[*TopicMismatchError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*PartitionsChangedError](err); ok {
		return true
	}
	code, _ := errors.AsType[kafka.Error](err)
	switch code {
	case kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed,
		kafka.SASLAuthenticationFailed, kafka.UnsupportedSASLMechanism, kafka.IllegalSASLState, kafka.UnsupportedVersion,
		kafka.InvalidReplicationFactor, kafka.PolicyViolation, kafka.InvalidConfiguration:
		return true
	default:
		return false
	}
}

// retryableCode adds what the client does not count as temporary: the codes that it makes up itself for a broker it
// cannot find, and those that end with the next generation of a group.
func retryableCode(code kafka.Error) bool {
	switch code {
	case kafka.Unknown, kafka.BrokerNotAvailable, kafka.ReplicaNotAvailable,
		kafka.RebalanceInProgress, kafka.IllegalGeneration, kafka.UnknownMemberId:
		return true
	default:
		return false
	}
}
