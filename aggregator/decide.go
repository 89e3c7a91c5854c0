package aggregator

import (
	"fmt"

	"reckoner"
)

// decision is what is to happen with one event. Deciding changes nothing.
type decision struct {
	outcome  reckoner.Outcome
	first    reckoner.Outcome  // of a Duplicate: what the id got first; else outcome
	quantity reckoner.Quantity // what counts, signed; of a Duplicate: what counted first
	reason   string            // of a refusal, for people
	target   *memory           // of Reverted: the usage
}

func refuse(o reckoner.Outcome, format string, args ...any) decision {
	return decision{outcome: o, first: o, reason: fmt.Sprintf(format, args...)}
}

func count(o reckoner.Outcome, q reckoner.Quantity) decision {
	return decision{outcome: o, first: o, quantity: q}
}

// decideV1 decides an event under rules 1. The order of the checks is part of the rules.
func decideV1(v view, k *keys, e *reckoner.Event, fp reckoner.Fingerprint) (decision, error) {
	first, seen, err := v.memory(k.id(e.AccountID, e.Kind, e.ID))
	if err != nil {
		return decision{}, err
	}
	if seen {
		return decideSeen(&first, fp), nil
	}
	if e.Kind == reckoner.Revert {
		return decideRevert(v, k, e)
	}
	return decideUsage(v, k, e)
}

func decideSeen(first *memory, fp reckoner.Fingerprint) decision {
	if first.fingerprint != fp {
		return refuse(reckoner.Conflict, "the id was sent before with other content")
	}
	d := refuse(reckoner.Duplicate, "the id was sent before: %s", first.outcome)
	d.first, d.quantity = first.outcome, first.quantity
	return d
}

func decideUsage(v view, k *keys, e *reckoner.Event) (decision, error) {
	asked := *e.Written.Quantity
	if e.Limit == nil {
		return count(reckoner.Applied, asked), nil
	}
	used, _, err := v.used(k.used(e.AccountID, e.SubscriptionID, e.Meter.Name, e.Period))
	if err != nil {
		return decision{}, err
	}
	headroom, err := e.Limit.Sub(used)
	if err != nil {
		return decision{}, err
	}
	switch {
	case asked.Cmp(headroom) <= 0:
		return count(reckoner.Applied, asked), nil
	case headroom.Sign() > 0 && e.Written.AcceptPartial:
		return count(reckoner.Clipped, headroom), nil
	default:
		return refuse(reckoner.LimitExceeded, "%s asked, %s used of %s in the period", asked, used, e.Limit), nil
	}
}

func decideRevert(v view, k *keys, e *reckoner.Event) (decision, error) {
	usage, found, err := v.memory(k.id(e.AccountID, reckoner.Usage, e.Written.UsageID))
	if err != nil {
		return decision{}, err
	}
	if !found {
		return refuse(reckoner.UnknownUsage, "the account has no usage of this id"), nil
	}
	if usage.counted == nil {
		return refuse(reckoner.NotRevertable, "the usage did not count: %s", usage.outcome), nil
	}
	if t := usage.counted.total.MeterType; t != reckoner.Interval {
		return refuse(reckoner.NotRevertable, "a reading of a meter of type %s is corrected by a newer reading", t), nil
	}
	if usage.counted.reverted {
		return refuse(reckoner.AlreadyReverted, "the usage was reverted before"), nil
	}
	amount := usage.quantity
	if e.Written.Quantity != nil {
		amount = *e.Written.Quantity
	}
	if amount.Cmp(usage.quantity) > 0 {
		return refuse(reckoner.ExceedsUsage, "%s is more than the %s that the usage counted", amount, usage.quantity), nil
	}
	d := count(reckoner.Reverted, amount.Neg())
	d.target = &usage
	return d, nil
}
