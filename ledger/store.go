package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"reckoner"
)

var (
	// ErrLogMismatch says that the topic is not what its log was registered as.
	ErrLogMismatch = errors.New("the topic does not match the registered log")
	// ErrNoLog says that no log is registered: run `reckoner migrate`.
	ErrNoLog = errors.New("no log is registered: run `reckoner migrate`")
	// ErrSchema says that the schema is older or newer than this build can work with.
	ErrSchema = errors.New("the schema does not fit this build")
)

// RowError says that a row holds what nobody wrote: it was damaged. What could be read of the row comes with it, and a
// sequence of rows goes on after it.
type RowError struct {
	Table    string // entries, refusals or totals
	Position reckoner.Position
	ID       string // of the event; of a total its account
	Err      error
}

// Error names the row and what is wrong with it.
func (e *RowError) Error() string {
	return fmt.Sprintf("%s: the row at %s, id %q, cannot be read: %v", e.Table, e.Position, e.ID, e.Err)
}

// Unwrap returns what is wrong.
func (e *RowError) Unwrap() error { return e.Err }

// Writer stores what the aggregator decided.
type Writer interface {
	// Write inserts the entries and refusals, then the totals, then the checkpoints, each table in one insert where it
	// can. It returns nil only when all of them are durable. After an error any part of the batch may be stored, or
	// stored later: the caller writes the same batch again, which changes nothing, or gives up and replays the log.
	// Write may be called by several goroutines; it does not retry. Permanent(err) is true when writing the same batch
	// again cannot help.
	Write(ctx context.Context, b *Batch) error
}

// Restorer gives back what a lost state is rebuilt from.
type Restorer interface {
	// Checkpoint returns the newest checkpoint of a partition; false when there is none.
	Checkpoint(ctx context.Context, log uint32, partition int32) (Checkpoint, bool, error)
	// Entries yields each entry of a partition below an offset exactly once, grouped by account and, within it, in
	// the order of the log; accounts come in the order of their bytes. Rows from that offset on may be half a batch and
	// are never yielded. The sequence begins after a place, at the first row when that is nil, and ends after the first
	// error. Of a row it has what a state is made of: position, account, subscription, meter and its type, event id, kind,
	// type, usage id, quantity, outcome, period, bucket, time of use, fingerprint and rules. All else is zero.
	Entries(ctx context.Context, log uint32, partition int32, below int64, after *Place) iter.Seq2[Entry, error]
	// Refusals is the same for refusals. They have position, account, event id, kind, outcome, fingerprint and rules.
	Refusals(ctx context.Context, log uint32, partition int32, below int64, after *Place) iter.Seq2[Refusal, error]
	// EarlierEntries yields the entries of all logs before l whose account belongs to a partition of l (Kafka's default
	// partitioner over l.Partitions), grouped by account and, within it, in the order of (log, offset, index).
	EarlierEntries(ctx context.Context, l Log, partition int32, after *Place) iter.Seq2[Entry, error]
	// EarlierRefusals is the same for refusals.
	EarlierRefusals(ctx context.Context, l Log, partition int32, after *Place) iter.Seq2[Refusal, error]
}

// Place is where a row stands in the order of Restorer: by account, then by the order of the log. A restore that was
// interrupted goes on after the last row that it has. An account may be large, so it is no account that it goes on after.
type Place struct {
	AccountID string
	Position  reckoner.Position
}

// Watcher tells how far the ledger is, cheaply enough to be asked with every flush.
type Watcher interface {
	// Checkpoints returns the newest checkpoint of every partition of a log that has one, in no particular order. On a
	// cluster the answer may be older than what was acknowledged: who finds a checkpoint too old asks
	// Restorer.Checkpoint before believing it.
	Checkpoints(ctx context.Context, log uint32) ([]Checkpoint, error)
}

