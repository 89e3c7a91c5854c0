package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/ledger"
)

// books is a ledger as the background check sees it.
type books struct {
	accounts map[int32][]string
	wrong    map[string]bool
	takes    time.Duration // each check
	err      error
	checked  []string // in order, as partition:account
	largest  int      // slice
}

func (b *books) Checkpoint(_ context.Context, log uint32, partition int32) (ledger.Checkpoint, bool, error) {
	return ledger.Checkpoint{Log: log, Partition: partition, Next: 100}, true, b.err
}

func (b *books) Accounts(_ context.Context, _ uint32, partition int32, after string, limit int) (all []string, err error) {
	for _, account := range b.accounts[partition] {
		if account > after && len(all) < limit {
			all = append(all, account)
		}
	}
	return all, b.err
}

func (b *books) Unbalanced(ctx context.Context, _ uint32, partition int32, below int64, accounts []string) (wrong []string, err error) {
	if below != 100 {
		return nil, fmt.Errorf("below %d", below)
	}
	if !sleep(ctx, b.takes*time.Duration(len(accounts))) {
		return nil, fmt.Errorf("balance: %w", ctx.Err())
	}
	for _, account := range accounts {
		b.checked = append(b.checked, fmt.Sprintf("%d:%s", partition, account))
		if b.wrong[account] {
			wrong = append(wrong, account)
		}
	}
	b.largest = max(b.largest, len(accounts))
	return wrong, b.err
}

func newBooks(accounts ...int) *books {
	b := &books{accounts: make(map[int32][]string), wrong: make(map[string]bool)}
	for p, n := range accounts {
		b.accounts[int32(p)] = nil
		for i := range n {
			b.accounts[int32(p)] = append(b.accounts[int32(p)], fmt.Sprintf("p%d-%05d", p, i))
		}
	}
	return b
}

type audited struct {
	*Audit
	reg   *prometheus.Registry
	books *books
	mine  []int32
	log   strings.Builder
}

func newAudited(b *books) *audited {
	a := &audited{books: b, reg: prometheus.NewRegistry()}
	for p := range b.accounts {
		a.mine = append(a.mine, p)
	}
	a.Audit = NewAudit(AuditOptions{
		Log: 1, Ledger: b, Partitions: func() []int32 { return a.mine }, Interval: 10 * time.Second, Timeout: time.Minute,
		Registerer: a.reg, Slog: slog.New(slog.NewTextHandler(&a.log, nil)),
	})
	return a
}

func (a *audited) steps(t *testing.T, n int) {
	t.Helper()
	for range n {
		must(t, a.step(t.Context()))
	}
}

func (a *audited) wantWrong(t *testing.T, n int) {
	t.Helper()
	a.wantMetric(t, "reckoner_ledger_mismatch_accounts", n)
}

func (a *audited) wantMetric(t *testing.T, name string, want int) {
	t.Helper()
	families, err := a.reg.Gather()
	must(t, err)
	for _, f := range families {
		if m := f.GetMetric()[0]; f.GetName() == name {
			if got := int(m.GetGauge().GetValue() + m.GetCounter().GetValue()); got != want {
				t.Errorf("%s is %d, want %d", name, got, want)
			}
			return
		}
	}
	t.Errorf("there is no %s", name)
}

// Every account comes up in every round, those of one partition after those of another.
func TestAuditWalksThroughAllAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudited(newBooks(auditSliceMax+3, 0, 2*auditSliceMax, 7))
		var want []string
		for p := range int32(4) {
			for _, account := range a.books.accounts[p] {
				want = append(want, fmt.Sprintf("%d:%s", p, account))
			}
		}
		a.steps(t, 5) // 2, 0, 2, 1
		same(t, "checked", want, a.books.checked)
		a.steps(t, 5)
		same(t, "checked twice", append(want, want...), a.books.checked)
		a.wantMetric(t, "reckoner_audit_accounts_total", 2*len(want))
	})
}

// What disagrees is shown and named once, looked at again with every step, and gone when it is mended.
func TestAuditShowsWhatDisagreesUntilItIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudited(newBooks(3*auditSliceMax, 5))
		a.books.wrong["p0-00007"], a.books.wrong["p1-00002"] = true, true
		a.steps(t, 1)
		a.wantWrong(t, 1)
		a.steps(t, 3)
		a.wantWrong(t, 2)
		if n := strings.Count(a.log.String(), "p0-00007"); n != 1 {
			t.Errorf("named %d times:\n%s", n, a.log.String())
		}
		delete(a.books.wrong, "p0-00007")
		a.steps(t, 1)
		a.wantWrong(t, 1)
		a.mine = []int32{0} // another process has partition 1 now
		a.steps(t, 1)
		a.wantWrong(t, 0)
		a.mine = nil
		a.steps(t, 1)
	})
}

func TestAuditRemembersABoundedNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudited(newBooks(3 * auditSliceMax))
		for _, account := range a.books.accounts[0] {
			a.books.wrong[account] = true
		}
		a.steps(t, 3)
		a.wantWrong(t, auditWrongMax)
	})
}

// A slow ledger is asked for fewer accounts at a time, and less often; an account that is too large alone is told and
// passed over, so that the others still come up.
func TestAuditIsGentle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudited(newBooks(3))
		a.books.takes = 2 * time.Minute // beyond the timeout
		a.runFor(t, 6*time.Hour)
		for _, account := range []string{"p0-00000", "p0-00001", "p0-00002"} {
			if !strings.Contains(a.log.String(), account+" is too large") {
				t.Errorf("%s is not told:\n%s", account, a.log.String())
			}
		}
		a.books.takes = 20 * time.Second // alone it takes that long: the next comes three minutes later
		a.runFor(t, time.Hour)
		if n := len(a.books.checked); n < 12 || n > 18 {
			t.Errorf("%d checks in an hour, each of 20 s", n)
		}
		a.books.takes = 0
		a.runFor(t, 2*time.Hour)
		if a.slice != auditSliceMax {
			t.Errorf("the slice stays at %d", a.slice)
		}
	})
}

// runFor lets it run for a time.
func (a *audited) runFor(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	must(t, a.Run(ctx))
}

// What could not be looked at is counted: an audit that sees nothing finds nothing.
func TestAuditCountsItsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudited(newBooks(3))
		a.books.err = errLedgerDown
		a.runFor(t, a.o.Interval*5/2)
		a.wantMetric(t, "reckoner_audit_failures_total", 2)
	})
}

// A ledger that fails is asked for the same accounts again.
func TestAuditSkipsNothingWhenTheLedgerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAudited(newBooks(2*auditSliceMax, 1))
		a.steps(t, 1)
		a.books.err = errLedgerDown
		for range 3 {
			if err := a.step(t.Context()); !errors.Is(err, errLedgerDown) {
				t.Fatalf("error %v", err)
			}
		}
		a.books.err = nil
		a.steps(t, 2)
		seen := slices.Compact(slices.Sorted(slices.Values(a.books.checked)))
		if len(seen) != 2*auditSliceMax+1 || a.slice != auditSliceMax {
			t.Errorf("%d accounts were checked, slices of %d", len(seen), a.slice)
		}
	})
}
