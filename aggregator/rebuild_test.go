package aggregator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/ledger"
)

// brittle is a ledger that breaks after some rows, whatever they are of.
type brittle struct {
	*memLedger
	left int
	read int    // rows that were given
	last func() // called when it breaks; nil: nothing
}

func breaking[T any](b *brittle, rows iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			if b.left == 0 {
				if b.last != nil {
					b.last()
				}
				yield(row, errLedgerDown)
				return
			}
			b.left--
			b.read++
			if !yield(row, err) {
				return
			}
		}
	}
}

// Entries and the others implement ledger.Restorer.
func (b *brittle) Entries(ctx context.Context, log uint32, partition int32, below int64, after *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return breaking(b, b.memLedger.Entries(ctx, log, partition, below, after))
}

func (b *brittle) Refusals(ctx context.Context, log uint32, partition int32, below int64, after *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return breaking(b, b.memLedger.Refusals(ctx, log, partition, below, after))
}

func (b *brittle) EarlierEntries(ctx context.Context, l ledger.Log, partition int32, after *ledger.Place) iter.Seq2[ledger.Entry, error] {
	return breaking(b, b.memLedger.EarlierEntries(ctx, l, partition, after))
}

func (b *brittle) EarlierRefusals(ctx context.Context, l ledger.Log, partition int32, after *ledger.Place) iter.Seq2[ledger.Refusal, error] {
	return breaking(b, b.memLedger.EarlierRefusals(ctx, l, partition, after))
}

// twoLogs is a scene whose partition has 60 records in log 1 and 60 more in log 2, all of them counted.
func twoLogs(t *testing.T) (sc *scene, second ledger.Log) {
	sc = &scene{t: t, log: newMemLog(), ledger: newMemLedger(t)}
	g := &generator{t: t, partition: testPartition, pick: rand.New(rand.NewPCG(8, 8)).IntN}
	for offset := range int64(120) {
		sc.log.add(testPartition, g.next(offset).rec)
	}
	all := sc.log.recs[testPartition]
	sc.log.recs[testPartition] = all[:60]
	sc.advance(sc.starter(t.TempDir()), 60)
	sc.log.recs[testPartition] = all
	second = testLog()
	second.Number, second.RegisteredAt = 2, day()
	second.Starts = []int64{60, 60, 60, 60}
	sc.s = sc.starter(t.TempDir())
	sc.s.log = second
	sc.advance(sc.s, 120)
	return sc, second
}

// A restore is broken off after every number of rows, in an orderly way and as by a kill that leaves on the disk what
// was synced. It goes on where it was, and ends with the state that was lost.
func TestInterruptedRestoreGoesOn(t *testing.T) {
	sc, log := twoLogs(t)
	want := digestOf(t, sc.s)
	const batch = 7
	for _, tt := range []struct {
		name   string
		killed bool
	}{{"stopped", false}, {"killed", true}} {
		t.Run(tt.name, func(t *testing.T) {
			for broken := range 121 {
				fs := newDisk(t)
				b := &brittle{memLedger: sc.ledger, left: broken}
				b.last = func() {
					if tt.killed {
						fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: broken % 101, RNG: rand.New(rand.NewPCG(uint64(broken), 1))})
					}
				}
				s := sc.starter("state")
				s.log, s.restorer, s.batchRows = log, b, batch
				s.options.fs = fs
				p, err := s.start(t.Context(), testPartition)
				if broken == 120 {
					must(t, err)
					must(t, p.close())
					continue
				}
				if !errors.Is(err, errLedgerDown) || final(err) || len(s.find()) != 0 {
					t.Fatalf("broken after %d rows: error %v, held %v", broken, err, s.find())
				}
				s.options.fs, b.left, b.read = fs, 1<<30, 0
				p, err = s.start(t.Context(), testPartition)
				must(t, err)
				must(t, p.close())
				if again := b.read - (120 - broken); again < 0 || again >= batch {
					t.Errorf("broken after %d rows, %d of them were read again", broken, again)
				}
				if got := digestOf(t, s); got != want {
					t.Fatalf("broken after %d rows: digest %x, the lost state had %x", broken, got, want)
				}
				if _, err := fs.Stat(s.path(testPartition) + buildingDir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("what was built was not moved: %v", err)
				}
			}
		})
	}
}

