// Package partner is the port to partners: what a kind of partner must be able to do for the runner to report to it.
package partner

import (
	"context"
	"time"

	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
)

// Target is one kind of partner. All but Deliver is pure, and called again with the same arguments gives the same answer.
type Target interface {
	// Name is that of the catalog: see catalog.Targets.
	Name() string
	// Takes is how long after its end the partner takes reports of a part of a day.
	Takes() time.Duration
	// Due returns the parts to report at a moment, older ones first, given what was reported before.
	Due(t *report.Terms, past []ledger.Report, now time.Time) ([]report.Part, error)
	// Edges returns where the ledger is to be cut for a part: rising, two at least.
	Edges(t *report.Terms, past []ledger.Report, part report.Part) []time.Time
	// Draft makes the report of a part. Nil: the partner has it already, or there is nothing to tell it. past is the
	// installation's ledger.ReportStore.History, read after the timestamp was claimed, and what this run drafted before.
	Draft(in *report.Input, past []ledger.Report) (*Draft, error)
	// Redraft makes the bytes of a report that was kept, from what is kept of it and the readings at its position. It is how a
	// report is proven.
	Redraft(r *ledger.Report, readings []report.Reading) (*Draft, error)
	// Deliver sends a report once. It never tries again, and it returns soon after ctx ended.
	Deliver(ctx context.Context, d *Delivery) Answer
}

// Ambient is a Target that finds its partner and its credentials by itself. Its installations need neither base_url nor
// token, and report.default_base_url is not for them: without a base_url they are reported with an empty Delivery.BaseURL.
type Ambient interface {
	Target
	Ambient()
}

// Carrier is a Target whose reports tell of what earlier ones did not, however long ago that was. No part of a day is lost to
// it, so none of them expires.
type Carrier interface {
	Target
	CarriesOver()
}

// Draft is a report before it is sent.
type Draft struct {
	Payload []byte   // the exact bytes
	Figures [32]byte // SHA-256 of what they say, but for the timestamp
	State   []byte   // for the installation's next reports; nil: nothing is carried on
	Scope   []ledger.ReportScope
}

// Delivery is one attempt.
type Delivery struct {
	Installation *catalog.Installation
	BaseURL      string // where to, also when the installation names nothing
	Token        string // never logged, never stored
	Payload      []byte
	// Attempt counts the deliveries of this report, this one included, from 1; Before is what the one before came to. A
	// target whose answers differ from record to record keeps in Answer.Body what is known of all attempts.
	Attempt uint32
	Before  *Answer // nil: this is the first
}

// Verdict is what an attempt came to.
type Verdict uint8

// The verdicts.
const (
	Accepted Verdict = iota + 1 // the partner has it
	Again                       // it may be tried again, with the same bytes; whether the partner has it is not known
	Final                       // trying again cannot help
)

// Answer is how an attempt ended.
type Answer struct {
	Verdict    Verdict
	Code       int           // an HTTP status; 0: no answer came
	Body       string        // of the answer, cut to ResponseBytesMax
	RetryAfter time.Duration // how long the partner asks to wait; 0: it does not say
	Err        error         // why it is not accepted; it holds no token
}

// ResponseBytesMax bounds what is kept of an answer.
const ResponseBytesMax = 4 << 10
