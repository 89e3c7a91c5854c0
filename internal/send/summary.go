package send

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Class says what became of a line.
type Class string

// The classes. All but the last two mean that the line is delivered.
const (
	// Accepted usages are durable and will be decided.
	Accepted Class = "accepted"
	// Reverted usages no longer count.
	Reverted Class = "reverted"
	// Undecided reverts are durable; the outcome did not come in time.
	Undecided Class = "undecided"
	// UnknownUsage answers a revert of a usage that the account does not have.
	UnknownUsage Class = "unknown_usage"
	// AlreadyReverted answers a revert of a usage that was reverted before.
	AlreadyReverted Class = "already_reverted"
	// NotRevertable answers a revert of a usage that did not count, or of a meter that does not add up.
	NotRevertable Class = "not_revertable"
	// ExceedsUsage answers a revert of more than the usage counted.
	ExceedsUsage Class = "exceeds_usage"
	// Conflict answers a revert whose id was used for another revert.
	Conflict Class = "conflict"
	// Refused lines were answered with an error.
	Refused Class = "refused"
	// HeldBack lines were not sent, because an earlier line of their account was refused.
	HeldBack Class = "held_back"
)

// classes is the order in which people read them.
func classes() []Class {
	return []Class{
		Accepted, Reverted, Undecided, UnknownUsage, AlreadyReverted, NotRevertable, ExceedsUsage, Conflict, Refused, HeldBack,
	}
}

// outcomeName is the header in which the server names a revert's outcome. Statuses and codes alone do not tell a refused
// request from a decided revert.
const outcomeName = "Reckoner-Outcome"

// revertClass tells an answer that decides a revert from one that refuses the request.
func revertClass(a answer) (class Class, decided bool) {
	outcomes := []Class{Reverted, UnknownUsage, AlreadyReverted, NotRevertable, ExceedsUsage, Conflict}
	if named := Class(a.outcome); slices.Contains(outcomes, named) {
		return named, true
	}
	switch {
	case a.status == http.StatusAccepted:
		return Undecided, true
	case a.ok():
		return Reverted, true
	default:
		return Refused, false
	}
}

// A Failure is one request that was refused.
type Failure struct {
	FirstLine, LastLine int // in the file; other accounts' lines may stand between
	Lines               int
	AccountID           string
	Status              int
	Message             string
}

func (f Failure) String() string {
	if f.Lines == 1 {
		return fmt.Sprintf("line %d (account %s): %s", f.FirstLine, f.AccountID, f.Message)
	}
	return fmt.Sprintf("%d lines from %d to %d (account %s; Usages[0] is line %d): %s",
		f.Lines, f.FirstLine, f.LastLine, f.AccountID, f.FirstLine, f.Message)
}

// A Summary says what became of the file in one run.
type Summary struct {
	Lines    int64 // that carry an event
	Skipped  int64 // delivered by an earlier run
	Counts   map[Class]int64
	Failures []Failure // the first of them
	Refusals int64     // requests that were refused, listed or not
	Took     time.Duration
}

// Complete reports whether every line is delivered: each usage durable, each revert durable or decided. A revert of
// an unknown usage is decided.
func (s *Summary) Complete() bool {
	delivered := s.Skipped
	for class, n := range s.Counts {
		if class != Refused && class != HeldBack {
			delivered += n
		}
	}
	return delivered == s.Lines
}

// ExitStatus is 0 when the file is complete, else 1.
func (s *Summary) ExitStatus() int {
	if s.Complete() {
		return 0
	}
	return 1
}

// WriteTo prints the summary for people; of a run that never began, nothing.
func (s *Summary) WriteTo(out io.Writer) (int64, error) {
	if s.Counts == nil {
		return 0, nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d lines in %s\n", s.Lines, s.Took.Round(time.Millisecond))
	if s.Skipped > 0 {
		fmt.Fprintf(&b, "%10d  delivered by an earlier run\n", s.Skipped)
	}
	counted := s.Skipped
	for _, class := range classes() {
		if n := s.Counts[class]; n > 0 {
			fmt.Fprintf(&b, "%10d  %s\n", n, class)
			counted += n
		}
	}
	if rest := s.Lines - counted; rest > 0 {
		fmt.Fprintf(&b, "%10d  not sent: send the file again to go on\n", rest)
	}
	for _, f := range s.Failures {
		fmt.Fprintln(&b, f)
	}
	if more := s.Refusals - int64(len(s.Failures)); more > 0 {
		fmt.Fprintf(&b, "and %d more requests refused\n", more)
	}
	n, err := io.WriteString(out, b.String())
	return int64(n), err
}

// A tally is the summary while several workers write it.
type tally struct {
	mu      sync.Mutex
	summary Summary
}

func (t *tally) count(class Class, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.summary.Counts[class] += int64(n)
}

func (t *tally) fail(f Failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.summary.Counts[Refused] += int64(f.Lines)
	t.summary.Refusals++
	if len(t.summary.Failures) < complaintsMax {
		t.summary.Failures = append(t.summary.Failures, f)
	}
}
