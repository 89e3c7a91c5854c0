package aggregator

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"reckoner"
	"reckoner/internal/bus"
)

// ErrNotDeadLetter says that a record of the dead letter topic was not written by an aggregator.
var ErrNotDeadLetter = errors.New("not a dead letter of an aggregator")

// DeadLetter is a copy of a record that could not be decoded, as the dead letter topic holds it.
type DeadLetter struct {
	Position reckoner.Position // of the record
	Reason   string            // why it was refused
	Time     time.Time         // the record's own
	Key      []byte
	Value    []byte
	Headers  []bus.Header // the record's own
	// Omitted says that key, value and headers were left out, for they were too large for a copy; the log has them.
	// OmittedBytes is the size of the value.
	Omitted      bool
	OmittedBytes int
}

// ParseDeadLetter takes a record of the dead letter topic apart. A record may have carried headers of these very names
// itself, so they are told by their place: the aggregator's come last.
func ParseDeadLetter(rec *bus.Record) (DeadLetter, error) {
	own := rec.Headers
	d := DeadLetter{Key: rec.Key, Value: rec.Value}
	if n := len(own); n == ownHeaders+1 && own[n-1].Key == headerOmitted {
		bytes, err := strconv.Atoi(string(own[n-1].Value))
		if err != nil {
			return DeadLetter{}, fmt.Errorf("%w: header %s: %w", ErrNotDeadLetter, headerOmitted, err)
		}
		d.Omitted, d.OmittedBytes, own = true, bytes, own[:n-1]
	}
	if len(own) < ownHeaders {
		return DeadLetter{}, fmt.Errorf("%w: it has %d headers", ErrNotDeadLetter, len(own))
	}
	d.Headers, own = own[:len(own)-ownHeaders], own[len(own)-ownHeaders:]
	for i, name := range [ownHeaders]string{headerReason, headerPosition, headerTime} {
		if own[i].Key != name {
			return DeadLetter{}, fmt.Errorf("%w: header %q where %s is due", ErrNotDeadLetter, clip(own[i].Key), name)
		}
	}
	d.Reason = string(own[0].Value)
	var err, errTime error
	d.Position, err = reckoner.ParsePosition(string(own[1].Value))
	d.Time, errTime = time.Parse(time.RFC3339Nano, string(own[2].Value))
	if err := errors.Join(err, errTime); err != nil {
		return DeadLetter{}, fmt.Errorf("%w: %w", ErrNotDeadLetter, err)
	}
	return d, nil
}
