package reckoner

// Verdict is the outcome of one event, for whoever waits for it.
type Verdict struct {
	ReplyTo   string // the address the event carried
	AccountID string
	Kind      Kind
	ID        string
	Outcome   Outcome
	First     Outcome  // of a Duplicate: what the id got first; else Outcome itself
	Quantity  Quantity // what counted, signed: negative for a revert; of a Duplicate: what counted first
	Position  Position
}
