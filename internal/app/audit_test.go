package app

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// gauge is a metric without labels.
func (r *running) gauge(t *testing.T, name string) int {
	t.Helper()
	families, err := r.Ops.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if m := f.GetMetric()[0]; f.GetName() == name {
			return int(m.GetGauge().GetValue() + m.GetCounter().GetValue())
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// A running aggregator finds a total that is not what its entries come to, names the account, and shows when it is
// mended. Usage that comes in meanwhile raises no false alarm.
func TestAuditFindsAChangedTotal(t *testing.T) {
	s := readySite(t)
	r := s.run(func(p *Process) { p.Settings.Audit.Interval = 10 * time.Millisecond })
	shows := func(want int) {
		t.Helper()
		eventually(t, func() string {
			if got := r.gauge(t, "reckoner_ledger_mismatch_accounts"); got != want {
				return fmt.Sprintf("%d accounts are shown to disagree, want %d", got, want)
			}
			return ""
		})
	}
	for i := range 3 { // at least one round each
		seen := r.gauge(t, "reckoner_audit_accounts_total")
		s.write(20, fmt.Sprint("more", i), "")
		eventually(t, func() string {
			if r.gauge(t, "reckoner_audit_accounts_total") < seen+40 {
				return "the audit stands still"
			}
			return ""
		})
		shows(0)
	}
	s.awaitAll()
	if strings.Contains(r.said.String(), "totals are not what") {
		t.Fatalf("a false alarm:\n%s", r.said.String())
	}
	s.exec("ALTER TABLE reckoner.totals UPDATE quantity = quantity + 0.001 WHERE account_id = '" + account(3) + "'")
	shows(1)
	s.exec("ALTER TABLE reckoner.totals DELETE WHERE account_id = '" + account(4) + "'")
	shows(2)
	for i, want := range map[int]bool{3: true, 4: true, 5: false} {
		if said := r.said.String(); want != strings.Contains(said, account(i)) {
			t.Errorf("account %d named: %v\n%s", i, !want, said)
		}
	}
	s.mustReplay()
	shows(0)
	r.stop()
}