// newDisk is one that loses what was not synced. It has the directory of the log.
func newDisk(t testing.TB) *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	must(t, fs.MkdirAll("state/log-2", 0o750))
	for _, dir := range []string{"/", "state"} {
		must(t, syncDir(fs, dir))
	}
	return fs
}

// Rows leave memory at any place among the accounts, and wait for each other in tables that are not in the store yet: what
// an account's rows are held against is found all the same, also what an earlier log left of it.
func TestRestoreInPiecesOfAnySize(t *testing.T) {
	sc, log := twoLogs(t)
	want := digestOf(t, sc.s)
	for batch := 1; batch <= 121; batch++ {
		for _, bulk := range []int{1, 3 * batch, 1000} {
			s := sc.starter("state")
			s.options.fs = newDisk(t)
			s.log, s.batchRows, s.bulkRows = log, batch, bulk
			p, err := s.start(t.Context(), testPartition)
			if err != nil {
				t.Fatalf("%d rows at once, %d in a table: %v", batch, bulk, err)
			}
			must(t, p.close())
			if got := digestOf(t, s); got != want {
				t.Fatalf("%d rows at once, %d in a table: digest %x, want %x", batch, bulk, got, want)
			}
		}
	}
}

// However often it is interrupted, it comes to its end.
func TestRestoreInterruptedAllTheTime(t *testing.T) {
	sc, log := twoLogs(t)
	s := sc.starter(t.TempDir())
	b := &brittle{memLedger: sc.ledger}
	s.log, s.restorer, s.batchRows = log, b, 5
	for attempts := 1; ; attempts++ {
		b.left = 6
		p, err := s.start(t.Context(), testPartition)
		if err == nil {
			must(t, p.close())
			break
		}
		if !errors.Is(err, errLedgerDown) || attempts > 120/5 {
			t.Fatalf("attempt %d: %v", attempts, err)
		}
	}
	if got, want := digestOf(t, s), digestOf(t, sc.s); got != want {
		t.Errorf("digest %x, want %x", got, want)
	}
}

// What changed between the two halves of a restore decides whether the first is of any use.
func TestInterruptedRestoreIsHeldAgainstWhatIs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(sc *scene, s *starter)
		again  bool  // restored from the first row
		next   int64 // where it goes on
		err    error
	}{
		{"nothing", func(*scene, *starter) {}, false, 40, nil},
		{"the ledger went on", func(sc *scene, _ *starter) { sc.advance(sc.s, 60) }, false, 40, nil},
		{"the ledger went on and the log begins after the old checkpoint", func(sc *scene, _ *starter) {
			sc.advance(sc.s, 60)
			sc.log.first[testPartition] = 41
		}, true, 60, nil},
		{"the ledger went on and the log is another", func(sc *scene, _ *starter) { sc.advance(sc.s, 60); sc.otherRecord(39) }, true, 60, nil},
		{"the ledger is an older one", func(sc *scene, _ *starter) {
			clear(sc.ledger.checkpoints)
			clear(sc.ledger.entries)
			clear(sc.ledger.refusals)
			sc.advance(sc.starter(sc.t.TempDir()), 30)
		}, true, 30, nil},
		{"the log was registered anew", func(_ *scene, s *starter) { s.log.RegisteredAt = day() }, true, 40, nil},
		{"what was built is corrupt", func(sc *scene, s *starter) {
			files, err := filepath.Glob(filepath.Join(s.path(testPartition)+buildingDir, "MANIFEST-*"))
			must(sc.t, err)
			for _, f := range files {
				must(sc.t, os.Truncate(f, 1))
			}
		}, true, 40, nil},
		{"what was built is marked as corrupt", func(sc *scene, s *starter) {
			must(sc.t, os.WriteFile(s.path(testPartition)+buildingDir+condemned, nil, 0o600))
		}, true, 40, nil},
		{"what was built is of another layout", func(sc *scene, s *starter) {
			st, err := openPebble(s.path(testPartition)+buildingDir, s.options, true)
			must(sc.t, err)
			must(sc.t, st.db.Set([]byte{prefixBuilding}, []byte{99}, nil))
			must(sc.t, st.close())
		}, true, 40, nil},
		{"a row that was read was mended since", func(sc *scene, _ *starter) { sc.mend(0) }, true, 40, nil},
		{"a row is missing", func(sc *scene, _ *starter) {
			sc.mend(0)
			gone := sc.someRefusal()
			maps.DeleteFunc(sc.ledger.refusals, func(k rowKey, _ ledger.Refusal) bool { return k.position.Offset == gone })
		}, true, 0, ErrLedgerMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sc := newScene(t)
			sc.advance(sc.s, 40)
			if tt.name == "a row that was read was mended since" || tt.name == "a row is missing" {
				sc.mend(1)
			}
			s := sc.starter(t.TempDir())
			b := &brittle{memLedger: sc.ledger, left: 20}
			s.restorer, s.batchRows = b, 4
			if _, err := s.start(t.Context(), testPartition); !errors.Is(err, errLedgerDown) {
				t.Fatalf("error %v", err)
			}
			b.left, b.read = 1<<30, 0
			tt.change(sc, s)
			p, err := s.start(t.Context(), testPartition)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				if _, err := os.Stat(s.path(testPartition) + buildingDir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("what contradicts itself was kept: %v", err)
				}
				return
			}
			if p.next() != tt.next || (int64(b.read) >= tt.next) != tt.again {
				t.Errorf("goes on at %d, want %d; %d rows were read", p.next(), tt.next, b.read)
			}
			must(t, p.close())
		})
	}
}

