package aggregator

import (
	"slices"
	"strconv"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// batch is what a partition decided and has not settled yet.
type batch struct {
	layer      *layer
	entries    chunks[ledger.Entry]
	refusals   chunks[ledger.Refusal]
	dead       []bus.Record
	verdicts   []reckoner.Verdict
	checkpoint ledger.Checkpoint // after the last record of the batch
	records    int
	bytes      int // of keys and values
}

func newBatch(below view, from ledger.Checkpoint) *batch {
	return &batch{layer: newLayer(below), checkpoint: from}
}

// onTop returns the batch that goes on from a sealed one, with room for as much.
func (b *batch) onTop() *batch {
	return &batch{layer: newLayerLike(b.layer, b.layer), checkpoint: b.checkpoint}
}

// add takes the effect of the record at the checkpoint, and moves the checkpoint past it: all but its RecordHash, which
// costs as much as the rest and which only the last record of a batch leaves behind (hashed).
func (b *batch) add(rec *Record, f *effect) {
	c := &b.checkpoint
	if f.entry != nil {
		c.Entries++
		e := f.entry
		c.EntriesDigest += ledger.RowDigest(e.Position, e.Outcome, e.Quantity, e.AccountID, e.EventID)
		c.Rules = max(c.Rules, e.Rules)
	} else {
		c.Refusals++
		r := f.refusal
		c.RefusalsDigest += ledger.RowDigest(r.Position, r.Outcome, reckoner.Quantity{}, r.AccountID, r.EventID)
		c.Rules = max(c.Rules, r.Rules)
	}
	if f.dead {
		b.dead = append(b.dead, deadLetter(rec, f.refusal))
	}
	if f.verdict != nil {
		b.verdicts = append(b.verdicts, *f.verdict)
	}
	c.Next = rec.Offset + 1
	b.records++
	b.bytes += len(rec.Key) + len(rec.Value)
}

// hashed completes the checkpoint after the record that was added last.
func (b *batch) hashed(last *Record) {
	b.checkpoint.RecordHash = ledger.RecordHash(last.Key, last.Value)
}

// appendTo adds the batch's rows to an insert that may gather several partitions.
func (b *batch) appendTo(rows *ledger.Batch) {
	rows.Entries = b.entries.appendTo(rows.Entries)
	rows.Refusals = b.refusals.appendTo(rows.Refusals)
	rows.Totals = b.layer.rows.appendTo(rows.Totals)
	rows.Checkpoints = append(rows.Checkpoints, b.checkpoint)
}

// The headers of a dead letter.
const (
	headerReason   = "reckoner-reason"
	headerPosition = "reckoner-position" // log/partition/offset.index
	headerTime     = "reckoner-time"     // the record's own, RFC 3339
	headerOmitted  = "reckoner-omitted"  // in place of contents that are too large for a copy: their bytes
)

// ownHeaders is how many headers deadLetter appends.
const ownHeaders = 3

// deadLetter returns the copy of a record that goes to the dead letter topic: its key, its bytes and its headers, and
// why and from where. The same record always gives the same copy.
func deadLetter(rec *Record, r *ledger.Refusal) bus.Record {
	headers := append([]bus.Header(nil), rec.Headers...)
	headers = append(headers,
		bus.Header{Key: headerReason, Value: []byte(r.Reason)},
		bus.Header{Key: headerPosition, Value: []byte(r.Position.String())},
		bus.Header{Key: headerTime, Value: rec.Time.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z07:00")},
	)
	return bus.Record{Key: rec.Key, Value: rec.Value, Headers: headers}
}

// emptied returns a dead letter without the contents of the record that it copies.
func emptied(dead bus.Record) bus.Record {
	own := dead.Headers[len(dead.Headers)-ownHeaders:]
	headers := append(slices.Clone(own), bus.Header{Key: headerOmitted, Value: strconv.AppendInt(nil, int64(len(dead.Value)), 10)})
	return bus.Record{Headers: headers}
}

// GapError says that a log does not continue where the state ends. Nothing is ever skipped: the partition stops.
type GapError struct {
	Partition int32
	Want, Got int64
}

// Error names the offsets and the remedy.
func (e *GapError) Error() string {
	return "partition " + strconv.Itoa(int(e.Partition)) + ": the next record has offset " + strconv.FormatInt(e.Got, 10) +
		" where " + strconv.FormatInt(e.Want, 10) + " was due; the topic must be neither compacted nor written in transactions; " +
		GoOn(e.Partition, e.Got-e.Want)
}
