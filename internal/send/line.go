package send

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"reckoner"
)

// A line is one usage or revert of the file.
type line struct {
	seq      int64 // counts the lines that carry an event, from 0
	number   int   // where it stands in the file, from 1
	kind     reckoner.Kind
	id       string
	account  string
	time     time.Time // of a usage; zero when the file gives none
	amount   string    // whole units; empty reverts all
	usageID  string
	typ      string
	source   string
	metadata json.RawMessage
}

// fields is a line as the file writes it, whatever the format.
type fields struct {
	Kind         string          `json:"kind"`
	ID           string          `json:"id"`
	AccountID    string          `json:"account_id"`
	Time         string          `json:"time"`
	Amount       amountText      `json:"amount"`
	UsageID      string          `json:"usage_id"`
	Type         string          `json:"type"`
	Source       string          `json:"source"`
	Subscription string          `json:"subscription_id"`
	Metadata     json.RawMessage `json:"metadata"`
}

// amountText is the text of a number, or of a string that holds one: never a float.
type amountText string

func (a *amountText) UnmarshalJSON(b []byte) error {
	text := string(b)
	switch {
	case text == "null":
		text = ""
	case strings.HasPrefix(text, `"`):
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	*a = amountText(text)
	return nil
}

// A LineError says what is wrong with one line of the file.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// parse checks a line as the server would, as far as the file alone can tell.
func (f *fields) parse() (line, error) {
	l := line{
		kind: reckoner.Usage, id: reckoner.CanonicalID(f.ID), account: reckoner.CanonicalID(f.AccountID),
		usageID: reckoner.CanonicalID(f.UsageID), typ: f.Type, source: f.Source, metadata: f.Metadata,
	}
	if f.Kind != "" {
		kind, err := reckoner.ParseKind(f.Kind)
		if err != nil {
			return line{}, fmt.Errorf("kind: %w", err)
		}
		l.kind = kind
	}
	if f.Subscription != "" {
		return line{}, errors.New("subscription_id: usages of a subscription need the usages dialect, which this build does not speak; remove the column or the lines that use it")
	}
	if !reckoner.IsUUID(l.account) {
		return line{}, fmt.Errorf("account_id: %q is not a UUID", clip(f.AccountID))
	}
	if err := l.setTime(f.Time); err != nil {
		return line{}, err
	}
	if err := l.setAmount(string(f.Amount)); err != nil {
		return line{}, err
	}
	if l.kind == reckoner.Revert {
		return l, l.checkRevert()
	}
	return l, l.checkUsage()
}

func (l *line) setTime(text string) error {
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("time: %q is not of the form 2026-01-31T23:59:59Z", clip(text))
	}
	if !reckoner.StorableTime(t) {
		return fmt.Errorf("time: %s is outside 1970 to 2199", clip(text))
	}
	l.time = t
	return nil
}

func (l *line) setAmount(text string) error {
	if text == "" {
		if l.kind == reckoner.Usage {
			return errors.New("amount: missing")
		}
		return nil
	}
	q, err := reckoner.ParseQuantity(text)
	if err != nil {
		return fmt.Errorf("amount: %w", err)
	}
	whole := q.String()
	switch {
	case q.Sign() < 0, q.IsZero() && l.kind == reckoner.Usage:
		return fmt.Errorf("amount: %s is not greater than 0", q)
	case strings.Contains(whole, "."):
		return fmt.Errorf("amount: %s is not a whole number, and the usages of this dialect are", q)
	case q.Cmp(reckoner.MaxEvent()) > 0:
		return fmt.Errorf("amount: %s is more than %s", q, reckoner.MaxEvent())
	case q.IsZero():
		return nil // of a revert: all of it
	}
	l.amount = whole
	return nil
}

func (l *line) checkUsage() error {
	switch {
	case l.id == "":
		return errors.New("id: missing; a usage without one would count again on every retry")
	case !reckoner.IsUUID(l.id):
		return fmt.Errorf("id: %q is not a UUID", clip(l.id))
	case l.usageID != "":
		return errors.New("usage_id: only a revert names one")
	case l.typ != "" && l.typ != "credit" && l.typ != "feature":
		return fmt.Errorf("type: %q is neither credit nor feature", clip(l.typ))
	case len(l.metadata) > 0 && l.metadata[0] != '{' && string(l.metadata) != "null":
		return errors.New("metadata: not an object")
	}
	return nil
}

func (l *line) checkRevert() error {
	switch {
	case l.id == "":
		return errors.New("id: missing; a retried revert needs it to get the same answer")
	case len(l.id) > reckoner.MaxIDBytes:
		return fmt.Errorf("id: longer than %d bytes", reckoner.MaxIDBytes)
	case strings.ContainsFunc(l.id, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("id: %q cannot be sent as a header: use printable ASCII without blanks", clip(l.id))
	case !reckoner.IsUUID(l.usageID):
		return fmt.Errorf("usage_id: %q is not a UUID", clip(l.usageID))
	}
	return nil
}

// clip keeps hostile input out of messages.
func clip(s string) string { return clipTo(80, s) }

func clipTo(bytesMax int, s string) string {
	if len(s) <= bytesMax {
		return s
	}
	return strings.ToValidUTF8(s[:bytesMax], "") + "…"
}
