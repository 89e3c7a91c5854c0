package verify

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"reckoner/aggregator/disk"
)

// filling is a disk that takes so many writes.
func filling(writes int64) vfs.FS {
	var left atomic.Int64
	left.Store(writes)
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
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

// TestFullDiskEndsAVerification: a verification that runs out of room says so and where, and takes its directories with it.
func TestFullDiskEndsAVerification(t *testing.T) {
	w := newWorld(t, 3, 200)
	w.settleAll()
	full := 0
	for writes := int64(0); ; writes += 3 {
		o := w.options(w.ledger)
		o.Replay.TempDir, o.Replay.FS = t.TempDir(), filling(writes)
		_, err := Run(t.Context(), o)
		left, listed := filepath.Glob(filepath.Join(o.Replay.TempDir, "*"))
		if listed != nil || len(left) > 0 {
			t.Errorf("after %d writes %v are left behind, error %v", writes, left, listed)
		}
		if err == nil {
			break
		}
		full++
		if !disk.Ends(err) || !strings.Contains(err.Error(), "no space left on device") {
			t.Fatalf("after %d writes: %v", writes, err)
		}
	}
	if full < 10 {
		t.Errorf("the disk was full %d times only", full)
	}
}

// TestFullDiskWhileRowsAreKept: the store of rows has no log, and fills the disk in the background only.
func TestFullDiskWhileRowsAreKept(t *testing.T) {
	const opening = 40
	r, err := openRows("rows", filling(opening), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 1<<20)
	for n := range byte(250) {
		if err = r.set([]byte{tableEntries, n}, value); err != nil {
			break
		}
	}
	if full, ok := errors.AsType[*disk.FullError](err); !ok || full.Dir != "rows" || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("error %v", err)
	}
	if err := r.close(); err != nil {
		t.Errorf("what was told is told again: %v", err)
	}
}