// Auditor gives what a verification compares beside the rows of Restorer.
type Auditor interface {
	// WholeEntries yields what Restorer.Entries does from the first row on, with all that a row has.
	WholeEntries(ctx context.Context, log uint32, partition int32, below int64) iter.Seq2[Entry, error]
	// WholeRefusals is the same for refusals.
	WholeRefusals(ctx context.Context, log uint32, partition int32, below int64) iter.Seq2[Refusal, error]
	// Totals yields every total whose last change stands in a partition of a log, each once, in no particular order.
	// The sequence ends after the first error.
	Totals(ctx context.Context, log uint32, partition int32) iter.Seq2[Total, error]
	// Audit computes, from the rows themselves, the counts and digests that a checkpoint at an offset has to carry. Its
	// Rules and RecordHash are 0: it does not read them.
	Audit(ctx context.Context, log uint32, partition int32, below int64) (Checkpoint, error)
	// Strays yields rows that no log gives: those of every table whose partition no log was registered with, and the
	// entries and refusals of a log's partitions from ends[partition] on. The sequence ends after the first error.
	Strays(ctx context.Context, log uint32, ends []int64) iter.Seq2[Stray, error]
}

// Stray is a row where no log has an event.
type Stray struct {
	Table    string            // entries, refusals, totals or checkpoints
	Position reckoner.Position // of a checkpoint: its next offset
	What     string            // the id of an event; of a total its account; empty for a checkpoint
}

// Balancer holds a ledger against itself, a slice of accounts at a time. It is the cheap half of a verification.
type Balancer interface {
	// Accounts returns the first accounts of a partition, in the order of their bytes, that come after one: those
	// that have an entry or a total there. They are limit at most and may be fewer; none means that there are no more.
	Accounts(ctx context.Context, log uint32, partition int32, after string, limit int) ([]string, error)
	// Unbalanced returns those of the accounts of which a total is not what the entries below an offset come to. The
	// offset is that of a checkpoint that was read before. Totals that stand at it or above are passed over: what
	// changed them may be half a batch.
	Unbalanced(ctx context.Context, log uint32, partition int32, below int64, accounts []string) ([]string, error)
}

// Logs keeps the registration of logs.
type Logs interface {
	// CurrentLog returns the newest registered log, or ErrNoLog.
	CurrentLog(ctx context.Context) (Log, error)
	// RegisterLog writes a registration once. The same number with other values is ErrLogMismatch.
	RegisterLog(ctx context.Context, l Log) error
	// Losses returns what was given up of all logs, by log and partition.
	Losses(ctx context.Context) ([]Loss, error)
}

// Transaction is one entry as the Frontier dialect shows it.
type Transaction struct {
	Entry
	// UsageSource is, of a revert, the source of the usage it reverts.
	UsageSource string
}

// TransactionQuery selects entries of one account, newest first: by (UsageTime, Position) descending.
type TransactionQuery struct {
	AccountID string
	From, To  time.Time // inclusive bounds on the time of use; zero: none
	Limit     int
	// After is the last row of the page before, nil for the first page.
	After *TransactionCursor
}

// TransactionCursor is a place in the order of transactions.
type TransactionCursor struct {
	UsageTime time.Time
	Position  reckoner.Position
}

// Reader answers the reads of the dialects. Each answer is exact as of some position.
type Reader interface {
	Transactions(ctx context.Context, q TransactionQuery) ([]Transaction, error)
	// Debited returns the account's net usage, over all time, of the entries of one type (`credit`), 0 when there are
	// none. Only entries of interval meters are added: levels and peaks have no sum.
	Debited(ctx context.Context, accountID, typ string) (reckoner.Quantity, error)
	UsageReader
	AccountReader
}

// permanent marks an error that writing again cannot mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// MarkPermanent marks err as one that writing the same batch again cannot mend. It returns nil for nil.
func MarkPermanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// Permanent reports whether MarkPermanent marked err or anything it wraps.
func Permanent(err error) bool {
	_, ok := errors.AsType[permanent](err)
	return ok
}
