package aggregator

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"

	"reckoner/aggregator/disk"
)

// tight is a disk that can be full, and that outlives its process.
type tight struct {
	vfs.FS
	mem  *vfs.MemFS
	full atomic.Bool
	// after is how many more writes it takes when it is full.
	after atomic.Int64
}

func newTight() *tight {
	t := &tight{mem: vfs.NewCrashableMem()}
	t.FS = errorfs.Wrap(t.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpLink, errorfs.OpReuseForWrite, errorfs.OpMkdirAll, errorfs.OpRename:
			if t.full.Load() && t.after.Add(-1) < 0 {
				return syscall.ENOSPC
			}
		default:
		}
		return nil
	}))
	return t
}

// left is what a process finds that starts after this one ended, with room again.
func (t *tight) left() vfs.FS {
	return t.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
}

// saysFull checks that an error tells an operator all that is needed, once.
func saysFull(t *testing.T, err error, dir string) {
	t.Helper()
	if !disk.Ends(err) {
		t.Fatalf("error %v", err)
	}
	for _, part := range []string{"the disk of " + dir, "no space left on device", "free room on it"} {
		if strings.Count(err.Error(), part) != 1 {
			t.Errorf("%q is not once in: %v", part, err)
		}
	}
}

// A full disk ends Run with an error that names it. With room again the next process goes on from the state, and nothing is
// restored.
func TestFullDiskEndsRunThenGoesOn(t *testing.T) {
	d := newTight()
	r := rigBeside(t, func(o *Options) { soon(o); o.files = d })
	n := r.fill(testPartition, 40)
	r.begin(testPartition)
	eventually(t, "all settled", func() bool { return r.a.Held()[testPartition] == n })
	d.full.Store(true)
	n = r.fill(testPartition, 30)
	saysFull(t, r.ended(), r.a.o.Dir)
	<-r.group.left

	sc := &scene{t: t, log: r.log, ledger: r.ledger}
	b := &brittle{memLedger: r.ledger, left: 1 << 30}
	s := sc.starter(r.a.o.Dir)
	s.options.fs, s.restorer = d.left(), b
	if found := s.find()[testPartition]; found != 40 {
		t.Errorf("the state is at %d", found)
	}
	sc.advance(s, n)
	if b.read != 0 {
		t.Errorf("%d rows were restored", b.read)
	}
	must(t, r.ledger.complete())
}

// A process that starts on a full disk ends before it joins the group, and does not take its states for unusable.
func TestFullDiskAtTheStart(t *testing.T) {
	d := newTight()
	o := rigBeside(t, nil).a.o
	o.Dir, o.files = t.TempDir(), d
	sc := newScene(t)
	s := sc.starter(o.Dir)
	s.options.fs = d
	sc.advance(s, 40)
	d.full.Store(true)
	for range 2 { // it holds nothing of its directory after the first
		o.Registerer = prometheus.NewRegistry()
		_, err := New(o)
		saysFull(t, err, o.Dir)
	}
	s = sc.starter(o.Dir)
	s.options.fs = d.left()
	if found := s.find()[testPartition]; found != 40 {
		t.Errorf("the state is at %d", found)
	}
}

// A disk that fills up at any moment of a restore ends it, as what it is; the restore goes on when there is room.
func TestFullDiskDuringARestore(t *testing.T) {
	full := 0
	for writes := int64(0); ; writes++ {
		sc := newScene(t)
		sc.advance(sc.s, 40)
		d := newTight()
		d.after.Store(writes)
		d.full.Store(true)
		s := sc.starter(t.TempDir())
		s.options.fs, s.batchRows = d, 4
		s.options.guard = disk.New(d, s.dir, "move it", quiet())
		p, err := s.start(t.Context(), testPartition)
		if err == nil {
			err = p.close()
		}
		if err == nil {
			break
		}
		full++
		saysFull(t, s.options.guard.Explain(err), s.dir)
		if errors.Is(err, ErrLedgerMismatch) || errors.Is(err, errNoState) {
			t.Fatalf("after %d writes the ledger or the state is blamed: %v", writes, err)
		}
		if writes%5 != 0 {
			continue
		}
		again := sc.starter(s.dir)
		again.options.fs, again.batchRows = d.left(), 4
		sc.advance(again, 60)
	}
	if full < 20 {
		t.Errorf("the disk was full %d times only", full)
	}
}

// A replay's directory goes with it, also when the disk is full: else it stayed full.
func TestFullDiskEndsAReplay(t *testing.T) {
	sc := newScene(t)
	d := newTight()
	d.after.Store(30)
	d.full.Store(true)
	temp := t.TempDir()
	r := Replay{Log: testLog(), Source: sc.log, Partitioner: sc.s.of, Restorer: sc.ledger, TempDir: temp, FS: d, Slog: quiet()}
	err := r.Partition(t.Context(), testPartition, 60, Visitor{Batch: func(*Replayed) error { return nil }, Cut: 10})
	saysFull(t, err, temp)
	left, err := vfs.Default.List(temp)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("%v are left behind", left)
	}
}
