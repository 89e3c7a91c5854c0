package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"reckoner"
	"reckoner/aggregator"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
)

// deadLetters yields each dead letter once, though the topic may hold several copies: partition by partition, oldest
// first, up to what the topic holds at the start. Records that no aggregator wrote are told and passed over.
func (p *Process) deadLetters(ctx context.Context, client *bus.Client) iter.Seq2[aggregator.DeadLetter, error] {
	return func(yield func(aggregator.DeadLetter, error) bool) {
		seen := make(map[reckoner.Position]bool)
		for rec, err := range readAll(ctx, client, bus.TopicDeadLetter) {
			if err != nil {
				yield(aggregator.DeadLetter{}, err)
				return
			}
			d, err := aggregator.ParseDeadLetter(&rec)
			if err != nil {
				p.Log.Warn("passed over", "topic", bus.TopicDeadLetter, "partition", rec.Partition, "offset", rec.Offset, "error", err)
				continue
			}
			if seen[d.Position] {
				continue
			}
			seen[d.Position] = true
			if !yield(d, nil) {
				return
			}
		}
	}
}

// readAll yields what a topic holds at the start, partition by partition. The sequence ends after the first error.
func readAll(ctx context.Context, client *bus.Client, topic string) iter.Seq2[bus.Record, error] {
	return func(yield func(bus.Record, error) bool) {
		ranges, err := client.AllOffsets(ctx, topic)
		if err != nil {
			yield(bus.Record{}, err)
			return
		}
		for number := range len(ranges) {
			if !readPartition(ctx, client, topic, number, ranges[number], yield) {
				return
			}
		}
	}
}

// readPartition reports whether whoever asked wants more.
func readPartition(ctx context.Context, client *bus.Client, topic string, number int, r bus.Range, yield func(bus.Record, error) bool) bool {
	if r.First >= r.Next {
		return true
	}
	reader, err := client.OpenReader(ctx, topic, number, r.First)
	for err == nil && reader.Next() < r.Next {
		var recs []bus.Record
		recs, _, err = reader.Fetch(ctx, bus.Limits{})
		if ctx.Err() == nil && bus.Retryable(err) {
			err = nil // the reader paces itself
		}
		for _, rec := range recs {
			if rec.Offset < r.Next && !yield(rec, nil) {
				return false
			}
		}
	}
	if err != nil {
		yield(bus.Record{}, fmt.Errorf("read %s/%d: %w", topic, number, err))
	}
	return err == nil
}

// whole returns a dead letter with its contents: where they were too large for a copy, the log still has them, unless
// its retention is over.
func whole(ctx context.Context, client *bus.Client, d aggregator.DeadLetter) (aggregator.DeadLetter, error) {
	if !d.Omitted {
		return d, nil
	}
	at := d.Position
	rec, err := client.ReadRecord(ctx, bus.TopicEvents, int(at.Partition), at.Offset)
	if err != nil {
		return d, fmt.Errorf("%s: the contents were too large for a copy, and the log does not give them: %w", at, err)
	}
	if len(rec.Value) != d.OmittedBytes {
		return d, fmt.Errorf("%s: the contents were too large for a copy, and the log holds another record there now (%d bytes, it had %d)",
			at, len(rec.Value), d.OmittedBytes)
	}
	d.Key, d.Value, d.Headers, d.Omitted = rec.Key, rec.Value, rec.Headers, false
	return d, nil
}

// errNoDeadLetter says that the dead letter topic holds none of a position.
var errNoDeadLetter = errors.New("no dead letter has this position: see `reckoner deadletter list`")

// findDeadLetter returns the dead letter of a position with its contents.
func (p *Process) findDeadLetter(ctx context.Context, client *bus.Client, at reckoner.Position) (aggregator.DeadLetter, error) {
	for d, err := range p.deadLetters(ctx, client) {
		if err != nil {
			return d, err
		}
		if d.Position == at {
			return whole(ctx, client, d)
		}
	}
	return aggregator.DeadLetter{}, fmt.Errorf("%s: %w", at, errNoDeadLetter)
}

// acceptable decodes a dead letter as this build does. An error says why it would be refused again.
func acceptable(d *aggregator.DeadLetter) (*reckoner.Event, error) {
	e, err := wire.DecodeEvent(d.Value)
	if e != nil && e.Rules > reckoner.Rules {
		return e, fmt.Errorf("it has decision rules %d, and this build knows rules up to %d", e.Rules, reckoner.Rules)
	}
	return e, err
}

// shown returns bytes that anybody may have sent as they can be shown on a terminal: quoted unless they are plain.
func shown[T ~string | ~[]byte](v T) string {
	const longest = 120
	s := string(v)
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	if quoted := strconv.Quote(s); len(s) == 0 || quoted != `"`+s+`"` {
		return quoted
	}
	return s
}
