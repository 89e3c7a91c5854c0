package aggregator

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/ledger"
)

// filled is a bulk with a layer that is not in the store yet.
func filled(t *testing.T, s *store, l *layer) *bulk {
	b := newBulk(s, testLog())
	must(t, b.add(t.Context(), l, len(l.memories), &building{stage: stageEntries}))
	return b
}

// Layers whose keys rise share a table, and others do not: the store holds all of them in any order, and of a key that
// came twice the newest.
func TestBulkTakesLayersInAnyOrder(t *testing.T) {
	o := testOptions(t)
	one, two := mustCreate(t, filepath.Join(t.TempDir(), "p"), o), mustCreate(t, filepath.Join(t.TempDir(), "p"), o)
	b := newBulk(two, testLog())
	for _, n := range []int64{2, 3, 1, 1, 4, 3} {
		mustCommit(t, one, n)
		l, _ := numbered(two, n)
		must(t, b.add(t.Context(), l, 1, &building{stage: stageEntries}))
	}
	must(t, b.ingest(t.Context()))
	_, c := numbered(one, 3)
	must(t, two.finish(newLayer(two), c, testLog()))
	d1, err1 := one.digest()
	d2, err2 := two.digest()
	if err := errors.Join(err1, err2); err != nil || d1 != d2 {
		t.Errorf("digests %x and %x, error %v", d1, d2, err)
	}
	mustClose(t, one)
	mustClose(t, two)
}

// What a killed process left of its tables takes no room for ever.
func TestBulkSweepsWhatWasLeft(t *testing.T) {
	s := mustCreate(t, filepath.Join(t.TempDir(), "p"), testOptions(t))
	l, _ := numbered(s, 1)
	filled(t, s, l) // never ingested
	if left := bulkFiles(t, s); left == 0 {
		t.Fatal("nothing is left to be swept")
	}
	must(t, newBulk(s, testLog()).sweep())
	if left := bulkFiles(t, s); left != 0 {
		t.Errorf("%d files are still there", left)
	}
	b := filled(t, s, l)
	must(t, b.drop())
	if left := bulkFiles(t, s); left != 0 {
		t.Errorf("%d files of a bulk that was dropped are still there", left)
	}
	mustClose(t, s)
}

// A bulk whose tables the store does not take is dropped like any other.
func TestBulkThatIsNotTakenIsDropped(t *testing.T) {
	s := mustCreate(t, filepath.Join(t.TempDir(), "p"), testOptions(t))
	l, _ := numbered(s, 1)
	b := filled(t, s, l)
	must(t, os.Remove(b.tables[prefixTotal].path))
	if err := b.ingest(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ingest: error %v", err)
	}
	if err := b.drop(); err != nil {
		t.Errorf("drop: %v", err)
	}
	if left := bulkFiles(t, s); left != 0 {
		t.Errorf("%d files are still there", left)
	}
	mustClose(t, s)
}

func bulkFiles(t *testing.T, s *store) (n int) {
	names, err := vfs.Default.List(s.dir)
	must(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, bulkFile) {
			n++
		}
	}
	return n
}

// Of an account that begins nothing is looked for in the store, so an account that comes twice is a contradiction, never
// a state with half of it.
func TestAccountsOutOfOrderContradict(t *testing.T) {
	l := &rowsLedger{}
	for i, n := range []int{0, 1, 0} {
		l.entries = append(l.entries, ledger.Entry{
			Position: reckoner.Position{Log: 1, Partition: testPartition, Offset: int64(i)}, AccountID: accountIn(testPartition, n), EventID: string(rune('a' + i)),
			Kind: reckoner.Usage, Meter: "calls", MeterType: reckoner.Interval, Quantity: reckoner.Thousandths(1), Outcome: reckoner.Applied, UsageTime: day(),
			Bucket: reckoner.BucketOf(day()),
		})
	}
	o := testOptions(t)
	s := &starter{dir: t.TempDir(), log: testLog(), restorer: l, options: o, slog: o.log}
	_, err := s.restoreUnchecked(t.Context(), ledger.Checkpoint{Log: 1, Partition: testPartition, Next: 3})
	if !errors.Is(err, ErrLedgerMismatch) || !strings.Contains(err.Error(), "comes after account") {
		t.Errorf("error %v", err)
	}
}
