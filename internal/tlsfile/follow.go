package tlsfile

import (
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// followed is what was read of files, as of their last change.
type followed[T any] struct {
	files []string
	read  func() (T, error)
	log   *slog.Logger

	mu     sync.Mutex
	value  T
	seen   []version // when value was read
	warned []version // of which it was said that they cannot be used
}

// version tells one state of a file from the next. Tools that renew put another file in its place, or write into it.
type version struct {
	changed time.Time
	size    int64
	broken  bool
}

func follow[T any](files []string, read func() (T, error), log *slog.Logger) (*followed[T], error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &followed[T]{files: files, read: read, log: log, seen: versions(files)}
	var err error
	f.value, err = read()
	return f, err
}

// current returns what the files hold. What cannot be used leaves the value before in force, for a renewal is not one
// step: the certificate and its key fit each other only when both are written. It is tried again until it can be used, for the
// reason may lie outside of the files: who may read them, how many files the process has open.
func (f *followed[T]) current() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := versions(f.files)
	if slices.Equal(now, f.seen) {
		return f.value
	}
	value, err := f.read()
	if err != nil {
		if !slices.Equal(now, f.warned) {
			f.log.Warn("TLS files changed and cannot be used; those from before stay in force", "files", f.files, "error", err)
			f.warned = now
		}
		return f.value
	}
	f.log.Info("TLS files changed and are in force", "files", f.files)
	f.value, f.seen, f.warned = value, now, nil
	return f.value
}

func versions(files []string) []version {
	all := make([]version, len(files))
	for i, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			all[i].broken = true
			continue
		}
		all[i] = version{changed: info.ModTime(), size: info.Size()}
	}
	return all
}
