package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"reckoner/internal/bus"
	"reckoner/internal/catalog"
)

// Producer writes records, as bus.Producer does.
type Producer interface {
	Produce(ctx context.Context, topic string, recs []bus.Record) error
}

// WriterOptions bound a writer. Zero values take the defaults.
type WriterOptions struct {
	// Timeout bounds one batch of changes, from its writing to its decisions (default 15 s).
	Timeout time.Duration
	// InFlight is how many changes of a diff are on their way at once (default 5,000).
	InFlight int
}

const (
	defaultTimeout  = 15 * time.Second
	defaultInFlight = 5000
)

// Writer changes the catalog. It is safe for concurrent use.
type Writer struct {
	reader   *Reader
	producer Producer
	opts     WriterOptions
}

// NewWriter returns a writer that learns what became of its changes from the reader, whose Run must run.
func NewWriter(r *Reader, p Producer, o WriterOptions) *Writer {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	return &Writer{reader: r, producer: p, opts: o}
}

// UnknownError says that it is not known what became of changes: they may stand in the log, or still come into it.
type UnknownError struct{ Err error }

// Error says what to do.
func (e *UnknownError) Error() string {
	return "unknown whether the catalog was changed; read it again to see: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnknownError) Unwrap() error { return e.Err }

// Do makes one change and returns what was decided; of a refusal Decision.Err tells. When it returns, the reader's
// catalog has the change, if it was applied. An error says that nothing is decided: an *UnknownError that it may be yet,
// any other that nothing was written.
func (w *Writer) Do(ctx context.Context, ch catalog.Change) (catalog.Decision, error) {
	decisions, err := w.write(ctx, []catalog.Change{ch})
	if err != nil {
		return catalog.Decision{}, err
	}
	return decisions[0], nil
}

// write makes changes in their order, and returns a decision for each.
func (w *Writer) write(ctx context.Context, changes []catalog.Change) ([]catalog.Decision, error) {
	records := make([]bus.Record, len(changes))
	for i := range changes {
		key, value, err := changes[i].Encode()
		if err != nil {
			return nil, err
		}
		records[i] = bus.Record{Key: key, Value: value}
	}
	ctx, cancel := context.WithTimeout(ctx, w.opts.Timeout)
	defer cancel()
	waiting, err := w.reader.waiters.await(changes)
	if err != nil {
		return nil, err
	}
	produced := make(chan error, 1) // the decisions may be heard before the acknowledgement
	go func() { produced <- w.producer.Produce(ctx, bus.TopicCatalog, records) }()
	for failed := error(nil); ; {
		select {
		case <-waiting.done:
			return heard(waiting.stop(), errors.Join(failed, w.reader.Err()))
		case <-ctx.Done():
			return heard(waiting.stop(), errors.Join(failed, fmt.Errorf("no decision came in time: %w", ctx.Err())))
		case err := <-produced:
			if err != nil && !stored(err) {
				waiting.stop()
				return nil, fmt.Errorf("the catalog was not changed: %w", err)
			}
			produced, failed = nil, err
		}
	}
}

// stored reports whether records may be in the log although producing them failed.
func stored(err error) bool {
	_, unknown := errors.AsType[*bus.UnknownError](err)
	return unknown
}

// heard returns the decisions if all were heard.
func heard(decisions []catalog.Decision, why error) ([]catalog.Decision, error) {
	for i := range decisions {
		if decisions[i].Change == "" {
			return nil, &UnknownError{Err: why}
		}
	}
	return decisions, nil
}
