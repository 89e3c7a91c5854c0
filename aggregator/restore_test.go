package aggregator

import (
	"fmt"
	"slices"
	"testing"

	"reckoner"
	"reckoner/ledger"
)

// More rows than are held in memory at once go through the store being built: what a revert finds there is found, and
// the state is the lost one all the same.
func TestRestoreOfManyRows(t *testing.T) {
	sc := &scene{t: t, log: newMemLog(), ledger: newMemLedger(t)}
	sc.s = sc.starter(t.TempDir())
	a := accountIn(testPartition, 0)
	offset := int64(0)
	add := func(e *reckoner.Event) {
		sc.log.add(testPartition, recordOf(t, offset, e))
		offset++
	}
	for i := range restoreRows {
		add(usage(a, fmt.Sprint(i), 1000, limited("s", 1<<50)))
	}
	for i := range 100 {
		add(revert(a, "r"+fmt.Sprint(i), fmt.Sprint(i*7), amount(1)))
		add(revert(a, "unknown"+fmt.Sprint(i), "none"))
	}
	p, err := sc.s.start(t.Context(), testPartition)
	must(t, err)
	_, err = p.decide(sc.log.recs[testPartition])
	must(t, err)
	var rows ledger.Batch
	p.seal().appendTo(&rows)
	must(t, sc.ledger.Write(t.Context(), &rows))
	must(t, p.settle())
	must(t, p.close())

	other := sc.starter(t.TempDir())
	p, err = other.start(t.Context(), testPartition)
	must(t, err)
	must(t, p.close())
	if want, got := digestOf(t, sc.s), digestOf(t, other); got != want {
		t.Errorf("digest %x, the lost state had %x", got, want)
	}
}

// An account ends where a layer is full, so nothing of it is looked for any more, and the layer after it is the last one:
// it goes into tables that the store takes, too, though a refusal makes it begin with an account that came before.
func TestNoIDOfTheLastRowsIsForgotten(t *testing.T) {
	sc := &scene{t: t, log: newMemLog(), ledger: newMemLedger(t)}
	sc.s = sc.starter(t.TempDir())
	var accounts []string
	for i := range 10 {
		accounts = append(accounts, accountIn(testPartition, i))
	}
	slices.Sort(accounts)
	add := func(e *reckoner.Event) {
		sc.log.add(testPartition, recordOf(t, int64(len(sc.log.recs[testPartition])), e))
	}
	for i, a := range accounts {
		for j := range restoreRows / 8 {
			add(usage(a, fmt.Sprint(i, "-", j), 1000, limited("s", 1<<50)))
		}
	}
	add(revert(accounts[0], "unknown", "none"))
	sc.advance(sc.s, int64(len(sc.log.recs[testPartition])))

	other := sc.starter(t.TempDir())
	p, err := other.start(t.Context(), testPartition)
	must(t, err)
	tally, err := p.decide([]Record{recordOf(t, p.next(), usage(accounts[9], "9-5", 1000, limited("s", 1<<50)))})
	must(t, err)
	must(t, p.close())
	if tally.outcomes[reckoner.Duplicate] != 1 {
		t.Errorf("an id that counted is no duplicate: outcomes %v", tally.outcomes)
	}
	if want, got := digestOf(t, sc.s), digestOf(t, other); got != want {
		t.Errorf("digest %x, the lost state had %x", got, want)
	}
}
