package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
)

// Source is whoever knows the catalog in force. A Catalog is one, and so is a File.
type Source interface{ Current() *Catalog }

// Options says how a catalog file is used.
type Options struct {
	// AutoAccounts is the organization (id or name) of accounts that the file does not list; empty: there are none.
	AutoAccounts string
	// Registerer takes the metrics; nil: there are none.
	Registerer prometheus.Registerer
	// OnChange is called with every catalog that comes into force after the first, from Run's goroutine.
	OnChange func(*Catalog)
	// Poll is how often the file is looked at where no notice of a change arrives, as on network file systems. 0 is 10 s.
	Poll time.Duration
}

const (
	defaultPoll = 10 * time.Second
	// settle is how long a directory must be quiet before the file is read, so that it is not read half-written.
	settle = 50 * time.Millisecond
)

// File is a catalog file and the newest good catalog that was read from it. Current may be called at any time; Run is
// for one goroutine.
type File struct {
	path    string
	opts    Options
	log     *slog.Logger
	metrics *metrics
	current atomic.Pointer[Catalog]
	seen    [sha256.Size]byte // of the content that was read last, good or bad
	failing string            // the last failure to read the file; empty: it was read
}

// Open reads a catalog file. A bad one is an error that joins all its problems.
func Open(path string, opts Options, log *slog.Logger) (*File, error) {
	if opts.Poll <= 0 {
		opts.Poll = defaultPoll
	}
	f := &File{path: path, opts: opts, log: log, metrics: newMetrics(opts.Registerer)}
	data, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	c, err := f.parse(data)
	if err != nil {
		return nil, fmt.Errorf("the catalog is not valid:\n%w", err)
	}
	f.use(c)
	f.log.Info("catalog in force", "file", path, "accounts", c.Count(AccountKind), "organizations", c.Count(OrganizationKind),
		"meters", c.Count(MeterKind), "subscriptions", c.Count(SubscriptionKind))
	return f, nil
}

// Current returns the catalog in force. Whoever handles a request calls it once, so that all of the request sees one.
func (f *File) Current() *Catalog { return f.current.Load() }

// Run follows the file until ctx ends, and then returns ctx's error. It ends with nothing else: where the system gives
// no notice of changes the file is looked at now and then.
func (f *File) Run(ctx context.Context) error {
	events, failures, closeWatch := f.watch()
	defer closeWatch()
	poll := time.NewTicker(f.opts.Poll)
	defer poll.Stop()
	quiet := time.NewTimer(settle) // once at the start: the file may have changed since Open
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-events:
			quiet.Reset(settle)
		case err := <-failures:
			f.log.Warn("watching the catalog's directory failed; the file is still looked at now and then",
				"file", f.path, "every", f.opts.Poll, "error", err)
		case <-quiet.C:
			f.reloadAtRest(quiet)
		case <-poll.C:
			f.reloadAtRest(quiet)
		}
	}
}

// reloadAtRest reloads the file, or comes back later when it was written just now: the beginning of a catalog may be a
// good catalog too. A writer that pauses for longer can only be told to write another file and rename it.
func (f *File) reloadAtRest(later *time.Timer) {
	if info, err := os.Stat(f.path); err == nil {
		if age := time.Since(info.ModTime()); age >= 0 && age < settle {
			later.Reset(settle)
			return
		}
	}
	f.Reload()
}

// watch watches the file's directory, never the file: editors and Kubernetes put another file in its place, and a watch
// would stay with the old one.
func (f *File) watch() (events <-chan fsnotify.Event, failures <-chan error, end func()) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		if err = w.Add(filepath.Dir(f.path)); err == nil {
			return w.Events, w.Errors, func() { _ = w.Close() }
		}
		_ = w.Close()
	}
	f.log.Warn("the catalog's directory cannot be watched; the file is looked at now and then",
		"file", f.path, "every", f.opts.Poll, "error", err)
	return nil, nil, func() {}
}

// Reload reads the file again and reports whether another catalog came into force. A file that cannot be read, or is
// bad, leaves the old one in force; it is logged once and shows in the metrics until it is good again.
func (f *File) Reload() bool {
	data, err := readBounded(f.path)
	if err != nil {
		if f.failing != err.Error() {
			f.failing = err.Error()
			f.reject(err)
		}
		return false
	}
	if sum := sha256.Sum256(data); sum == f.seen && f.failing == "" {
		return false
	}
	f.failing = ""
	c, err := f.parse(data)
	if err != nil {
		f.reject(err)
		return false
	}
	f.use(c)
	f.log.Info("catalog changed", "file", f.path, "accounts", c.Count(AccountKind), "meters", c.Count(MeterKind))
	if f.opts.OnChange != nil {
		f.opts.OnChange(c)
	}
	return true
}

func (f *File) parse(data []byte) (*Catalog, error) {
	f.seen = sha256.Sum256(data)
	c, err := Parse(filepath.Base(f.path), data)
	if err != nil {
		return nil, err
	}
	c, err = c.WithAutoAccounts(f.opts.AutoAccounts)
	if err != nil {
		return nil, fmt.Errorf("%s: catalog.auto_accounts: %w", filepath.Base(f.path), err)
	}
	return c, nil
}

func (f *File) use(c *Catalog) {
	f.current.Store(c)
	f.metrics.accepted(c)
}

func (f *File) reject(err error) {
	f.metrics.refused()
	for _, one := range unjoin(err) {
		f.log.Error("bad catalog file; the old catalog stays in force", "file", f.path, "error", one)
	}
}

// unjoin returns the errors that were joined.
func unjoin(err error) []error {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// readBounded reads a file that is no larger than a catalog may be.
func readBounded(path string) (data []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	limit := int64(maxYAMLBytes)
	if isJSON(path) {
		limit = maxJSONBytes
	}
	var b bytes.Buffer
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		b.Grow(int(min(info.Size(), limit)) + bytes.MinRead)
	}
	// One byte more than there may be, so that Parse says what is wrong.
	if _, err := b.ReadFrom(io.LimitReader(file, limit+1)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
