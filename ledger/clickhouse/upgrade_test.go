package clickhouse

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// before is how many migrations the build before this one's knew: what it wrote is read as it was meant after those that
// came since, merged or not, beside what is written after them.
const before = 9

// TestUpgradeOfALedgerWithRows migrates a ledger that holds rows.
func TestUpgradeOfALedgerWithRows(t *testing.T) {
	l := openDatabase(t)
	ctx := t.Context()
	all, err := migrations()
	if err != nil || len(all) <= before {
		t.Fatalf("%d migrations, %v", len(all), err)
	}
	if err := l.createDatabase(ctx); err != nil {
		t.Fatal(err)
	}
	for _, m := range all[:before] {
		if err := l.apply(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	var old []*history
	run := 0
	grow := func(rt *rapid.T) {
		run++
		h := &history{prefix: fmt.Sprintf("%08d-", run)}
		h.draw(rt)
		h.write(rt, l)
		old = append(old, h)
	}
	rapid.Check(t, grow)
	optimize(t, l, "totals", "entries")
	rapid.Check(t, grow) // in parts of their own
	if err := l.Migrate(ctx, nil); err != nil {
		t.Fatal(err)
	}
	same := func() {
		t.Helper()
		for _, h := range old {
			for _, v := range views {
				got := queryTSV(t, l, fmt.Sprintf("SELECT %s FROM %s WHERE startsWith(account_id, '%s')", v.columns, v.name, h.prefix))
				if diff := cmp.Diff(v.want(h.entries), got); diff != "" {
					t.Fatalf("%s (-fold +view):\n%s", v.name, diff)
				}
			}
		}
	}
	same()
	rapid.Check(t, grow)
	optimize(t, l, "totals", "entries")
	same()
}
