package e2e_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// count is what an account's usage adds up to.
type count struct {
	total           *big.Int
	events, reverts int
	months          map[string]*big.Int // by the first day of the calendar month of use
}

// oracle counts a trace by itself. It shares no code with the product.
type oracle struct {
	accounts map[string]*count
	lines    int
	usages   int
	reverted int
	unknown  int // reverts of usages that their account does not have
}

type usedOnce struct {
	amount *big.Int
	month  string
	gone   bool
}

// countTrace reads a trace. Its ids are unique, its amounts whole, and a revert never comes before its usage: all of
// that is checked, so that the count stays simple.
func countTrace(t testing.TB, name string) *oracle {
	t.Helper()
	file, err := os.Open(testdata(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(lines[0], ","); got != "kind,id,account_id,time,amount,usage_id" {
		t.Fatalf("columns %s", got)
	}
	o := &oracle{accounts: map[string]*count{}}
	seen, used := map[string]bool{}, map[string]*usedOnce{}
	for _, l := range lines[1:] {
		kind, id, account, usage := l[0], l[1], l[2], l[5]
		amount, ok := new(big.Int).SetString(l[4], 10)
		when, err := time.Parse(time.RFC3339, l[3])
		if !ok || err != nil || seen[kind+id] {
			t.Fatalf("line %v: %v", l, err)
		}
		seen[kind+id] = true
		o.lines++
		if kind == "usage" {
			u := &usedOnce{amount, when.UTC().Format("2006-01-02")[:8] + "01", false}
			used[account+" "+id] = u
			o.add(account, u.month, amount)
			continue
		}
		u := used[account+" "+usage]
		if u == nil {
			o.unknown++
			continue
		}
		if amount.Sign() == 0 { // all of it
			amount = u.amount
		}
		if u.gone || amount.Cmp(u.amount) > 0 {
			t.Fatalf("line %v: a second revert, or one of too much", l)
		}
		u.gone = true
		o.reverted++
		c := o.accounts[account]
		c.reverts++
		c.total.Sub(c.total, amount)
		c.months[u.month].Sub(c.months[u.month], amount)
	}
	return o
}

func (o *oracle) add(account, month string, amount *big.Int) {
	o.usages++
	c := o.accounts[account]
	if c == nil {
		c = &count{total: new(big.Int), months: map[string]*big.Int{}}
		o.accounts[account] = c
	}
	c.events++
	c.total.Add(c.total, amount)
	if c.months[month] == nil {
		c.months[month] = new(big.Int)
	}
	c.months[month].Add(c.months[month], amount)
}

// entries is how many events count.
func (o *oracle) entries() int { return o.usages + o.reverted }

// wantTotals holds every total of the ledger against the counts.
func (i *installation) wantTotals(t testing.TB, traces ...*oracle) {
	t.Helper()
	totals, months := map[string]string{}, map[string]string{}
	for _, o := range traces {
		for id, c := range o.accounts {
			totals[id] = fmt.Sprintf("credit interval %s %d %d", c.total, c.events, c.reverts)
			for month, q := range c.months {
				months[id+" "+month] = q.String()
			}
		}
	}
	got := map[string]string{}
	for _, r := range i.rows(t, "SELECT account_id, meter, meter_type, quantity, events, reverts FROM account_totals") {
		got[r[0]] = strings.Join(r[1:], " ")
	}
	wantSame(t, "account_totals", got, totals)
	got = map[string]string{}
	for _, r := range i.rows(t, "SELECT account_id, toDate(period_start), quantity FROM account_period_totals") {
		got[r[0]+" "+r[1]] = r[2]
	}
	wantSame(t, "account_period_totals", got, months)
	got = map[string]string{}
	for _, r := range i.rows(t, "SELECT account_id, sum(quantity), countIf(kind = 'usage'), countIf(kind = 'revert') FROM usage_entries GROUP BY account_id") {
		got[r[0]] = "credit interval " + strings.Join(r[1:], " ")
	}
	wantSame(t, "usage_entries", got, totals)
}

func wantSame(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	wrong := 0
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			if wrong++; wrong < 10 {
				t.Errorf("%s of %s: got %q, want %q", what, key, got[key], want[key])
			}
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			wrong++
			t.Errorf("%s: nobody knows %s", what, key)
		}
	}
	if wrong > 0 {
		t.Errorf("%s: %d of %d are wrong", what, wrong, len(want))
	}
}

// wantOnce holds the ledger against the log: every record is one entry or one refusal, and no id counts twice.
func (i *installation) wantOnce(t testing.TB, records int64) {
	t.Helper()
	i.want(t, `SELECT count(), uniqExact(log, partition, offset, index) FROM (
		SELECT log, partition, offset, index FROM usage_entries UNION ALL SELECT log, partition, offset, index FROM usage_refusals)`,
		fmt.Sprintf("%d %d", records, records))
	i.want(t, "SELECT account_id, kind, event_id, count() FROM usage_entries GROUP BY 1, 2, 3 HAVING count() > 1")
}

// send sends a file with `reckoner send`, which must succeed.
func (i *installation) send(t testing.TB, args ...string) *process {
	t.Helper()
	status, p := run(t, nil, append([]string{"send", "--url", "http://" + i.api}, args...)...)
	if status != 0 {
		t.Fatalf("send ended with status %d:\n%s%s", status, p.out.String(), tail(p.log.String(), 2000))
	}
	return p
}

func TestATraceIsCountedExactly(t *testing.T) {
	t.Parallel()
	for _, trace := range []struct {
		file              string
		accounts, unknown int
	}{
		{"trace-a.csv", 459, 9},
		{"trace-b.csv", 0, 0},
	} {
		t.Run(trace.file, func(t *testing.T) {
			o := countTrace(t, trace.file)
			if trace.accounts > 0 && (len(o.accounts) != trace.accounts || o.unknown != trace.unknown) {
				t.Fatalf("the trace has %d accounts and %d reverts of unknown usages", len(o.accounts), o.unknown)
			}
			i := newInstallation(t)
			i.dev(t)
			i.send(t, testdata(t, trace.file))
			i.wantTrace(t, o, 0)
			i.send(t, "--restart", testdata(t, trace.file))
			i.wantTrace(t, o, o.lines)
		})
	}
}

// wantTrace holds everything about a trace that was sent without a fault.
func (i *installation) wantTrace(t testing.TB, o *oracle, duplicates int) {
	t.Helper()
	n := i.drain(t)
	if want := int64(o.lines + duplicates); n != want {
		t.Errorf("the log holds %d records, want %d", n, want)
	}
	i.wantTotals(t, o)
	i.wantOnce(t, n)
	var refusals []string
	if duplicates > 0 {
		refusals = append(refusals, fmt.Sprintf("duplicate %d %d", duplicates, duplicates))
	}
	if o.unknown > 0 {
		refusals = append(refusals, fmt.Sprintf("unknown_usage %d %d", o.unknown, o.unknown))
	}
	i.want(t, "SELECT outcome, count(), uniqExact(account_id, kind, event_id) FROM usage_refusals GROUP BY outcome ORDER BY outcome", refusals...)
	i.want(t, "SELECT count() FROM usage_entries", fmt.Sprint(o.entries()))
}
