package ledger

import (
	"context"
	"fmt"
	"iter"
	"time"

	"reckoner"
)

// FiguresReader gives what statements are made of: the usage of subscriptions, folded into slices of time.
//
// A total belongs to the instant that is the later one of its bucket and its period's start: that is the least time at
// which its usage may have been. So a bucket that is cut by a period's bound falls on both sides of it, every total is in
// exactly one slice, and slices of neighbouring periods never share one.
type FiguresReader interface {
	// Figures folds the totals, for all queries in one SELECT; answer i is that of query i. AsOf of the queries is not looked at.
	Figures(ctx context.Context, queries []FiguresQuery) ([]Figures, error)
	// FiguresAt folds the entries up to each query's AsOf, so what Figures gave at that position. A query without AsOf
	// has no figures. It reads far more than Figures, and is for proving.
	FiguresAt(ctx context.Context, queries []FiguresQuery) ([]Figures, error)
	// Behind yields the entries that FiguresAt folds for a query, the carried-over reading of a level included, each once, by
	// (subscription, meter, position). The sequence ends after the first error.
	Behind(ctx context.Context, q FiguresQuery) iter.Seq2[Entry, error]
	// SubscriptionsUsed returns, by account, the subscriptions that it has totals of, whether the catalog still has them or not
	// ("" is usage that names none), and of each the latest bucket. An account without totals is not there.
	SubscriptionsUsed(ctx context.Context, accountIDs []string) (map[string]map[string]time.Time, error)
}

// FiguresQuery asks for the figures of some subscriptions of an account.
type FiguresQuery struct {
	AccountID       string
	SubscriptionIDs []string // "" is usage that names none
	// Edges are rising, two at least: slice i is [Edges[i], Edges[i+1]). The first and the last may be bounds of a period
	// inside a bucket, and so may be others where they are; every other one is the bound of a bucket.
	Edges []time.Time
	AsOf  *reckoner.Position
}

// Figures are the answer to a query. A slice in which nothing was used has no figure.
type Figures struct {
	Rows []Figure
	// AsOf is the position of the last event that changed anything of what was folded: every event of these figures up to it
	// is in them, and none after it. Nil: nothing was folded.
	AsOf *reckoner.Position
}

// Figure is what a subscription's meter comes to in a slice: the sum, net of reverts; of a level the newest reading; of a
// rate the greatest. A Slice with a zero Start and the first edge as its End holds the newest reading of a level from before.
type Figure struct {
	SubscriptionID string
	Meter          string
	MeterType      reckoner.MeterType
	Slice          reckoner.Period
	Quantity       reckoner.Quantity
}

// ReportStatus says how far a report came.
type ReportStatus uint8

// The statuses. A number is the value of the column: never change one.
const (
	ReportSending    ReportStatus = iota + 1 // it was or will be sent; whether the partner has it is not known
	ReportAccepted                           // the partner has it
	ReportFailed                             // every attempt failed; whether the partner has it is not known
	ReportRefused                            // the partner answered that it will never take it
	ReportSuperseded                         // another reporter went first: it was never sent
	ReportExpired                            // nothing was sent, and the partner takes nothing of that day any more
)

func reportStatuses() []string {
	return []string{"", "sending", "accepted", "failed", "refused", "superseded", "expired"}
}

// String returns the status as it is stored and shown.
func (s ReportStatus) String() string {
	if names := reportStatuses(); int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("ReportStatus(%d)", uint8(s))
}

