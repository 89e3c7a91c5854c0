package aggregator

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"reckoner"
	"reckoner/ledger"
)

func TestBuildKnowsItsRules(t *testing.T) {
	if got := uint32(len(knownRules())); got != reckoner.Rules {
		t.Errorf("%d rules are known, the newest is %d", got, reckoner.Rules)
	}
}

// nextRules are those of a build that is one version ahead: under its rules usages count double.
func nextRules() ruleSet {
	return append(knownRules(), func(v view, k *keys, e *reckoner.Event, fp reckoner.Fingerprint) (decision, error) {
		d, err := decideV1(v, k, e, fp)
		if err == nil && d.outcome == reckoner.Applied {
			d.quantity, err = d.quantity.Add(d.quantity)
		}
		return d, err
	})
}

func newer(e *reckoner.Event) { e.Rules = reckoner.Rules + 1 }

// Two builds own a partition at once, over one ledger. They decide what both know alike; the older one stops at the
// first event that it does not know and says what to do, the newer one goes on, and the ledger is what the newer one
// alone makes of the log. (memLedger fails when a row is written again and is another.)
func TestTwoBuildsOwnAPartition(t *testing.T) {
	older := newRig(t, soon)
	second := rigBeside(t, func(o *Options) {
		soon(o)
		o.Source, o.Ledger, o.rules = older.log, older.ledger, nextRules()
	})
	g := &generator{t: t, partition: testPartition, pick: rand.New(rand.NewPCG(9, 9)).IntN}
	write := func(n int) (next int64) {
		for range n {
			next = int64(len(older.log.recs[testPartition]))
			older.log.add(testPartition, g.next(next).rec)
		}
		return next + 1
	}
	older.begin(0, testPartition)
	second.begin(0, testPartition)
	known := write(80)
	eventually(t, "both are at the end of what they know", func() bool {
		return older.a.Held()[testPartition] == known && second.a.Held()[testPartition] == known
	})
	same(t, "digest at the end of what both know", stateDigest(t, older), stateDigest(t, second))

	a := accountIn(testPartition, 5)
	older.log.add(testPartition, recordsOf(t, known, usage(a, "new", 1500, newer), usage(a, "old", 1000), revert(a, "r", "new", newer))...)
	all := write(80)
	eventually(t, "the newer one decides on", func() bool { return second.a.Held()[testPartition] == all })
	eventually(t, "the older one stops", func() bool {
		s, _ := older.a.Status()
		return len(s) == 2 && errors.Is(s[1].Err, ErrNewerRules) && s[1].Next == known && final(s[1].Err)
	})
	if s, _ := older.a.Status(); !strings.Contains(s[1].Err.Error(), "upgrade the aggregators first") {
		t.Errorf("the remedy is not named: %v", s[1].Err)
	}
	if got := older.a.Held()[testPartition]; got != known {
		t.Errorf("the older one settled up to %d, beyond the %d that it knows", got, known)
	}
	must(t, older.ledger.complete())
	if got := older.ledger.entryAt(known).Quantity; got != reckoner.Thousandths(3000) {
		t.Errorf("the newer rules gave %s", got)
	}

	alone := rigBeside(t, func(o *Options) { soon(o); o.Source, o.rules = older.log, nextRules() })
	alone.begin(0, testPartition)
	eventually(t, "a newer one alone", func() bool { return alone.a.Held()[testPartition] == all })
	same(t, "entries", alone.ledger.entries, older.ledger.entries)
	same(t, "refusals", alone.ledger.refusals, older.ledger.refusals)
	same(t, "totals", alone.ledger.totals, older.ledger.totals)
	same(t, "checkpoint", alone.ledger.checkpoints[testPartition], older.ledger.checkpoints[testPartition])
	want := stateDigest(t, alone)
	same(t, "digest", want, stateDigest(t, second))

	// Upgraded, it goes on from its own state.
	older.stop()
	must(t, older.ended())
	must(t, older.a.release(nil))
	upgraded := &scene{t: t, log: older.log, ledger: older.ledger}
	s := upgraded.starter(older.a.o.Dir)
	s.rules = nextRules()
	upgraded.advance(s, all)
	same(t, "digest after the upgrade", want, digestOf(t, s))
}

// entryAt is the entry of testPartition at an offset.
func (m *memLedger) entryAt(offset int64) (found ledger.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, e := range m.entries {
		if k.position.Partition == testPartition && k.position.Offset == offset {
			found = e
		}
	}
	return found
}

func stateDigest(t *testing.T, r *rig) uint64 {
	t.Helper()
	r.a.mu.Lock()
	p := r.a.open[testPartition]
	r.a.mu.Unlock()
	d, err := p.store.digest()
	must(t, err)
	return d
}

// An older build takes no state over that newer rules have made: neither its own nor one from the ledger.
func TestOlderBuildTakesNoNewerState(t *testing.T) {
	sc := &scene{t: t, log: newMemLog(), ledger: newMemLedger(t)}
	sc.s = sc.starter(t.TempDir())
	a := accountIn(testPartition, 0)
	sc.log.add(testPartition, recordsOf(t, 0, usage(a, "1", 1), usage(a, "2", 1, newer), usage(a, "3", 1))...)
	sc.s.rules = nextRules()
	sc.advance(sc.s, 3)
	sc.s.rules = nil
	if _, err := sc.s.start(t.Context(), testPartition); !errors.Is(err, ErrNewerRules) || errors.Is(err, errNoState) {
		t.Errorf("from its own state: %v", err)
	}
	lost := sc.starter(t.TempDir())
	if _, err := lost.start(t.Context(), testPartition); !errors.Is(err, ErrNewerRules) {
		t.Errorf("from the ledger: %v", err)
	}
	if held := lost.find(); len(held) != 0 {
		t.Errorf("it was restored all the same: %v", held)
	}
}
