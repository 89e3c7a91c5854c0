package ingest

import (
	"fmt"
	"net/http"

	"reckoner"
)

// outcomeHeader names the outcome of a decided request, for programs: several outcomes share a status and a code, and
// some share them with a request that was refused.
const outcomeHeader = "Reckoner-Outcome"

// revert takes back a usage, and answers with what became of it.
func (f *frontier) revert(c *call) error {
	id, err := f.revertID(c.r.Header)
	if err != nil {
		return err
	}
	body, err := f.readBody(c, nil)
	if err != nil {
		return err
	}
	m, err := parseRevert(body, &f.limits)
	if err != nil {
		return err
	}
	m.fromPath(c.params)
	if usage, ok := c.params["usage_id"]; ok {
		m.usageID = usage
	}
	if err := m.check(); err != nil {
		return err
	}
	t, err := c.resolve(m.names)
	if err != nil {
		return err
	}
	events := make([]reckoner.Event, 1)
	e := &events[0]
	c.stamp(t, e)
	e.Kind, e.ID, e.Written.UsageID = reckoner.Revert, id, reckoner.CanonicalID(m.usageID)
	if m.amount > 0 { // none is all
		e.Written.Quantity = new(reckoner.Units(m.amount))
	}
	if err := e.Validate(); err != nil {
		return invalid("invalid RevertBillingUsageRequest: %v", err)
	}
	wait := preferredWait(c.r.Header)
	if wait > 0 {
		applied(c.w.Header(), wait)
	} else {
		wait = f.outcomeTimeout
	}
	verdicts, err := f.publishAndWait(c, events, wait)
	switch {
	case err != nil:
		return err
	case verdicts == nil:
		f.answer(c, http.StatusAccepted, []byte("{}"))
		return nil
	}
	c.w.Header().Set(outcomeHeader, firstOutcome(&verdicts[0]).String())
	if err := revertError(&verdicts[0]); err != nil {
		return err
	}
	f.answer(c, http.StatusOK, []byte("{}"))
	return nil
}

// revertID is the caller's key, by which a retry is known, or a new id.
func (f *frontier) revertID(h http.Header) (string, error) {
	key, given, why := givenKey(h)
	switch {
	case why != "":
		return "", invalid("invalid %s: %s", idempotencyKey, why)
	case !given:
		return f.newID(), nil
	}
	return reckoner.CanonicalID(key), nil
}

// firstOutcome is the outcome that an answer is about: of a repetition, what the id got first.
func firstOutcome(v *reckoner.Verdict) reckoner.Outcome {
	if v.Outcome == reckoner.Duplicate {
		return v.First
	}
	return v.Outcome
}

// revertError is what a revert's verdict means to its caller; nil when the usage was reverted. A repetition means what
// the first one meant.
func revertError(v *reckoner.Verdict) error {
	switch firstOutcome(v) {
	case reckoner.Reverted:
		return nil
	case reckoner.UnknownUsage:
		return &reckoner.Error{Code: reckoner.NotFound, Message: "usage doesn't exist"}
	case reckoner.AlreadyReverted:
		return &reckoner.Error{Code: reckoner.FailedPrecondition, Message: "the usage was reverted before; a usage can be reverted once"}
	case reckoner.NotRevertable:
		return &reckoner.Error{Code: reckoner.FailedPrecondition, Message: "the usage cannot be reverted: it did not count, or its meter does not add up"}
	case reckoner.ExceedsUsage:
		return invalid("the amount to revert exceeds what the usage counted")
	case reckoner.Conflict:
		return conflict(v)
	default:
		return unfit(v)
	}
}

// conflict says that an id was used before for something else.
func conflict(v *reckoner.Verdict) error {
	if v.Kind == reckoner.Revert {
		return &reckoner.Error{
			Code: reckoner.AlreadyExists, Message: fmt.Sprintf("the %s %s was used before for another revert", idempotencyKey, v.ID),
		}
	}
	return &reckoner.Error{
		Code:    reckoner.AlreadyExists,
		Message: fmt.Sprintf("the id %s was used before for a usage with other content; it counts nothing, the request's other usages do", v.ID),
	}
}

// unfit says that a verdict cannot be of what was asked: a defect of ours, or another partitioner on the way.
func unfit(v *reckoner.Verdict) error {
	return fmt.Errorf("the %s %s at %s was decided %s", v.Kind, v.ID, v.Position, v.Outcome)
}
