package e2e_test

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
)

// count holds the ledger, row by row in the order of the log, against the limit and against what the clients were told.
func (s *share) count(t testing.TB) {
	t.Helper()
	s.i.drain(t)
	used := s.replay(t)
	// What is left can be used to the last thousandth, and not further.
	c := &sharer{share: s, api: s.i.producer(), t: t}
	rest := &told{asked: 2 * sharedLimit, partial: true}
	got, _ := c.report("rest-"+uuid.NewString(), rest)
	switch {
	case used == sharedLimit && got.status != http.StatusConflict:
		t.Errorf("nothing is left, and a usage was answered %s", got)
	case used < sharedLimit && (got.status != http.StatusCreated || c.quantity(got) != sharedLimit-used):
		t.Errorf("%s is left, and who takes the rest was answered %s", thousandths(sharedLimit-used), got)
	}
	if got, _ := c.report("over-"+uuid.NewString(), &told{asked: 1, partial: true}); got.status != http.StatusConflict {
		t.Errorf("a usage over the limit was answered %s", got)
	}
	s.i.drain(t)
	s.i.want(t, "SELECT quantity FROM subscription_totals WHERE subscription_id = '"+sharedSubscription+"'", "1000")
	if status, p := run(t, s.i.env, append([]string{"verify"}, s.i.at()...)...); status != 0 {
		t.Errorf("verify ended with status %d: %s", status, p.out.String())
	}
}

// replay walks through all rows and returns what is used after the last.
func (s *share) replay(t testing.TB) int64 {
	t.Helper()
	rows := s.i.rows(t, `SELECT kind, event_id, outcome, requested, quantity, usage_id FROM (
		SELECT kind, event_id, outcome, requested, quantity, usage_id, log, partition, offset, index FROM usage_entries
		UNION ALL SELECT kind, event_id, outcome, requested, 0, usage_id, log, partition, offset, index FROM usage_refusals)
		ORDER BY log, partition, offset, index`)
	var used int64
	counted, back, seen := map[string]int64{}, map[string]bool{}, map[string]int{}
	for n, r := range rows {
		kind, id, outcome, usage := r[0], r[1], r[2], r[5]
		asked, quantity, headroom := inThousandths(t, r[3]), inThousandths(t, r[4]), sharedLimit-used
		u, known := s.told[id]
		if kind == "usage" && !known {
			t.Errorf("row %d: nobody was told of the usage %s", n, id)
			continue
		}
		right := false
		switch kind + " " + outcome {
		case "usage applied":
			right = asked == u.asked && quantity == asked && asked <= headroom && u.status == http.StatusCreated
			counted[id] = quantity
		case "usage clipped":
			right = asked == u.asked && u.partial && headroom > 0 && asked > headroom && quantity == headroom && u.status == http.StatusCreated
			counted[id] = quantity
		case "usage limit_exceeded":
			right = asked == u.asked && asked > headroom && (!u.partial || headroom == 0) && u.status == http.StatusConflict
		case "usage duplicate", "revert duplicate", "revert already_reverted":
			right = true // it changes nothing; what its sender was told is held against its first answer
		case "revert reverted":
			right = quantity == -counted[usage] && quantity < 0 && !back[usage] && s.told[usage] != nil && s.told[usage].deleted
			back[usage] = true
		}
		if !right {
			t.Errorf("row %d with %s left: %v is not what %+v was told", n, thousandths(headroom), r, u)
		}
		seen[outcome]++
		if used += quantity; used < 0 || used > sharedLimit {
			t.Errorf("row %d: %s of %s are used", n, thousandths(used), thousandths(sharedLimit))
		}
	}
	for id, u := range s.told {
		if u.counted != counted[id] || u.deleted != back[id] {
			t.Errorf("%s: its client was told %+v, the ledger counts %s, reverted: %t", id, u, thousandths(counted[id]), back[id])
		}
	}
	for _, outcome := range []string{"applied", "clipped", "limit_exceeded", "reverted", "duplicate", "already_reverted"} {
		if seen[outcome] == 0 {
			t.Errorf("no event was decided %s: the clients did not race for it", outcome)
		}
	}
	t.Logf("%d usages: %v; %d requests were sent again", len(s.told), seen, s.again.Load())
	return used
}
