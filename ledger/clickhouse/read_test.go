package clickhouse

import (
	gocmp "cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/ledger"
)

// account writes usages with equal and unequal times, and reverts of some of them.
func writeAccount(t *testing.T, l *Ledger) []ledger.Entry {
	t.Helper()
	start := time.Date(2026, 5, 1, 0, 0, 0, 999_999_999, time.UTC)
	var b ledger.Batch
	for i := range int64(40) {
		e := usageAt(i, reckoner.Thousandths(1000+i), start.Add(time.Duration(i/3)*time.Second))
		e.Source = fmt.Sprint("src", i)
		if i%4 == 3 { // reverts the usage before it
			usage := b.Entries[i-1]
			e = revert(usage, e.Position, false)
			e.Source = "reverter"
		}
		b.Entries = append(b.Entries, e)
	}
	other := usageAt(100, reckoner.Units(5), start)
	other.AccountID = accounts[1]
	level := usageAt(101, reckoner.Units(1<<40), start)
	level.MeterType, level.Meter, level.AccountID = reckoner.Total, "storage", accounts[2]
	feature := usageAt(102, reckoner.Units(9), start)
	feature.Type, feature.AccountID = "feature", accounts[2]
	rest := ledger.Batch{Entries: append([]ledger.Entry{other, level, feature}, b.Entries[:5]...)}
	for _, batch := range []*ledger.Batch{&b, &rest} {
		if err := l.Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	return b.Entries
}

func TestTransactionsArePagedNewestFirst(t *testing.T) {
	l := openLedger(t)
	entries := writeAccount(t, l)
	var want []ledger.Transaction
	for i := len(entries) - 1; i >= 0; i-- { // the times rise with the offsets, but a revert has its usage's
		tx := ledger.Transaction{Entry: entries[i]}
		if tx.Kind == reckoner.Revert {
			tx.UsageSource = entries[i-1].Source
		}
		want = append(want, tx)
	}
	sortTransactions(want)
	for _, size := range []int{1, 7, 40, 1000} {
		var got []ledger.Transaction
		q := ledger.TransactionQuery{AccountID: accounts[0], Limit: size}
		for {
			page, err := l.Transactions(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, page...); len(page) < size {
				break
			}
			last := page[len(page)-1]
			q.After = &ledger.TransactionCursor{UsageTime: last.UsageTime, Position: last.Position}
		}
		if diff := cmp.Diff(want, got, compareRows); diff != "" {
			t.Fatalf("pages of %d (-want +got):\n%s", size, diff)
		}
	}
}

func TestTransactionsBounds(t *testing.T) {
	l := openLedger(t)
	entries := writeAccount(t, l)
	from, to := entries[6].UsageTime, entries[12].UsageTime
	for name, c := range map[string]struct {
		q    ledger.TransactionQuery
		want func(ledger.Entry) bool
	}{
		"none":      {ledger.TransactionQuery{}, func(ledger.Entry) bool { return true }},
		"from":      {ledger.TransactionQuery{From: from}, func(e ledger.Entry) bool { return !e.UsageTime.Before(from) }},
		"to":        {ledger.TransactionQuery{To: to}, func(e ledger.Entry) bool { return !e.UsageTime.After(to) }},
		"both":      {ledger.TransactionQuery{From: from, To: to}, func(e ledger.Entry) bool { return !e.UsageTime.Before(from) && !e.UsageTime.After(to) }},
		"far apart": {ledger.TransactionQuery{From: time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC), To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, func(ledger.Entry) bool { return true }},
		"too late":  {ledger.TransactionQuery{From: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, func(ledger.Entry) bool { return false }},
		"too early": {ledger.TransactionQuery{To: time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC)}, func(ledger.Entry) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			c.q.AccountID, c.q.Limit = accounts[0], 100
			got, err := l.Transactions(t.Context(), c.q)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			for _, e := range entries {
				if c.want(e) {
					want++
				}
			}
			if len(got) != want {
				t.Errorf("%d transactions, want %d", len(got), want)
			}
		})
	}
}

