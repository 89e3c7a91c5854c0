package aggregator

import (
	"fmt"
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