// ParseReportStatus reads what String gives.
func ParseReportStatus(text string) (ReportStatus, error) {
	for i, name := range reportStatuses() {
		if i > 0 && name == text {
			return ReportStatus(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no status of a report", text)
}

// Report is one report to a partner, as it is kept. It is keyed by installation, timestamp and reporter; the row with the
// greatest revision is true. Only Attempt, SentAt, Status, Code, Response, Error and Revision differ between revisions.
type Report struct {
	InstallationID string
	Target         string
	AccountID      string
	Timestamp      time.Time // milliseconds; of an installation they only rise
	Reporter       string    // the process that made it
	Moment         time.Time // the reporter's clock when the figures were asked for
	Day            reckoner.Period
	Period         reckoner.Period
	AsOf           *reckoner.Position // what the figures include; nil: there were none
	Lag            time.Duration      // of the aggregator behind the log, when the figures were read; negative: unknown
	Stale          bool               // Lag was more than report.max_lag
	Rules          uint32             // by which it was made
	Inputs         []byte             // the terms that it was made from, JSON
	Scope          []ReportScope      // whose usage its roll-up holds, for comparing it with what came later
	State          []byte             // what the target carries on to the next report; most carry nothing
	Payload        []byte             // the exact bytes that were sent
	Figures        [32]byte           // SHA-256 of what the payload says but for its timestamp

	Attempt  uint32    // how often it was sent
	SentAt   time.Time // the last time; zero: never
	Status   ReportStatus
	Code     int    // of the last answer, an HTTP status; 0: none came
	Response string // the last answer's body, cut
	Error    string // why the last attempt failed; empty: it did not
	Revision uint64
}

// ReportScope says that a subscription's usage in a time is in the report. The bounds are edges of the period or bounds
// of buckets.
type ReportScope struct {
	SubscriptionID string // "" is usage that names none
	reckoner.Period
}

// ReportClaim takes a timestamp of an installation, so that no other reporter does.
type ReportClaim struct {
	InstallationID string
	Reporter       string
	Timestamp      time.Time
}

// ReportStore keeps reports. What one call stored, the next one sees, whoever makes it.
//
// The order of claims is what keeps figures in the order of their timestamps, however many reporters run. A reporter claims
// a timestamp that is greater than any it sees, then reads figures and history, stores the report as sending, and sends it only
// when no other reporter has claimed a timestamp as great or greater by then. So of two reports that were both sent, the one
// with the greater timestamp was claimed after the figures of the other had been read, and its own were read later still.
type ReportStore interface {
	// LastTimestamps returns the greatest timestamp that was claimed or reported of each installation that has one.
	LastTimestamps(ctx context.Context, installationIDs []string) (map[string]time.Time, error)
	// Claim stores claims, durably. A reporter has one of an installation, the greatest.
	Claim(ctx context.Context, claims []ReportClaim) error
	// Claimed returns the greatest timestamp of each installation that a reporter other than this one claimed.
	Claimed(ctx context.Context, installationIDs []string, reporter string) (map[string]time.Time, error)
	// History returns, of each installation, what was reported last of every part of a day (the newest timestamp, leaving out
	// what was superseded) that ends after since; and the newest report that was accepted, and the newest of all that were not
	// superseded, however old. By installation and timestamp, each once.
	History(ctx context.Context, installationIDs []string, since time.Time) ([]Report, error)
	// WriteReports stores reports, durably.
	WriteReports(ctx context.Context, reports []Report) error
}

// ReportQuery selects reports. Every filter that is there has to hold.
type ReportQuery struct {
	InstallationID string    // empty: of any
	EODFrom, EODTo time.Time // inclusive bounds on the day's end; zero: none
	Since          time.Time // least timestamp; zero: none
}

// ReportSummary is how an installation stands.
type ReportSummary struct {
	InstallationID string
	Last           Report    // the newest that is not superseded, without payload, inputs and state
	AcceptedAt     time.Time // timestamp of the newest that was accepted; zero: none was
	Failing        uint64    // how many followed that one
}

// ReportCarrier is the first report that the partner accepted with an event in it.
type ReportCarrier struct {
	InstallationID string
	Target         string
	Timestamp      time.Time
	Day, Period    reckoner.Period
	PayloadSHA256  [32]byte
}

// ReportReader gives back what was reported.
type ReportReader interface {
	// Reports yields reports, by installation and timestamp. The sequence ends after the first error.
	Reports(ctx context.Context, q ReportQuery) iter.Seq2[Report, error]
	// ReportSummaries yields how every installation stands that was ever reported, by id.
	ReportSummaries(ctx context.Context) iter.Seq2[ReportSummary, error]
	// Carriers returns, for each installation that reported an entry of an account, the first accepted report whose period and
	// scope hold the entry, and whose figures include its position. By installation.
	Carriers(ctx context.Context, e *Entry) ([]ReportCarrier, error)
}
