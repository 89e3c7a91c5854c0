package aggregator

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// numbered returns a layer that remembers one id, and the checkpoint after it: what commit n of a test writes.
func numbered(s *store, n int64) (*layer, ledger.Checkpoint) {
	var k keys
	l := newLayer(s)
	l.setMemory(k.id(accountIn(0, 0), reckoner.Usage, strconv.FormatInt(n, 10)), &memory{outcome: reckoner.Applied, quantity: reckoner.Thousandths(n)})
	key := ledger.TotalKey{AccountID: accountIn(0, 0), Meter: "calls", MeterType: reckoner.Interval, Bucket: day()}
	l.addTotal(k.total(&key), &ledger.Total{TotalKey: key, Events: uint64(n), FirstUse: day(), LastUse: day()})
	used := reckoner.Thousandths(n)
	l.useds[string(k.used(key.AccountID, "s", "calls", key.Period))] = &used
	return l, ledger.Checkpoint{Log: 1, Partition: testPartition, Next: n, Entries: uint64(n), RecordHash: 1<<63 + uint64(n)}
}

func mustCommit(t testing.TB, s *store, n int64) {
	t.Helper()
	l, c := numbered(s, n)
	if err := s.commit(l, c, testLog()); err != nil {
		t.Fatal(err)
	}
}

