package e2e_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
)

// patient makes the outcome of a revert worth waiting for on a busy machine.
func patient() string { return setting("ingest.outcome_timeout", "30s") }

func TestWaitingForOutcomes(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, patient())
	i.dev(t)
	a := i.producer()
	account := uuid.NewString()
	list, ids := manyUsages(5, 10)
	got := a.post(t, createPath(account), usages(list...), "Prefer", "wait=5")
	if got.status == 202 { // a machine may be slower than five seconds; the outcomes are the same
		got = a.post(t, createPath(account), usages(list...), "Prefer", "wait=30")
	}
	if got.header.Get("Preference-Applied") == "" {
		t.Error("the answer does not say that it waited")
	}
	var want []outcome
	for _, id := range ids {
		want = append(want, outcome{id, "applied", "10", false})
	}
	wantOutcomes(t, got, want...)

	t.Run("create again", func(t *testing.T) {
		wantOutcomes(t, a.post(t, createPath(account), usages(list[0]), "Prefer", "wait=30"), outcome{ids[0], "applied", "10", true})
		wantOK(t, a.post(t, createPath(account), usages(list[0])))
	})
	t.Run("twice in one request", func(t *testing.T) {
		id := uuid.NewString()
		one := m{"id": id, "amount": 1}
		wantOutcomes(t, a.post(t, createPath(account), usages(one, one), "Prefer", "wait=30"),
			outcome{id, "applied", "1", false}, outcome{id, "applied", "1", true})
	})
	t.Run("other content", func(t *testing.T) {
		other := m{"id": ids[0], "amount": 11}
		wantOK(t, a.post(t, createPath(account), usages(other)))
		wantError(t, a.post(t, createPath(account), usages(other), "Prefer", "wait=30"), 409, 6, ids[0])
	})
	t.Run("a revert", func(t *testing.T) {
		wantOK(t, a.post(t, revertPath(account, ids[0]), "{}", "Idempotency-Key", "k-1"))
		wantOK(t, a.post(t, revertPath(account, ids[0]), "{}", "Idempotency-Key", "k-1")) // its first answer
		wantError(t, a.post(t, revertPath(account, ids[0]), "{}"), 400, 9, "reverted before")
		wantError(t, a.post(t, revertPath(account, ids[1]), "{}", "Idempotency-Key", "k-1"), 409, 6, "k-1")
		wantError(t, a.post(t, revertPath(account, uuid.NewString()), "{}"), 404, 5, "usage doesn't exist")
		wantError(t, a.post(t, revertPath(uuid.NewString(), ids[1]), "{}"), 404, 5, "usage doesn't exist") // of another account
		wantError(t, a.post(t, revertPath(account, ids[1]), m{"amount": 11}), 400, 3, "exceeds")
		wantOK(t, a.post(t, revertPath(account, ids[1]), m{"amount": "4"}))
		wantError(t, a.post(t, revertPath(account, ids[1]), m{"amount": 1}), 400, 9, "reverted before")
		wantError(t, a.post(t, revertPath(account, "five"), "{}"), 400, 3, "UsageId")
	})
	t.Run("the other routes of a revert", func(t *testing.T) {
		wantOK(t, a.post(t, "/v1beta1/organizations/billing/usages/revert", m{"org_id": "demo", "billing_id": account, "usageId": ids[2]}))
		wantOK(t, a.post(t, createPath(account)+"/"+ids[3]+"/revert", ""))
	})
	n := i.drain(t)
	i.want(t, "SELECT quantity, events, reverts FROM account_totals WHERE account_id = '"+account+"'", fmt.Sprintf("%d 6 4", 5*10+1-10-4-10-10))
	i.wantOnce(t, n)
	i.want(t, "SELECT outcome, count() FROM usage_refusals GROUP BY outcome ORDER BY outcome",
		"already_reverted 2", "conflict 3", "duplicate "+fmt.Sprint(n-6-4-2-3-1-2), "exceeds_usage 1", "unknown_usage 2")
}

// TestNobodyDecides asks for outcomes while no aggregator runs: they are decided later, once.
func TestNobodyDecides(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, setting("ingest.outcome_timeout", "300ms"), setting("kafka.partitions", 2))
	i.engines(t)
	i.migrate(t)
	i.ingest(t, demoCatalog(t))
	a := i.producer()
	usage, late := uuid.NewString(), uuid.NewString()
	wantOK(t, a.post(t, createPath(demoAccount), usages(m{"id": usage, "amount": 7})))
	for range 2 { // the retry of one who heard nothing
		if got := a.post(t, revertPath(demoAccount, usage), "{}", "Idempotency-Key", "later"); got.status != 202 || got.body != "{}" {
			t.Errorf("a revert that nobody decides: %s, want 202 {}", got)
		}
	}
	started := time.Now()
	if got := a.post(t, createPath(demoAccount), usages(m{"id": late, "amount": 1}), "Prefer", "wait=1"); got.status != 202 || got.body != "{}" {
		t.Errorf("a usage that nobody decides: %s, want 202 {}", got)
	}
	if took := time.Since(started); took < time.Second {
		t.Errorf("it waited %s only", took)
	}
	i.want(t, "SELECT count() FROM usage_entries", "0")

	i.aggregate(t, filepath.Join(i.dir, "aggregator"))
	n := i.drain(t)
	if n != 4 {
		t.Errorf("the log holds %d records, want 4", n)
	}
	i.want(t, "SELECT kind, event_id, outcome, quantity FROM usage_entries ORDER BY offset",
		"usage "+usage+" applied 7", "revert later reverted -7", "usage "+late+" applied 1")
	i.want(t, "SELECT kind, event_id, outcome FROM usage_refusals", "revert later duplicate")
	i.want(t, "SELECT quantity FROM account_totals", "1")
	eventually(t, time.Minute, func() string { // the aggregator answers again within the time of a revert
		if got := a.post(t, revertPath(demoAccount, usage), "{}", "Idempotency-Key", "later"); got.status != 200 {
			return got.String()
		}
		return ""
	})
}
