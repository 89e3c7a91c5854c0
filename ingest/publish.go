package ingest

import (
	"context"
	"errors"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
)

// The steps between which a crash leaves a producer without an answer. It sends again with the same ids.
const (
	stepProduce = "produce" // nothing is written
	stepAnswer  = "answer"  // every in-sync replica has the events, and nobody was told
)

// Steps returns the steps of a write, in their order: what Options.At is called with.
func Steps() []string { return []string{stepProduce, stepAnswer} }

// publish returns nil only when every in-sync replica has every event. All of them are encoded before any is written.
func (s *Server) publish(c *call, events []reckoner.Event) error {
	records, err := encode(events)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), s.limits.ProduceTimeout)
	defer cancel()
	started := time.Now()
	s.at(stepProduce)
	err = s.publisher.Produce(ctx, bus.TopicEvents, records)
	result := "ok"
	switch {
	case errors.Is(err, bus.ErrBusy):
		result = "busy"
	case err != nil:
		result = "failed"
	}
	s.metrics.produce.WithLabelValues(result).Observe(time.Since(started).Seconds())
	if err != nil {
		return unpublished(err)
	}
	s.at(stepAnswer)
	s.metrics.events.WithLabelValues(c.dialect.name, events[0].Kind.String()).Add(float64(len(events)))
	return nil
}

// encode keys every record by its account. The dialect has validated the events.
func encode(events []reckoner.Event) ([]bus.Record, error) {
	records := make([]bus.Record, len(events))
	var key []byte
	for i := range events {
		e := &events[i]
		value, err := wire.EncodeEvent(e)
		if err != nil {
			return nil, &reckoner.Error{Code: reckoner.Invalid, Message: "a text is not UTF-8", Err: err}
		}
		if i == 0 || e.AccountID != events[i-1].AccountID {
			key = []byte(e.AccountID)
		}
		records[i] = bus.Record{Key: key, Value: value}
	}
	return records, nil
}

// unpublished says what is known of events that were not acknowledged. Only of a full queue and of a record that is too
// large is it known that nothing was written.
func unpublished(err error) error {
	if errors.Is(err, bus.ErrBusy) {
		return &reckoner.Error{
			Code: reckoner.Unavailable, Err: err, Message: "too much is on its way to the log; nothing was written, try again in a moment",
		}
	}
	if _, ok := errors.AsType[*bus.TooLargeError](err); ok {
		return &reckoner.Error{Code: reckoner.TooLarge, Err: err, Message: "an event is too large for the log; nothing was written"}
	}
	return &reckoner.Error{
		Code: reckoner.Unavailable, Err: err,
		Message: "the log did not acknowledge the events; some may be stored, so send the request again with the same ids",
	}
}

// publishAndWait publishes events and waits for their outcomes, for so long from the time of receipt. It returns nil
// verdicts when not all came in time: the events are durable and will be decided.
func (s *Server) publishAndWait(c *call, events []reckoner.Event, wait time.Duration) ([]reckoner.Verdict, error) {
	w, err := s.outcomes.await(events)
	if err != nil {
		return nil, err
	}
	defer w.stop()
	if err := s.publish(c, events); err != nil {
		return nil, err
	}
	verdicts, ok := w.wait(c.r.Context(), wait-time.Since(c.started))
	if !ok {
		s.metrics.unheard.Inc()
		return nil, nil
	}
	return verdicts, nil
}