func mustCreate(t testing.TB, dir string, o storeOptions) *store {
	t.Helper()
	s, err := createStore(dir, testLog(), testPartition, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustOpen(t testing.TB, dir string, o storeOptions) *store {
	t.Helper()
	s, err := openStore(dir, testLog(), testPartition, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t testing.TB, s *store) {
	t.Helper()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// holds checks that a store holds exactly what commits 1 to n wrote.
func holds(t testing.TB, s *store, n int64) {
	t.Helper()
	var k keys
	_, want := numbered(s, n)
	same(t, "checkpoint", want, s.checkpoint)
	for i := int64(1); i <= n+3; i++ {
		m, found, err := s.memory(k.id(accountIn(0, 0), reckoner.Usage, strconv.FormatInt(i, 10)))
		if err != nil || found != (i <= n) || found && m.quantity != reckoner.Thousandths(i) {
			t.Fatalf("id %d of %d: found %v, %+v, error %v", i, n, found, m, err)
		}
	}
	q, found, err := s.used(k.used(accountIn(0, 0), "s", "calls", reckoner.Period{}))
	if err != nil || !found || q != reckoner.Thousandths(n) {
		t.Fatalf("used %s, found %v, error %v, want %d", q, found, err, n)
	}
	key := ledger.TotalKey{AccountID: accountIn(0, 0), Meter: "calls", MeterType: reckoner.Interval, Bucket: day()}
	if tot, found, err := s.total(k.total(&key)); err != nil || !found || tot.Events != uint64(n) {
		t.Fatalf("total %+v, found %v, error %v", tot, found, err)
	}
}

func TestStoreReopensAtItsLastCommit(t *testing.T) {
	dir, o := filepath.Join(t.TempDir(), "p"), testOptions(t)
	s := mustCreate(t, dir, o)
	for n := int64(1); n <= 3; n++ {
		mustCommit(t, s, n)
	}
	before, err := s.digest()
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s = mustOpen(t, dir, o)
	holds(t, s, 3)
	if after, err := s.digest(); err != nil || after != before {
		t.Errorf("digest %x became %x, error %v", before, after, err)
	}
	mustCommit(t, s, 4)
	if after, err := s.digest(); err != nil || after == before {
		t.Errorf("digest %x is the same after a commit, error %v", after, err)
	}
	mustClose(t, s)
}

// The digest depends on what a store holds, never on how it came there.
func TestDigestIsOfContents(t *testing.T) {
	o := testOptions(t)
	one, two := mustCreate(t, filepath.Join(t.TempDir(), "p"), o), mustCreate(t, filepath.Join(t.TempDir(), "p"), o)
	for n := int64(1); n <= 3; n++ {
		mustCommit(t, one, n)
		l, _ := numbered(two, n)
		must(t, filled(t, two, l).ingest(t.Context()))
	}
	d1, err1 := one.digest()
	d2, err2 := two.digest()
	if d1 == d2 {
		t.Error("a store without a checkpoint has the digest of one with it")
	}
	l, c := numbered(two, 3)
	if err := two.finish(l, c, testLog()); err != nil {
		t.Fatal(err)
	}
	d2, err3 := two.digest()
	if err := errors.Join(err1, err2, err3); err != nil || d1 != d2 {
		t.Errorf("digests %x and %x, error %v", d1, d2, err)
	}
	mustClose(t, one)
	mustClose(t, two)
}

func TestUnusableStates(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string, l *ledger.Log, partition *int32){
		"missing": func(t *testing.T, dir string, _ *ledger.Log, _ *int32) { must(t, os.RemoveAll(dir)) },
		"empty directory": func(t *testing.T, dir string, _ *ledger.Log, _ *int32) {
			must(t, os.RemoveAll(dir))
			must(t, os.Mkdir(dir, 0o750))
		},
		"a file": func(t *testing.T, dir string, _ *ledger.Log, _ *int32) {
			must(t, os.RemoveAll(dir))
			must(t, os.WriteFile(dir, []byte("x"), 0o600))
		},
		"another topic":     func(_ *testing.T, _ string, l *ledger.Log, _ *int32) { l.Topic = "other" },
		"other partitions":  func(_ *testing.T, _ string, l *ledger.Log, _ *int32) { l.Partitions++ },
		"another cluster":   func(_ *testing.T, _ string, l *ledger.Log, _ *int32) { l.RegisteredAt = l.RegisteredAt.Add(1) },
		"another log":       func(_ *testing.T, _ string, l *ledger.Log, _ *int32) { l.Number++ },
		"another partition": func(_ *testing.T, _ string, _ *ledger.Log, p *int32) { *p++ },
		"marked as corrupt": func(t *testing.T, dir string, _ *ledger.Log, _ *int32) {
			must(t, os.WriteFile(dir+condemned, nil, 0o600))
		},
		"newer layout": func(t *testing.T, dir string, _ *ledger.Log, _ *int32) {
			s := mustOpen(t, dir, testOptions(t))
			must(t, s.db.Set([]byte{prefixMeta}, []byte{metaVersion + 1}, pebble.Sync))
			mustClose(t, s)
		},
		"manifest gone": func(t *testing.T, dir string, _ *ledger.Log, _ *int32) {
			files, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
			must(t, err)
			for _, f := range files {
				must(t, os.Truncate(f, 0))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, o := filepath.Join(t.TempDir(), "p"), testOptions(t)
			s := mustCreate(t, dir, o)
			mustCommit(t, s, 1)
			mustClose(t, s)
			l, partition := testLog(), int32(testPartition)
			spoil(t, dir, &l, &partition)
			if s, err := openStore(dir, l, partition, o); !errors.Is(err, errNoState) {
				t.Errorf("opened %v, error %v, want errNoState", s, err)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A store that was never committed is none, whatever was loaded into it.
func TestHalfBuiltStateIsNone(t *testing.T) {
	dir, o := filepath.Join(t.TempDir(), "p"), testOptions(t)
	s := mustCreate(t, dir, o)
	l, _ := numbered(s, 1)
	must(t, filled(t, s, l).ingest(t.Context()))
	mustClose(t, s)
	if _, err := openStore(dir, testLog(), testPartition, o); !errors.Is(err, errNoState) {
		t.Errorf("error %v, want errNoState", err)
	}
}

// A value that is not what was written there is an error and marks the state, so that the next process restores it.
func TestCorruptValueCondemnsTheState(t *testing.T) {
	dir, o := filepath.Join(t.TempDir(), "p"), testOptions(t)
	s := mustCreate(t, dir, o)
	mustCommit(t, s, 1)
	var k keys
	key := k.id(accountIn(0, 0), reckoner.Usage, "1")
	must(t, s.db.Set(key, []byte("nonsense"), pebble.Sync))
	if _, _, err := s.memory(key); !errors.Is(err, errCorrupt) {
		t.Fatalf("error %v, want errCorrupt", err)
	}
	mustClose(t, s)
	if _, err := openStore(dir, testLog(), testPartition, o); !errors.Is(err, errNoState) {
		t.Fatalf("error %v, want errNoState", err)
	}
	st := &starter{dir: t.TempDir(), log: testLog(), of: bus.PartitionFor, options: o, slog: quiet(), metrics: testMetrics()}
	dir = st.path(testPartition)
	must(t, os.MkdirAll(dir, 0o750))
	must(t, os.WriteFile(dir+condemned, nil, 0o600))
	s, err := st.restore(t.Context(), facts{known: ledger.Checkpoint{Log: 1, Partition: testPartition}})
	must(t, err)
	mustClose(t, s)
	mustClose(t, mustOpen(t, dir, o)) // the mark is gone
}

// After a loss of power at any moment a state is at a commit that was acknowledged, or at the one on its way.
func TestStoreSurvivesLossOfPower(t *testing.T) {
	for seed := range uint64(20) {
		fs, o := vfs.NewCrashableMem(), testOptions(t)
		o.fs = fs
		s := mustCreate(t, "p", o)
		root, err := fs.OpenDir("/")
		must(t, err)
		must(t, root.Sync())
		n := 1 + int64(seed)%7
		for i := int64(1); i <= n; i++ {
			mustCommit(t, s, i)
		}
		l, _ := numbered(s, 99)
		b := s.db.NewBatch()
		must(t, s.writeLayer(b, l))
		must(t, s.db.Apply(b, pebble.NoSync))
		o.fs = fs.CrashClone(vfs.CrashCloneCfg{})
		mustClose(t, s)
		after := mustOpen(t, "p", o)
		holds(t, after, n)
		mustClose(t, after)
	}
}

// childDir names the environment variable that makes this test binary a process to be killed.
const childDir = "RECKONER_TEST_STORE_DIR"

// A process killed in the middle of its commits left a state at a committed checkpoint, the last one it told or later.
func TestStoreSurvivesKill(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		s := mustCreate(t, dir, testOptions(t))
		for n := int64(1); ; n++ {
			mustCommit(t, s, n)
			fmt.Println("committed", n)
		}
	}
	for round := range 3 {
		dir := filepath.Join(t.TempDir(), "p")
		told := killed(t, dir, 20*(round+1))
		s := mustOpen(t, dir, testOptions(t))
		if s.checkpoint.Next < told {
			t.Errorf("at %d, but %d was committed", s.checkpoint.Next, told)
		}
		holds(t, s, s.checkpoint.Next)
		mustClose(t, s)
	}
}

// killed runs a child that commits into dir, kills it once it told so many commits, and returns the last it told.
func killed(t *testing.T, dir string, commits int) (told int64) {
	t.Helper()
	cmd := exec.CommandContext(within(t), os.Args[0], "-test.run=^TestStoreSurvivesKill$", "-test.timeout="+(2*time.Minute).String())
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if _, err := fmt.Sscanf(lines.Text(), "committed %d", &told); err != nil {
			t.Errorf("the child said %q", lines.Text())
		}
		if n == commits {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || told < int64(commits) {
		t.Fatalf("the child was not killed in its work: told %d, error %v", told, err)
	}
	return told
}
