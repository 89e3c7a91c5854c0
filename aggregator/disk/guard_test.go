package disk

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// filling is a disk that takes so many writes.
func filling(inner vfs.FS, writes int64) vfs.FS {
	var left atomic.Int64
	left.Store(writes)
	return errorfs.Wrap(inner, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpLink, errorfs.OpReuseForWrite, errorfs.OpMkdirAll, errorfs.OpRename:
			if left.Add(-1) < 0 {
				return syscall.ENOSPC
			}
		default:
		}
		return nil
	}))
}

// within fails the test when something does not end.
func within(t *testing.T, do func() error) error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- do() }()
	select {
	case err := <-result:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("it hangs")
		return nil
	}
}

// TestFullDisk fills the disk at every write in turn: of opening, of the log, of its change for another, of a flush, of
// the manifest. Each time the writer gets an error that names the directory, and what was committed is found again.
func TestFullDisk(t *testing.T) {
	value := make([]byte, 32<<10)
	full := 0
	for writes := int64(0); ; writes++ {
		inner := vfs.NewCrashableMem()
		g := New(filling(inner, writes), "the/states", "do this", slog.New(slog.DiscardHandler))
		committed := -1
		err := within(t, func() error {
			var db *pebble.DB
			if err := g.Do(func() (err error) { db, err = open(g.FS(), g); return err }); err != nil {
				return err
			}
			for n := range 12 {
				if err := g.Do(func() error { return db.Set([]byte{byte(n)}, value, pebble.Sync) }); err != nil {
					return err
				}
				committed = n
			}
			return g.Do(db.Close)
		})
		if err == nil {
			break // the disk was large enough
		}
		full++
		if want, ok := errors.AsType[*FullError](err); !ok || want.Dir != "the/states" || !strings.Contains(err.Error(), "no space left on device") || !Ends(err) || g.Err() == nil {
			t.Fatalf("after %d writes: %v, guard %v", writes, err, g.Err())
		}
		if err := g.Do(func() error { t.Error("it still works with the store"); return nil }); !Ends(err) {
			t.Errorf("after %d writes: %v", writes, err)
		}
		found(t, inner.CrashClone(vfs.CrashCloneCfg{}), writes, committed, value)
	}
	if full < 20 {
		t.Errorf("the disk was full %d times only", full)
	}
}

func open(fs vfs.FS, l pebble.Logger) (*pebble.DB, error) {
	return pebble.Open("store", &pebble.Options{FS: fs, Logger: l, MemTableSize: 128 << 10, FormatMajorVersion: pebble.FormatNewest})
}

// found opens what is left, with room again.
func found(t *testing.T, fs vfs.FS, writes int64, committed int, value []byte) {
	t.Helper()
	db, err := open(fs, New(fs, "", "", slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatalf("after %d writes: %v", writes, err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for n := range committed + 1 {
		v, closer, err := db.Get([]byte{byte(n)})
		if err != nil || len(v) != len(value) {
			t.Fatalf("after %d writes: value %d of %d: %v", writes, n, committed, err)
		}
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFatalIsAnError(t *testing.T) {
	g := New(vfs.NewMem(), "the/states", "do this", slog.New(slog.DiscardHandler))
	err := within(t, func() error { return g.Do(func() error { g.Fatalf("MANIFEST: %s", "input/output error"); return nil }) })
	if !errors.Is(err, ErrFailed) || !Ends(err) || !strings.Contains(err.Error(), "the/states: MANIFEST: input/output error") {
		t.Error(err)
	}
}

func TestExplain(t *testing.T) {
	g := New(vfs.NewMem(), "the/states", "do this", slog.New(slog.DiscardHandler))
	other := errors.New("other")
	if err := g.Explain(nil); err != nil {
		t.Error(err)
	}
	if err := g.Explain(other); !errors.Is(err, other) || Ends(err) {
		t.Error(err)
	}
	if err := g.Explain(errors.Join(other, syscall.ENOSPC)); !Ends(err) || !strings.Contains(err.Error(), "the disk of the/states is full") {
		t.Error(err)
	}
}