func TestDebitedAddsIntervalUsageOfOneType(t *testing.T) {
	l := openLedger(t)
	net := reckoner.Quantity{}
	for _, e := range writeAccount(t, l) {
		net = mustAdd(net, e.Quantity)
	}
	for name, c := range map[string]struct {
		account, typ string
		want         reckoner.Quantity
	}{
		"net of reverts":                {accounts[0], "credit", net},
		"another type":                  {accounts[0], "feature", reckoner.Quantity{}},
		"levels have no sum":            {accounts[2], "credit", reckoner.Quantity{}},
		"each type by itself":           {accounts[2], "feature", reckoner.Units(9)},
		"unknown account":               {"nobody", "credit", reckoner.Quantity{}},
		"text that would end a literal": {"' OR 1 = 1 --\\", "\t\n\x00'", reckoner.Quantity{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := l.Debited(t.Context(), c.account, c.typ); err != nil || got != c.want {
				t.Errorf("%s, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestLogsAreRegisteredOnce(t *testing.T) {
	l := openLedger(t)
	ctx := t.Context()
	if _, err := l.CurrentLog(ctx); !errors.Is(err, ledger.ErrNoLog) {
		t.Fatalf("without a log: %v, want ErrNoLog", err)
	}
	one := ledger.Log{Number: 1, Topic: "usage.events", Partitions: 16, RegisteredAt: time.Date(2026, 5, 1, 0, 0, 0, 123456789, time.UTC)}
	at := one.RegisteredAt.AddDate(1, 0, 0)
	lost := []ledger.Loss{
		{Log: 1, Partition: 3, From: 100, To: 1100, Records: 990, Cause: ledger.LostTruncated, AcceptedAt: at},
		{Log: 1, Partition: 7, From: 5, To: ledger.UnknownLoss, Records: ledger.UnknownLoss, Cause: ledger.LostShortened, AcceptedAt: at},
	}
	two := ledger.Log{Number: 2, Topic: "usage.events", Partitions: 2, Starts: []int64{7, 0}, Lost: lost, RegisteredAt: at}
	again := one
	again.RegisteredAt = two.RegisteredAt
	if err := errors.Join(l.RegisterLog(ctx, one), l.RegisterLog(ctx, again), l.RegisterLog(ctx, two)); err != nil {
		t.Fatal(err)
	}
	if got, err := l.CurrentLog(ctx); err != nil || !reflect.DeepEqual(got, two) {
		t.Errorf("current: %+v, %v, want %+v", got, err, two)
	}
	for _, other := range []ledger.Log{{Number: 1, Topic: "usage.events", Partitions: 17}, {Number: 2, Topic: "other", Partitions: 2, Starts: []int64{7, 0}}, {Number: 2, Topic: "usage.events", Partitions: 2, Starts: two.Starts}} {
		if err := l.RegisterLog(ctx, other); !errors.Is(err, ledger.ErrLogMismatch) {
			t.Errorf("%+v: %v, want ErrLogMismatch", other, err)
		}
	}
	for _, bad := range []ledger.Log{{Topic: "t", Partitions: 1}, {Number: 3, Partitions: 1}, {Number: 3, Topic: "t"}, {Number: 3, Topic: "t", Partitions: 2, Starts: []int64{1}}} {
		if err := l.RegisterLog(ctx, bad); err == nil {
			t.Errorf("%+v was registered", bad)
		}
	}
	if got, err := l.Losses(ctx); err != nil || !reflect.DeepEqual(got, lost) {
		t.Errorf("losses: %+v, %v, want %+v", got, err, lost)
	}
	// Two that raced: both rows are kept, and nobody goes on.
	racer := `INSERT INTO logs (number, topic, partitions, registered_at) SELECT 2, 'usage.events', 48, now64(9)`
	if err := l.conn.Exec(ctx, racer); err != nil {
		t.Fatal(err)
	}
	if _, err := l.CurrentLog(ctx); !errors.Is(err, ledger.ErrLogMismatch) {
		t.Errorf("two values of one number: %v, want ErrLogMismatch", err)
	}
}

func sortTransactions(all []ledger.Transaction) {
	slices.SortFunc(all, func(a, b ledger.Transaction) int {
		return gocmp.Or(b.UsageTime.Compare(a.UsageTime), b.Position.Cmp(a.Position))
	})
}
