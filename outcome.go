package reckoner

import "fmt"

// Outcome is the one decision taken about an event. Its text is the metric label, the column value and the word of
// the documentation.
type Outcome uint8

// The outcomes. Numbers are stored in states and on the wire and never change.
const (
	// Applied: a new ID, within the limit; counts in full.
	Applied Outcome = iota + 1
	// Clipped: over the limit with partial quantity accepted; counts the remaining headroom.
	Clipped
	// Duplicate: the ID was seen with the same fingerprint; no effect.
	Duplicate
	// Conflict: the ID was seen with another fingerprint; no effect.
	Conflict
	// LimitExceeded: over the limit, partial quantity not accepted or no headroom left; no effect.
	LimitExceeded
	// Reverted: a revert found its usage; counts negative.
	Reverted
	// AlreadyReverted: the usage was reverted before; no effect.
	AlreadyReverted
	// UnknownUsage: a revert names no usage of that account; no effect.
	UnknownUsage
	// ExceedsUsage: a revert's amount is more than the usage counted; no effect.
	ExceedsUsage
	// NotRevertable: a revert of a usage that did not count, or of a reading of a non-additive meter; no effect.
	NotRevertable
	// Misrouted: the record's key is not the account, or its partition is not the account's; no effect.
	Misrouted
	// Undecodable: the record is not a valid event; no effect, dead-lettered.
	Undecodable
)

var outcomeNames = [...]string{
	Applied: "applied", Clipped: "clipped", Duplicate: "duplicate", Conflict: "conflict",
	LimitExceeded: "limit_exceeded", Reverted: "reverted", AlreadyReverted: "already_reverted",
	UnknownUsage: "unknown_usage", ExceedsUsage: "exceeds_usage", NotRevertable: "not_revertable",
	Misrouted: "misrouted", Undecodable: "undecodable",
}

// Outcomes returns every outcome, in order.
func Outcomes() []Outcome {
	all := make([]Outcome, 0, len(outcomeNames)-1)
	for o := Applied; o <= Undecodable; o++ {
		all = append(all, o)
	}
	return all
}

// Valid reports whether o is one of the outcomes.
func (o Outcome) Valid() bool { return o >= Applied && o <= Undecodable }

// Counts reports whether an event of this outcome is an entry (it changed a total) rather than a refusal.
func (o Outcome) Counts() bool { return o == Applied || o == Clipped || o == Reverted }

// String returns the outcome's name.
func (o Outcome) String() string {
	if !o.Valid() {
		return fmt.Sprintf("outcome(%d)", uint8(o))
	}
	return outcomeNames[o]
}

// ParseOutcome is the inverse of String.
func ParseOutcome(s string) (Outcome, error) {
	for o := Applied; o <= Undecodable; o++ {
		if outcomeNames[o] == s {
			return o, nil
		}
	}
	return 0, fmt.Errorf("unknown outcome %q", clip(s))
}
