package send

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"reckoner"
)

// batchBytesMax keeps a request well below the 8 MiB that the server takes.
const batchBytesMax = 2 << 20

// A worker delivers the lines of its accounts, one request at a time.
type worker struct {
	client  *client
	org     string
	batch   int // usages a request
	pending int // lines that may wait for a fuller batch
	tracker *tracker
	tally   *tally

	accounts map[string]*account
	waiting  int      // lines in all accounts
	order    []string // accounts by their first waiting line; may name accounts that wait no more
}

// An account gathers usages until a request is full.
type account struct {
	lines []line
	bytes int
	held  bool // usages were refused: the rest is held back
}

// run takes lines until in is closed, and delivers them all.
func (w *worker) run(ctx context.Context, in <-chan line) error {
	for {
		select {
		case l, ok := <-in:
			if !ok {
				return w.flushAll(ctx)
			}
			if err := w.take(ctx, l); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (w *worker) take(ctx context.Context, l line) error {
	a := w.accounts[l.account]
	if a == nil {
		a = &account{}
		w.accounts[l.account] = a
	}
	if a.held {
		w.hold(l)
		return nil
	}
	if l.kind == reckoner.Revert {
		return w.revert(ctx, a, l)
	}
	if len(a.lines) == 0 {
		w.order = append(w.order, l.account)
	}
	a.lines = append(a.lines, l)
	a.bytes += len(l.metadata) + len(l.source) + 256
	w.waiting++
	if len(a.lines) >= w.batch || a.bytes >= batchBytesMax {
		return w.flush(ctx, a)
	}
	for w.waiting > w.pending {
		if err := w.flushOldest(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) flushAll(ctx context.Context) error {
	for len(w.order) > 0 {
		if err := w.flushOldest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// flushOldest sends for the account that waits longest, so that the first undelivered line moves on.
func (w *worker) flushOldest(ctx context.Context) error {
	id := w.order[0]
	w.order = w.order[1:]
	if a := w.accounts[id]; a != nil {
		return w.flush(ctx, a)
	}
	return nil
}

type usageBody struct {
	ID        string          `json:"id"`
	Type      string          `json:"type,omitempty"`
	Source    string          `json:"source,omitempty"`
	Amount    string          `json:"amount"`
	CreatedAt string          `json:"created_at,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
}

// postUsages sends usages of one account.
func (c *client) postUsages(ctx context.Context, org string, lines []line, how asked) (answer, error) {
	usages := make([]usageBody, len(lines))
	for i, l := range lines {
		usages[i] = usageBody{ID: l.id, Type: l.typ, Source: l.source, Amount: l.amount, Metadata: l.metadata}
		if !l.time.IsZero() {
			usages[i].CreatedAt = l.time.Format(time.RFC3339Nano)
		}
	}
	body, err := json.Marshal(map[string]any{"usages": usages})
	if err != nil {
		return answer{}, fmt.Errorf("line %d: %w", lines[0].number, err)
	}
	return c.post(ctx, body, how, "v1beta1", "organizations", org, "billing", lines[0].account, "usages")
}

// flush sends what an account has waiting, if anything.
func (w *worker) flush(ctx context.Context, a *account) error {
	if len(a.lines) == 0 {
		return nil
	}
	lines := a.lines
	a.lines, a.bytes = nil, 0
	w.waiting -= len(lines)
	got, err := w.client.postUsages(ctx, w.org, lines, asked{})
	if err != nil {
		return err
	}
	if got.ok() {
		w.deliver(Accepted, lines...)
		delete(w.accounts, lines[0].account) // a file may name very many
		return nil
	}
	a.held = true
	return w.refuse(got, lines...)
}

// revert sends what comes before it in the account, then the revert.
func (w *worker) revert(ctx context.Context, a *account, l line) error {
	if err := w.flush(ctx, a); err != nil {
		return err
	}
	if a.held {
		w.hold(l)
		return nil
	}
	body := []byte(`{}`)
	if l.amount != "" {
		body = []byte(`{"amount":"` + l.amount + `"}`)
	}
	got, err := w.client.post(ctx, body, asked{key: l.id},
		"v1beta1", "admin", "organizations", w.org, "billing", l.account, "usage", l.usageID, "revert")
	if err != nil {
		return err
	}
	class, decided := revertClass(got)
	if !decided {
		return w.refuse(got, l) // nothing in the account depends on a revert: it goes on
	}
	w.deliver(class, l)
	return nil
}

func (w *worker) deliver(class Class, lines ...line) {
	w.tally.count(class, len(lines))
	w.tracker.done(lines)
}

func (w *worker) hold(l line) {
	w.tally.count(HeldBack, 1)
	w.tracker.failed([]line{l})
}

// refuse notes a final answer that left lines undelivered. Its error ends the whole run: no other request will fare
// better.
func (w *worker) refuse(got answer, lines ...line) error {
	w.tally.fail(Failure{
		FirstLine: lines[0].number, LastLine: lines[len(lines)-1].number, Lines: len(lines),
		AccountID: lines[0].account, Status: got.status, Message: got.String(),
	})
	w.tracker.failed(lines)
	return w.client.known(got)
}

// known returns an error when the server does not know who is sending.
func (c *client) known(got answer) error {
	if got.status == http.StatusUnauthorized {
		return fmt.Errorf("the server does not know the credential %q, or its secret is wrong: %s", c.id, got)
	}
	return nil
}
