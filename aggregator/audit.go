package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/ledger"
)

// AuditLedger is what the background check needs of the ledger.
type AuditLedger interface {
	ledger.Balancer
	Checkpoint(ctx context.Context, log uint32, partition int32) (ledger.Checkpoint, bool, error)
}

// AuditOptions are what a background check is made of.
type AuditOptions struct {
	Log        uint32
	Ledger     AuditLedger
	Partitions func() []int32 // those to check: what this process works on now
	// Interval is the least time from one slice of accounts to the next; a slow ledger is asked less often.
	Interval   time.Duration
	Timeout    time.Duration // of one slice
	Registerer prometheus.Registerer
	Slog       *slog.Logger
}

// Audit holds the totals against the entries while the system runs: a slice of accounts at a time, partition by
// partition, round and round. It is the cheap half of a verification: it finds totals and entries that disagree, not
// entries that the log does not give.
type Audit struct {
	o       AuditOptions
	metrics *auditMetrics
	slice   int // accounts at a time; it follows how long they take

	partition int32            // that is being walked through
	after     string           // the last account of it that was checked
	wrong     map[int32]wrongs // accounts that disagreed when last checked
}

type wrongs map[string]bool

// errTooSlow says that a slice took longer than its time.
var errTooSlow = errors.New("the slice took too long")

// Bounds of a slice and of its time, and of the accounts that are remembered as wrong: beyond it, one is as bad as many.
const (
	auditSliceMax = 500
	auditSlow     = time.Second
	auditFast     = 200 * time.Millisecond
	auditRest     = 9 // times as long as it worked: at most a tenth of one thread of the ledger
	auditWrongMax = 500
)

// NewAudit returns a background check that has checked nothing.
func NewAudit(o AuditOptions) *Audit {
	return &Audit{o: o, metrics: newAuditMetrics(o.Registerer), slice: auditSliceMax, partition: -1, wrong: make(map[int32]wrongs)}
}

// Run checks until ctx ends, and returns nil then. Failures of the ledger are told and tried again.
func (a *Audit) Run(ctx context.Context) error {
	for pause := a.o.Interval; sleep(ctx, pause); {
		started := time.Now()
		if err := a.step(ctx); err != nil && ctx.Err() == nil {
			a.metrics.failures.Inc()
			a.o.Slog.Warn("totals not checked against entries", "error", err)
		}
		pause = max(a.o.Interval, auditRest*time.Since(started))
	}
	return nil
}

// step looks again at what disagreed in one partition, and then at the next slice.
func (a *Audit) step(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, a.o.Timeout, errTooSlow)
	defer cancel()
	partitions := slices.Sorted(slices.Values(a.o.Partitions()))
	a.release(partitions)
	if len(partitions) == 0 {
		return nil
	}
	return errors.Join(a.again(ctx, partitions), a.next(ctx, partitions))
}

// release forgets what other processes check now.
func (a *Audit) release(mine []int32) {
	for partition := range a.wrong {
		if !slices.Contains(mine, partition) {
			delete(a.wrong, partition)
		}
	}
	a.show()
}

// again checks the accounts that disagreed, so that what was mended is not shown for a whole round.
func (a *Audit) again(ctx context.Context, partitions []int32) error {
	for _, partition := range partitions {
		accounts := slices.Sorted(maps.Keys(a.wrong[partition]))
		if err := a.check(ctx, partition, accounts); err != nil {
			return err
		}
	}
	return nil
}

// next checks the accounts after those that were checked last.
func (a *Audit) next(ctx context.Context, partitions []int32) error {
	started := time.Now()
	accounts, err := a.find(ctx, partitions)
	if err != nil || len(accounts) == 0 {
		return err
	}
	err = a.check(ctx, a.partition, accounts)
	took := time.Since(started)
	switch tooSlow := errors.Is(context.Cause(ctx), errTooSlow); {
	case err != nil && tooSlow && a.slice > 1:
		a.slice /= 2
		return err
	case err != nil && !tooSlow:
		return err
	case err != nil:
		err = fmt.Errorf("account %s is too large to be checked within %s, and passed over: %w", accounts[0], a.o.Timeout, err)
	case took > auditSlow:
		a.slice = max(a.slice/2, 1)
	case took < auditFast:
		a.slice = min(a.slice*2, auditSliceMax)
	}
	a.after = accounts[len(accounts)-1]
	return err
}

// find returns the next accounts: of the partition that is being walked through, or of the first after it that has any.
func (a *Audit) find(ctx context.Context, partitions []int32) (accounts []string, err error) {
	if !slices.Contains(partitions, a.partition) {
		a.partition, a.after = following(partitions, a.partition), ""
	}
	for range len(partitions) + 1 { // once more than there are: the first may be at its end
		accounts, err = a.o.Ledger.Accounts(ctx, a.o.Log, a.partition, a.after, a.slice)
		if err != nil || len(accounts) > 0 {
			return accounts, err
		}
		a.partition, a.after = following(partitions, a.partition), ""
	}
	return nil, nil
}

// following returns the first partition after one, round and round. There must be one at least.
func following(partitions []int32, after int32) int32 {
	for _, p := range partitions {
		if p > after {
			return p
		}
	}
	return partitions[0]
}

// check holds the totals of accounts against their entries below the partition's checkpoint, and notes those that
// disagree.
func (a *Audit) check(ctx context.Context, partition int32, accounts []string) error {
	if len(accounts) == 0 {
		return nil
	}
	// The checkpoint first: what stands below it is whole whenever it is read.
	c, have, err := a.o.Ledger.Checkpoint(ctx, a.o.Log, partition)
	if err != nil || !have {
		return err
	}
	unbalanced, err := a.o.Ledger.Unbalanced(ctx, a.o.Log, partition, c.Next, accounts)
	if err != nil {
		return err
	}
	a.metrics.accounts.Add(float64(len(accounts)))
	a.note(partition, c.Next, accounts, unbalanced)
	return nil
}

// note remembers what a check found. What it finds for the first time, and what is right again, is told.
func (a *Audit) note(partition int32, below int64, checked, unbalanced []string) {
	known := a.wrong[partition]
	if known == nil {
		known = make(wrongs)
		a.wrong[partition] = known
	}
	for _, account := range checked {
		if known[account] && !slices.Contains(unbalanced, account) {
			delete(known, account)
			a.o.Slog.Info("totals are what the entries come to again", "account", account, "partition", partition)
		}
	}
	var found []string
	for _, account := range unbalanced {
		if !known[account] && len(known) < auditWrongMax {
			known[account] = true
			found = append(found, account)
		}
	}
	a.show()
	if len(found) > 0 {
		const named = 20
		a.o.Slog.Error("totals are not what the entries come to: see `reckoner verify`; `reckoner replay` writes rows again",
			"accounts", found[:min(len(found), named)], "found", len(found), "partition", partition, "below", below)
	}
}

func (a *Audit) show() {
	n := 0
	for _, w := range a.wrong {
		n += len(w)
	}
	a.metrics.mismatches.Set(float64(n))
}
