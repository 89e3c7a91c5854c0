package bus

import "strconv"

// The topics. Names, keys and values are a contract with other programs.
const (
	// TopicEvents holds every usage and revert, keyed by billing account. It is the truth: it is neither compacted nor
	// written in transactions, so its offsets are dense.
	TopicEvents = "usage.events"
	// TopicOutcomes holds the decisions that somebody waits for, keyed by billing account.
	TopicOutcomes = "usage.outcomes"
	// TopicDeadLetter holds what could not be decoded, with reason and position in the headers.
	TopicDeadLetter = "usage.deadletter"
	// TopicCatalog holds the changes of the catalog in their order.
	TopicCatalog = "catalog"
)

// Topic settings, as Kafka names them.
const (
	configRetention   = "retention.ms"
	configTimestamp   = "message.timestamp.type"
	configCleanup     = "cleanup.policy"
	configMinInsync   = "min.insync.replicas"
	configMessageSize = "max.message.bytes"
)

// DeadLetterBytesMax is the largest record that TopicDeadLetter takes: any record of TopicEvents (one megabyte, Kafka's
// default) fits with its headers.
const DeadLetterBytesMax = 2 << 20

// sidePartitions is the number of partitions of the topics beside the log. It does not follow the log's, which may be
// changed later: no decision depends on it.
const sidePartitions = 4

// TopicSpec says what a topic must be.
type TopicSpec struct {
	Name       string
	Partitions int
	// Replication is the number of copies; 0 leaves it to the cluster.
	Replication int
	// Config are topic settings by Kafka's names. Settings that are not listed are the cluster's business.
	Config map[string]string
}

// Topics returns the specifications of all topics, the events' in the given number of partitions. From three copies
// on, a write needs two of them, so that an acknowledged record outlives one broker.
func Topics(partitions, replication int) []TopicSpec {
	spec := func(name string, partitions int, retention, timestamp string) TopicSpec {
		s := TopicSpec{Name: name, Partitions: partitions, Replication: replication, Config: map[string]string{
			configRetention: retention,
			configTimestamp: timestamp,
			configCleanup:   "delete",
		}}
		if replication >= 3 {
			s.Config[configMinInsync] = "2"
		}
		return s
	}
	const (
		forever  = "-1"
		hour     = "3600000"
		byBroker = "LogAppendTime" // a clock of a producer must not decide what is kept
	)
	dead := spec(TopicDeadLetter, sidePartitions, forever, byBroker)
	dead.Config[configMessageSize] = "2097152"
	return []TopicSpec{
		spec(TopicEvents, partitions, forever, byBroker),
		spec(TopicOutcomes, sidePartitions, hour, byBroker),
		dead,
		spec(TopicCatalog, 1, forever, byBroker),
	}
}

// SetMinInsync says how many copies an acknowledged write is in, whatever the number of copies.
func (s *TopicSpec) SetMinInsync(replicas int) { s.Config[configMinInsync] = strconv.Itoa(replicas) }
