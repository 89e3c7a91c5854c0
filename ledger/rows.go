// Package ledger is the contract of the ledger: the rows that are kept, who may write them, and what readers may rely
// on. The implementation is in ledger/clickhouse.
package ledger

import (
	"time"

	"reckoner"
)

// Entry is an event that counts: its effect on the totals, and everything that a lost state is rebuilt from.
// It is keyed by position: writing the same entry again changes nothing.
type Entry struct {
	Position       reckoner.Position
	AccountID      string
	OrganizationID string
	ProjectID      string
	SubscriptionID string
	Meter          string
	MeterType      reckoner.MeterType
	EventID        string
	Kind           reckoner.Kind
	Type           string            // of a revert: of the usage it reverts
	UsageID        string            // of a revert: the usage it reverts
	Quantity       reckoner.Quantity // the signed effect; of a level or a peak: the reading
	Requested      *reckoner.Quantity
	Outcome        reckoner.Outcome
	Period         reckoner.Period // of a revert: of the usage it reverts
	Bucket         time.Time       // of a revert: of the usage it reverts
	UsageTime      time.Time       // of a revert: of the usage it reverts
	ReceivedAt     time.Time
	UpdatedAt      time.Time // zero when absent
	Source         string
	Description    string
	UserID         string
	CustomerID     string
	Metadata       []reckoner.Label
	Limit          *reckoner.Quantity
	Fingerprint    reckoner.Fingerprint
	Rules          uint32
}

// Refusal is an event that does not count, and why. It is keyed by position like an entry.
//
// Of an Undecodable event the texts are what could be read, and may be empty; its ReceivedAt is the record's own time.
type Refusal struct {
	Position       reckoner.Position
	AccountID      string
	OrganizationID string
	ProjectID      string
	SubscriptionID string
	Meter          string
	MeterType      reckoner.MeterType // 0 when unknown
	EventID        string
	Kind           reckoner.Kind // 0 when unknown
	Type           string
	UsageID        string
	Requested      *reckoner.Quantity
	Outcome        reckoner.Outcome
	Reason         string
	UsageTime      time.Time // zero when unknown
	ReceivedAt     time.Time
	Source         string
	Fingerprint    reckoner.Fingerprint
	Rules          uint32
}

// TotalKey is the finest grain of the totals.
type TotalKey struct {
	AccountID      string
	SubscriptionID string
	Meter          string
	MeterType      reckoner.MeterType
	Period         reckoner.Period
	Bucket         time.Time
}

// Total is the absolute value of one key as of Position, that of the last event that changed it. Of two rows of one
// key the one with the greater position is true, whoever wrote it and whenever.
type Total struct {
	TotalKey
	Quantity reckoner.Quantity // interval: the sum, net of reverts; total: the newest reading; rate: the greatest
	Events   uint64            // usages that count
	Reverts  uint64
	FirstUse time.Time // least and greatest time of use among the usages that count
	LastUse  time.Time
	Reading  reckoner.Position // of a level: where its newest reading stands; it breaks a tie of LastUse
	Position reckoner.Position
}

// Checkpoint says that every event of a partition below Next is in exactly one of entries and refusals, and in the
// totals. Counts and digests are cumulative from the first event of the log.
type Checkpoint struct {
	Log            uint32
	Partition      int32
	Next           int64 // the next offset to read
	Entries        uint64
	Refusals       uint64
	EntriesDigest  uint64 // sum modulo 2^64 of RowDigest
	RefusalsDigest uint64
	Rules          uint32 // the greatest version applied
	RecordHash     uint64 // RecordHash of the record at Next-1
}

// Log is a registered incarnation of the topic usage.events. What it holds can change a decision, so it is written
// once and any other value is refused.
type Log struct {
	Number     uint32
	Topic      string
	Partitions int32
	// Starts is the offset of the log's first record in each partition; nil: 0 everywhere. A log that follows another
	// one in the same topic begins where that one ended.
	Starts []int64
	// Lost is what was given up of the log before, by partition; nil: nothing.
	Lost []Loss
	// RegisteredAt is for people; no decision uses it.
	RegisteredAt time.Time
}

// Start is the offset of the log's first record in a partition.
func (l *Log) Start(partition int32) int64 {
	if int(partition) >= len(l.Starts) {
		return 0
	}
	return l.Starts[partition]
}

// Batch is what one or more partitions decided. Rows of one table are in no particular order.
type Batch struct {
	Entries     []Entry
	Refusals    []Refusal
	Totals      []Total
	Checkpoints []Checkpoint
}
