// Package disk stands between embedded stores and a disk that can be full.
package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrFailed says that a store cannot go on for another reason than a full disk. What it holds is as after a kill.
var ErrFailed = errors.New("the store failed: start again, it goes on where it was; if it fails again, look at its disk")

// FullError says that a disk is full. It is syscall.ENOSPC.
type FullError struct {
	Dir    string
	Advice string // besides making room
}

// Error names the directory and what to do.
func (e *FullError) Error() string {
	return fmt.Sprintf("the disk of %s is full (no space left on device): free room on it, or %s, and start again; nothing is lost", e.Dir, e.Advice)
}

// Unwrap returns syscall.ENOSPC.
func (e *FullError) Unwrap() error { return syscall.ENOSPC }

// Guard makes a full disk, and what else a store calls fatal, an error. A store of Pebble panics then, in whichever of
// its goroutines found it and with its locks in disorder, so that not even the cause is told. With a guard that goroutine
// waits instead, for as long as the process lives, and who works with the store is told; all that is left to do with the
// store is to leave it. It is as after a kill: nothing more is written.
type Guard struct {
	dir, advice string
	fs          vfs.FS
	log         *slog.Logger

	once   sync.Once
	halted chan struct{}
	err    error // set before halted is closed
}

// New returns a guard of the stores that live in one directory. A nil file system is the disk.
func New(fs vfs.FS, dir, advice string, log *slog.Logger) *Guard {
	if fs == nil {
		fs = vfs.Default
	}
	g := &Guard{dir: dir, advice: advice, log: log, halted: make(chan struct{})}
	g.fs = vfs.OnDiskFull(fs, func() { g.halt(g.full()) })
	return g
}

// FS is what the stores have to be opened on.
func (g *Guard) FS() vfs.FS { return g.fs }

func (g *Guard) full() error { return &FullError{Dir: g.dir, Advice: g.advice} }

// halt tells of the end and never returns: whoever calls it would panic after it.
func (g *Guard) halt(err error) {
	g.once.Do(func() {
		g.err = err
		close(g.halted)
	})
	select {}
}

// Halted is closed when the stores cannot go on; Err then says why.
func (g *Guard) Halted() <-chan struct{} { return g.halted }

// Err returns why the stores cannot go on, nil while they can.
func (g *Guard) Err() error {
	select {
	case <-g.halted:
		return g.err
	default:
		return nil
	}
}

// Do runs what may write to a store and returns its error, or why the stores cannot go on as soon as that is known. Then
// what was run is left behind, perhaps for ever.
func (g *Guard) Do(run func() error) error {
	if err := g.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- run() }()
	select {
	case err := <-done:
		return err
	case <-g.halted:
		return g.err
	}
}

// Explain returns Err when the stores cannot go on, else err, as a FullError when it says so of a full disk that was found
// beside the stores.
func (g *Guard) Explain(err error) error {
	_, told := errors.AsType[*FullError](err)
	switch halted := g.Err(); {
	case err == nil:
		return nil
	case halted != nil:
		return halted
	case !told && errors.Is(err, syscall.ENOSPC):
		return g.full()
	default:
		return err
	}
}

// Ends reports whether an error says that stores cannot go on.
func Ends(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrFailed) }

// Infof keeps a store's chatter at debug. Guard is a pebble.Logger.
func (g *Guard) Infof(format string, args ...any) { g.log.Debug(fmt.Sprintf(format, args...)) }

// Errorf tells what went wrong in a store that goes on.
func (g *Guard) Errorf(format string, args ...any) { g.log.Error(fmt.Sprintf(format, args...)) }

// Fatalf is called by a store that can no longer keep its promises; going on would break them.
func (g *Guard) Fatalf(format string, args ...any) {
	g.halt(fmt.Errorf("%w (%s: %s)", ErrFailed, g.dir, fmt.Sprintf(format, args...)))
}
