package aggregator

import (
	"encoding/binary"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"reckoner"
)

// remembered commits ids of one account, from one to another, as commit n.
func remembered(t testing.TB, s *store, n int64, from, to int) {
	t.Helper()
	var k keys
	l, c := numbered(s, n)
	for i := from; i < to; i++ {
		l.setMemory(k.id(accountIn(0, 0), reckoner.Usage, "id-"+strconv.Itoa(i)), &memory{outcome: reckoner.Applied})
	}
	must(t, s.commit(l, c, testLog()))
}

// knows fails the test unless the store finds every id below one, and none from there on.
func knows(t testing.TB, s *store, to int) {
	t.Helper()
	var k keys
	for i := range to + 20 {
		_, found, err := s.memory(k.id(accountIn(0, 0), reckoner.Usage, "id-"+strconv.Itoa(i)))
		must(t, err)
		if found != (i < to) {
			t.Fatalf("id %d of %d: found %v", i, to, found)
		}
	}
}

// Whatever was committed is found: with the filter that was left, without it, while it is learnt, and when what was left
// is of an earlier state.
func TestNoFilterHidesAKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fs, o := vfs.NewMem(), testOptions(t)
		o.fs = fs
		s := mustCreate(t, "p", o)
		n, ids := int64(1), 0
		var old []byte // a filter's file as some owner left it
		for range rapid.IntRange(2, 8).Draw(rt, "owners") {
			for range rapid.IntRange(1, 4).Draw(rt, "commits") {
				more := rapid.IntRange(0, 60).Draw(rt, "ids")
				remembered(t, s, n, ids, ids+more)
				n, ids = n+1, ids+more
			}
			knows(t, s, ids)
			mustClose(t, s)
			file := fileOf(t, fs, "p"+filterFile)
			switch rapid.SampledFrom([]string{"left", "killed", "old", "unused"}).Draw(rt, "how") {
			case "killed":
				must(t, fs.Remove("p"+filterFile))
			case "old":
				if old != nil {
					putFile(t, fs, "p"+filterFile, old)
				}
				old = file
			case "unused": // opened and closed by someone who only looks, and found by the next
				mustClose(t, mustOpen(t, "p", o))
				if len(fileOf(t, fs, "p"+filterFile)) == 0 {
					t.Fatal("who only looked took the filter away")
				}
			default:
			}
			s = mustOpen(t, "p", o)
			s.wake()
			if _, err := fs.Stat("p" + filterFile); err == nil {
				t.Fatal("the file of the filter stayed: a kill would leave it behind")
			}
			knows(t, s, ids)
		}
		mustClose(t, s)
	})
}

// A file that is damaged in any place is not taken.
func TestADamagedFilterIsNotTaken(t *testing.T) {
	fs, o := vfs.NewMem(), testOptions(t)
	o.fs = fs
	s := mustCreate(t, "p", o)
	remembered(t, s, 1, 0, 100)
	mustClose(t, s)
	whole := fileOf(t, fs, "p"+filterFile)
	s = mustOpen(t, "p", o)
	try := func(b []byte) bool {
		putFile(t, fs, "p"+filterFile, b)
		f, err := s.leftFilter()
		return f != nil && err == nil
	}
	if !try(whole) {
		t.Fatal("the whole file is not taken")
	}
	for i := 0; i < len(whole); i += 1 + len(whole)/500 {
		if try(whole[:i]) {
			t.Errorf("taken when cut at %d of %d", i, len(whole))
		}
		whole[i] ^= 0x10
		if try(whole) {
			t.Errorf("taken with byte %d of %d changed", i, len(whole))
		}
		whole[i] ^= 0x10
	}
	mustClose(t, s)
}

// After a kill a filter learns what the store holds, a share with each commit, until it answers again.
func TestAFilterLearns(t *testing.T) {
	fs, o := vfs.NewMem(), testOptions(t)
	o.fs, o.metrics = fs, testMetrics()
	s := mustCreate(t, "p", o)
	const ids = 5000
	remembered(t, s, 1, 0, ids)
	mustClose(t, s)
	must(t, fs.Remove("p"+filterFile))
	s = mustOpen(t, "p", o)
	s.wake()
	commits := 0
	for ; s.filter.next() != nil; commits++ {
		var k keys
		if s.filter.absent(k.id(accountIn(0, 1), reckoner.Usage, "no such id")) {
			t.Fatal("the filter answers for keys that it does not know")
		}
		remembered(t, s, int64(commits+2), ids+100*commits, ids+100*(commits+1))
	}
	if want := ids / 100 / (learnKeys - 1); commits < want/2 || commits > want+2 {
		t.Errorf("learnt in %d commits, want about %d", commits, want)
	}
	knows(t, s, ids+100*commits)
	mustClose(t, s)
}

// A filter grows by parts, and hardly takes a new key for a known one.
func TestFilterKeepsItsPromise(t *testing.T) {
	f, key := new(filter), func(i uint64) []byte { return binary.BigEndian.AppendUint64([]byte("m"), i*0x9e3779b97f4a7c15) }
	const n = 4 * filterFirst
	bytes := 0
	for i := range uint64(n) {
		bytes += f.add(key(i))
	}
	if len(f.parts) != 2 || f.bytes() != bytes || bytes != 5*filterFirst*filterBits/8 {
		t.Errorf("%d parts of %d bytes, it told of %d", len(f.parts), f.bytes(), bytes)
	}
	wrong := 0
	for i := range uint64(n) {
		if f.absent(key(i)) {
			t.Fatalf("key %d is absent", i)
		}
		if !f.absent(key(n + i)) {
			wrong++
		}
	}
	if wrong > n/30 {
		t.Errorf("%d of %d new keys would be looked up", wrong, n)
	}
}

func fileOf(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	file, err := fs.Open(name)
	must(t, err)
	info, err := file.Stat()
	must(t, err)
	b := make([]byte, info.Size())
	_, err = file.ReadAt(b, 0)
	must(t, err)
	must(t, file.Close())
	return b
}

func putFile(t testing.TB, fs vfs.FS, name string, b []byte) {
	t.Helper()
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = file.Write(b)
	must(t, err)
	must(t, file.Close())
}

// A process of many partitions must not spend the block cache on memtables.
func TestMemtablesShareTheirMemory(t *testing.T) {
	for partitions, want := range map[int32]uint64{1: 16 << 20, 4: 16 << 20, 8: 16 << 20, 16: 8 << 20, 32: 4 << 20, 1000: 2 << 20} {
		if got := memtableOf(partitions); got != want {
			t.Errorf("%d partitions: %d bytes, want %d", partitions, got, want)
		}
	}
}
