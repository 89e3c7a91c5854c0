package ingest

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/internal/bus"
)

func decided(o, first reckoner.Outcome, q int64) func(*reckoner.Event) reckoner.Verdict {
	return func(*reckoner.Event) reckoner.Verdict {
		return reckoner.Verdict{Outcome: o, First: first, Quantity: reckoner.Units(q)}
	}
}

func TestRevertOutcomes(t *testing.T) {
	const dup = reckoner.Duplicate
	for _, c := range []struct {
		outcome, first reckoner.Outcome
		status, code   int
		message        string
	}{
		{reckoner.Reverted, 0, 200, 0, ""},
		{dup, reckoner.Reverted, 200, 0, ""},
		{reckoner.UnknownUsage, 0, 404, 5, "usage doesn't exist"},
		{dup, reckoner.UnknownUsage, 404, 5, "usage doesn't exist"},
		{reckoner.AlreadyReverted, 0, 400, 9, "reverted before"},
		{dup, reckoner.AlreadyReverted, 400, 9, "reverted before"},
		{reckoner.NotRevertable, 0, 400, 9, "cannot be reverted"},
		{reckoner.ExceedsUsage, 0, 400, 3, "exceeds"},
		{dup, reckoner.ExceedsUsage, 400, 3, "exceeds"},
		{reckoner.Conflict, 0, 409, 6, "the Idempotency-Key key-1 was used before for another revert"},
		{reckoner.Misrouted, 0, 500, 13, "internal server error"},
		{reckoner.Undecodable, 0, 500, 13, "internal server error"},
		{reckoner.Applied, 0, 500, 13, "internal server error"},
		{dup, reckoner.Applied, 500, 13, "internal server error"},
	} {
		w := newWorld(t)
		w.decide = decided(c.outcome, c.first, -5)
		a := w.post(revertPath, `{"amount":5}`, "Idempotency-Key: key-1")
		named := c.outcome
		if named == dup {
			named = c.first
		}
		if got := a.header.Get("Reckoner-Outcome"); got != named.String() {
			t.Errorf("%s/%s: the answer names the outcome %q", c.outcome, c.first, got)
		}
		if c.status == 200 {
			if a.status != 200 || a.body != "{}" {
				t.Errorf("%s/%s: %d %s", c.outcome, c.first, a.status, a.body)
			}
			continue
		}
		code, message := a.errorBody(t)
		if a.status != c.status || code != c.code || !strings.Contains(message, c.message) {
			t.Errorf("%s/%s: %d %s", c.outcome, c.first, a.status, a.body)
		}
	}
}

func TestRevertEvent(t *testing.T) {
	five := reckoner.Units(5)
	documented := "/v1beta1/organizations/acme/billing/" + account + "/usages/" + strings.ToUpper(usageID) + "/revert"
	for _, c := range []struct {
		name, path, body, key, id, project string
		amount                             *reckoner.Quantity
	}{
		{"no body", revertPath, "", "retry 1", "retry 1", "", nil},
		{"amount 0", revertPath, `{"amount":"0"}`, strings.ToUpper(site), site, "", nil},
		{"amount", revertPath, `{"amount":"5"}`, strings.Repeat("k", 255), strings.Repeat("k", 255), "", &five},
		{"path wins", revertPath, `{"usage_id":"x","billing_id":"y","org_id":"z"}`, "é", "é", "", nil},
		{"short", revertShort, `{"projectId":"site","billing_id":"` + account + `","usageId":"` + strings.ToUpper(usageID) + `","amount":5e0}`, "k", "k", site, &five},
		{"as documented", documented, "{}", "k", "k", "", nil},
		{"made id", revertPath, "", "", "", "", nil},
	} {
		w := newWorld(t)
		w.decide = decided(reckoner.Reverted, 0, -5)
		a := w.post(c.path, c.body, "Idempotency-Key: "+c.key)
		if a.status != 200 || len(w.produced()) != 1 {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
			continue
		}
		e := w.produced()[0]
		if c.key == "" && reckoner.IsUUID(e.ID) {
			c.id = e.ID
		}
		want := &reckoner.Event{
			Rules: 1, Kind: reckoner.Revert, ID: c.id, AccountID: account, Written: reckoner.Written{UsageID: usageID, Quantity: c.amount},
			OrganizationID: acme, ProjectID: c.project, ReceivedAt: noon(), ReplyTo: e.ReplyTo,
		}
		if diff := cmp.Diff(want, e, quantities()); diff != "" || e.ReplyTo == "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	w := newWorld(t)
	if a := w.post(revertPath, "", "Idempotency-Key: a", "Idempotency-Key: b"); a.status != 400 {
		t.Errorf("two keys: %d %s", a.status, a.body)
	}
}

// TestNoOutcomeInTime is a 202 exactly when the time is over, and leaves nobody waiting.
func TestNoOutcomeInTime(t *testing.T) {
	for _, c := range []struct {
		name, path, body, prefer, applied string
		want                              time.Duration
	}{
		{"revert", revertPath, "", "", "", 2 * time.Second},
		{"revert that waits longer", revertPath, "", "wait=7", "wait=7", 7 * time.Second},
		{"create", createPath, usagesBody(3), "wait=4", "wait=4", 4 * time.Second},
		{"create that would wait for ever", createPath, usagesBody(3), "wait=4000000000", "wait=30", 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				started := time.Now()
				a := w.post(c.path, c.body, "Prefer: "+c.prefer)
				if took := time.Since(started); a.status != http.StatusAccepted || a.body != "{}" || took != c.want {
					t.Errorf("%d %s after %s", a.status, a.body, took)
				}
				if got := a.header.Get("Preference-Applied"); got != c.applied {
					t.Errorf("applied %q", got)
				}
				if len(w.produced()) == 0 || len(w.outcomes.slots) > 0 {
					t.Errorf("%d produced, %d waiting", len(w.produced()), len(w.outcomes.slots))
				}
			})
		})
	}
}

// TestSlowLogLeavesTheRestOfTheWait: the wait counts from receipt, and a log slower than it is still waited for.
func TestSlowLogLeavesTheRestOfTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.produce = func(context.Context, []bus.Record) error { time.Sleep(3 * time.Second); return nil }
		started := time.Now()
		if a := w.post(revertPath, ""); a.status != 202 || time.Since(started) != 3*time.Second {
			t.Errorf("%d after %s", a.status, time.Since(started))
		}
		w.produce = func(ctx context.Context, _ []bus.Record) error { <-ctx.Done(); return ctx.Err() }
		started = time.Now()
		if a := w.post(createPath, usagesBody(1)); a.status != 503 || time.Since(started) != w.options.Limits.ProduceTimeout {
			t.Errorf("%d after %s", a.status, time.Since(started))
		}
	})
}
