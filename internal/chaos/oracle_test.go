package chaos_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"reckoner/internal/bus"
)

// place is where an event stands in the log.
type place struct {
	partition int
	offset    int64
}

// row is what the ledger says of one event.
type row struct {
	table    string
	key      key
	outcome  string
	quantity int64
}

// oracle holds the ledger against the log and against what producers were told.
type oracle struct {
	t      *testing.T
	model  *model
	rows   map[place]row
	first  map[key]decision // of the ids that came to their right place
	seen   map[string]int   // records by outcome
	counts map[bucket]int64 // what the ledger counts against each limit, so far
	wrong  int
}

// failed tells of the first differences of many.
func (o *oracle) failed(format string, args ...any) {
	o.t.Helper()
	if o.wrong++; o.wrong <= 10 {
		o.t.Errorf(format, args...)
	}
}

// count reads the whole log and the whole ledger. Nothing may be on its way any more.
func (w *world) count(t *testing.T, l *load) *oracle {
	t.Helper()
	o := &oracle{
		t: t, model: newModel(w.partitions), rows: make(map[place]row), first: make(map[key]decision),
		seen: make(map[string]int), counts: make(map[bucket]int64),
	}
	for _, table := range []string{"usage_entries", "usage_refusals"} {
		quantity := "quantity"
		if table == "usage_refusals" {
			quantity = "0"
		}
		for _, r := range w.rows(t, "SELECT partition, offset, account_id, kind, event_id, outcome, toInt64("+quantity+" * 1000) FROM "+table) {
			o.row(table, r)
		}
	}
	o.log(w)
	o.totals(w)
	l.wanted(t)
	ids := o.told(l)
	fmt.Fprintf(t.Output(), "%d records in the log, each once in the ledger: %v\n%d acknowledged ids, each decided once\n",
		len(o.rows), o.seen, ids)
	if o.wrong > 10 {
		t.Errorf("%d differences in all", o.wrong)
	}
	return o
}

func (o *oracle) row(table string, r []string) {
	p := place{int(o.number(r[0])), o.number(r[1])}
	if was, ok := o.rows[p]; ok {
		o.failed("%v is in %s and in %s", p, was.table, table)
	}
	o.rows[p] = row{table, key{r[2], r[3], r[4]}, r[5], o.number(r[6])}
}

func (o *oracle) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	must(o.t, err)
	return n
}

// log decides every record again and holds each row of the ledger against it.
func (o *oracle) log(w *world) {
	records := 0
	for p, end := range w.ends(o.t) {
		r, err := w.client.OpenReader(o.t.Context(), bus.TopicEvents, p, 0)
		must(o.t, err)
		for next := int64(0); next < end; {
			recs, _, err := r.Fetch(o.t.Context(), bus.Limits{MaxBytes: 4 << 20, MaxWait: time.Second})
			must(o.t, err)
			for i := range recs {
				if recs[i].Offset != next {
					o.t.Fatalf("partition %d: offset %d after %d", p, recs[i].Offset, next-1)
				}
				next++
				records++
				o.record(p, &recs[i])
			}
		}
	}
	if records != len(o.rows) {
		o.failed("the log holds %d records, the ledger %d rows", records, len(o.rows))
	}
}

func (o *oracle) record(p int, rec *bus.Record) {
	want, err := o.model.decide(p, rec.Key, rec.Value)
	must(o.t, err)
	at := place{p, rec.Offset}
	got, ok := o.rows[at]
	switch {
	case !ok:
		o.failed("%v is not in the ledger: %+v", at, want)
	case got.outcome != want.outcome || got.quantity != want.quantity:
		o.failed("%v: the ledger says %s %d, want %s %d", at, got.outcome, got.quantity, want.outcome, want.quantity)
	case want.outcome != "undecodable" && got.key != want.key:
		o.failed("%v: the ledger says %v, want %v", at, got.key, want.key)
	case (got.table == "usage_entries") != (want.quantity != 0):
		o.failed("%v: %s of %d is in %s", at, got.outcome, got.quantity, got.table)
	}
	o.seen[want.outcome]++
	if want.first {
		o.first[want.key] = want
	}
	o.counts[want.at] += got.quantity
	if want.limit != nil && got.quantity > 0 && o.counts[want.at] > *want.limit {
		o.failed("%v: %d counts against a limit of %d", at, o.counts[want.at], *want.limit)
	}
}

// totals holds the ledger's totals against the model's.
func (o *oracle) totals(w *world) {
	want := make(map[string]string)
	for account, s := range o.model.totals {
		want[account] = fmt.Sprint(*s)
	}
	o.same("account_totals", want, w.rows(o.t, "SELECT account_id, toInt64(quantity * 1000), events, reverts FROM account_totals"), 1)
	want = make(map[string]string)
	for at, s := range o.model.periods {
		want[fmt.Sprint(at.account, at.subscription, at.start, at.end)] = fmt.Sprint(*s)
	}
	rows := w.rows(o.t, "SELECT account_id, subscription_id, toUnixTimestamp64Nano(period_start), toUnixTimestamp64Nano(period_end), "+
		"toInt64(quantity * 1000), events, reverts FROM subscription_totals")
	for i, r := range rows {
		rows[i] = append([]string{fmt.Sprint(r[0], r[1], o.number(r[2]), o.number(r[3]))}, r[4:]...)
	}
	o.same("subscription_totals", want, rows, 1)
}

func (o *oracle) same(what string, want map[string]string, rows [][]string, keys int) {
	for _, r := range rows {
		got := fmt.Sprint(modelSum{o.number(r[keys]), o.number(r[keys+1]), o.number(r[keys+2])})
		if want[r[0]] != got {
			o.failed("%s of %s: %s, want %q", what, r[0], got, want[r[0]])
		}
		delete(want, r[0])
	}
	for k, v := range want {
		o.failed("%s of %s is missing: want %s", what, k, v)
	}
}

// told holds the books of the producers against the ledger: what was acknowledged is there, with the outcome that it
// must have and the one that was told. It returns how many ids there are.
func (o *oracle) told(l *load) int {
	n := 0
	for _, p := range l.all {
		for k, told := range p.books {
			n++
			got, ok := o.first[k]
			switch {
			case !ok:
				o.failed("%v was acknowledged and is lost", k)
			case told.must != "" && told.must != got.outcome:
				o.failed("%v is %s, must be %s", k, got.outcome, told.must)
			case told.outcome != "" && told.outcome != got.outcome:
				o.failed("%v is %s, its producer was told %s", k, got.outcome, told.outcome)
			}
		}
		for _, a := range p.tabs {
			if a.limit > 0 || a.events == 0 {
				continue
			}
			want := modelSum{a.total * 1000, a.events, a.reverts}
			if got := o.model.totals[a.id]; got == nil || *got != want {
				o.failed("account %s: the log has %v, its producer was promised %v", a.id, got, want)
			}
		}
	}
	return n
}