// mend adds to the first entry that a restore reads, or takes it away again.
func (sc *scene) mend(thousandths int64) {
	keys := slices.SortedFunc(maps.Keys(sc.ledger.entries), func(a, b rowKey) int {
		return slices.Compare([]string{a.account, fmt.Sprintf("%09d", a.position.Offset)}, []string{b.account, fmt.Sprintf("%09d", b.position.Offset)})
	})
	e := sc.ledger.entries[keys[0]]
	if thousandths == 0 {
		thousandths = -1
	}
	q, err := e.Quantity.Add(reckoner.Thousandths(thousandths))
	must(sc.t, err)
	e.Quantity = q
	sc.ledger.entries[keys[0]] = e
}

func (sc *scene) someRefusal() int64 {
	for k := range sc.ledger.refusals {
		return k.position.Offset
	}
	sc.t.Fatal("no refusals")
	return 0
}

// A state that was whole when the process died before it was put in its place only has to be moved.
func TestWholeStateIsMoved(t *testing.T) {
	sc := newScene(t)
	sc.advance(sc.s, 40)
	want := digestOf(t, sc.s)
	must(t, os.Rename(sc.dir(), sc.dir()+buildingDir))
	b := &brittle{memLedger: sc.ledger}
	sc.s.restorer = b
	p, err := sc.s.start(t.Context(), testPartition)
	must(t, err)
	must(t, p.close())
	if got := digestOf(t, sc.s); got != want || b.read != 0 {
		t.Errorf("digest %x, want %x, %d rows read", got, want, b.read)
	}
}

// Once a partition has a state, what was begun of another restore of it takes no room any more.
func TestNeedlessRestoreIsForgotten(t *testing.T) {
	sc := newScene(t)
	sc.advance(sc.s, 40)
	building := sc.dir() + buildingDir
	must(t, os.MkdirAll(building, 0o750))
	must(t, os.WriteFile(building+condemned, nil, 0o600))
	p, err := sc.s.start(t.Context(), testPartition)
	must(t, err)
	must(t, p.close())
	for _, path := range []string{building, building + condemned} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// The end of a generation interrupts a restore; the next one goes on with it.
func TestRestoreOverTwoGenerations(t *testing.T) {
	r := newRig(t, soon)
	n := r.fill(testPartition, 50)
	other := &scene{t: t, log: r.log, ledger: r.ledger}
	other.advance(other.starter(t.TempDir()), 40)
	reading, b := make(chan struct{}), &brittle{memLedger: r.ledger, left: 30}
	r.a.starter.restorer, r.a.starter.batchRows = b, 4
	held := make(chan struct{})
	b.last = func() { close(reading); <-held }
	end := r.begin(testPartition)
	<-reading
	eventually(t, "progress is shown", func() bool {
		return metricOf(t, r.a.metrics.restored) == 28 && metricOf(t, r.a.metrics.unrestored) == 12
	})
	end()
	close(held)
	eventually(t, "the generation ended", func() bool { _, in := r.a.Status(); return !in })
	b.left, b.read, b.last = 1<<30, 0, nil
	r.begin(testPartition)
	eventually(t, "all settled", func() bool { return r.a.Held()[testPartition] == n })
	if b.read != 12 {
		t.Errorf("%d rows were read to restore the rest of 40, want 12", b.read)
	}
	must(t, r.ledger.complete())
}
