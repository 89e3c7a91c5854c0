package chdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/gofrs/flock"
)

// ErrAnotherEngine says that this process already has an engine open.
var ErrAnotherEngine = errors.New("one process holds one embedded ClickHouse at a time")

// ErrLocked says that another process has the data directory.
var ErrLocked = errors.New("data directory is in use")

// Options of an engine. Zero values mean the defaults named.
type Options struct {
	Dir         string        // data directory, created when missing; required
	Library     string        // path of libchdb.so, from [Library]; required
	Connections int           // queries at once through Handler, and as many through Transport; 16
	Queue       int           // queries that may wait for their turn, likewise; 256
	QueueWait   time.Duration // longest wait for one's turn; 30 s
	MaxBody     int64         // bytes of data in one INSERT, uncompressed; 512 MiB
	MaxQuery    int64         // bytes of text in one query; 16 MiB
	Log         *slog.Logger  // nothing is logged without it
}

func (o *Options) setDefaults() error {
	if o.Dir == "" || o.Library == "" {
		return errors.New("embedded ClickHouse: Dir and Library must be given")
	}
	if o.Connections <= 0 {
		o.Connections = 16
	}
	if o.Queue <= 0 {
		o.Queue = 256
	}
	if o.QueueWait <= 0 {
		o.QueueWait = 30 * time.Second
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 512 << 20
	}
	if o.MaxQuery <= 0 {
		o.MaxQuery = 16 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Engine is an open embedded ClickHouse. Its methods may be called from many
// goroutines.
type Engine struct {
	options Options
	lock    *flock.Flock
	port    *pool // of queries through Handler
	inside  *pool // of queries through Transport
	tmp     string
	about   about

	keeperMu sync.Mutex
	keeper   *conn // never runs a user's query: it keeps the engine alive and kills queries
	closeMu  sync.Mutex
	closed   bool
}

// about is what the engine says of itself.
type about struct{ displayName, version, timezone string }

// Open starts the engine on a data directory. Errors: [ErrLocked] when another
// process has the directory, [ErrAnotherEngine] when this process has an engine
// open, and whatever loading the library gave.
func Open(ctx context.Context, options Options) (*Engine, error) {
	if err := options.setDefaults(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", options.Dir, err)
	}
	options.Dir = dir
	lib, err := claim(options.Library, dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{options: options, tmp: filepath.Join(dir, "tmp")}
	if err := e.start(lib); err != nil {
		e.abandon()
		return nil, err
	}
	options.Log.Info("embedded ClickHouse is open", "dir", dir, "version", e.about.version)
	return e, nil
}

func (e *Engine) start(lib *library) (err error) {
	if e.lock, err = lockDir(e.options.Dir); err != nil {
		return err
	}
	config, err := prepareDir(e.options.Dir, e.tmp)
	if err != nil {
		return err
	}
	args := []string{"clickhouse", "--path=" + filepath.Join(e.options.Dir, "engine"), "--config-file=" + config}
	handle := dialGuarded(lib, args)
	if handle == nil {
		return fmt.Errorf("the embedded ClickHouse cannot open %s: look at the permissions, the free space, and whether a newer version wrote it", e.options.Dir)
	}
	e.keeper = &conn{lib: lib, handle: (*unsafe.Pointer)(handle), mark: "embedded keeper"}
	if err := e.keeper.configure("", nil); err != nil {
		return fmt.Errorf("embedded ClickHouse: %w", err)
	}
	if e.about, err = e.introduce(); err != nil {
		return fmt.Errorf("embedded ClickHouse: %w", err)
	}
	newPool := func(name string) *pool {
		return newPool(name, lib, args, e.options.Connections, e.options.Queue, e.options.QueueWait)
	}
	e.port, e.inside = newPool("port"), newPool("inside")
	return nil
}

// prepareDir makes the folders and the configuration file. The file keeps the
// engine from reading a config.xml that happens to lie in the working directory
// or in the user's home. The folder `metadata` must exist before the first
// start, else this version never starts the task that DROP … SYNC waits for
// (chdb-core pull request 173).
func prepareDir(dir, tmp string) (config string, err error) {
	if err := os.RemoveAll(tmp); err != nil { // leftovers of a process that was killed
		return "", fmt.Errorf("data directory %s: %w", dir, err)
	}
	for _, folder := range []string{tmp, filepath.Join(dir, "engine", "metadata")} {
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return "", fmt.Errorf("data directory %s: %w", dir, err)
		}
	}
	config = filepath.Join(dir, "config.xml")
	if err := os.WriteFile(config, []byte("<clickhouse></clickhouse>\n"), 0o600); err != nil {
		return "", fmt.Errorf("data directory %s: %w", dir, err)
	}
	return config, nil
}

func (e *Engine) introduce() (about, error) {
	res, err := e.keeper.run("SELECT displayName(), version(), timezone()", "TabSeparated", nil)
	if err != nil {
		return about{}, err
	}
	defer res.free()
	fields := strings.Split(strings.TrimSpace(string(res.bytes())), "\t")
	if len(fields) != 3 {
		return about{}, fmt.Errorf("unexpected answer %q", res.bytes())
	}
	return about{displayName: fields[0], version: fields[1], timezone: fields[2]}, nil
}

// Version is the ClickHouse version of the engine, as SELECT version() says.
func (e *Engine) Version() string { return e.about.version }

// closeGrace is how long Close goes on ending queries after its context ended.
const closeGrace = 5 * time.Second

// Close refuses new queries, waits for those in flight as long as ctx lasts,
// then ends the rest and closes the engine. When a query cannot be ended the
// connections stay open, because closing under a query would end the process;
// the error says so, and the process should leave.
func (e *Engine) Close(ctx context.Context) error {
	e.closeMu.Lock()
	defer e.closeMu.Unlock()
	if e.closed {
		return nil
	}
	err := e.drain(ctx)
	for deadline := time.Now().Add(closeGrace); err != nil; {
		if time.Now().After(deadline) {
			return fmt.Errorf("embedded ClickHouse at %s: %d queries do not end; the data is safe, let the process exit", e.options.Dir, e.port.running()+e.inside.running())
		}
		e.killAll()
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), killInterval)
		err = e.drain(again)
		cancel()
	}
	e.closed = true
	e.abandon()
	e.options.Log.Info("embedded ClickHouse is closed", "dir", e.options.Dir)
	return nil
}

// drain refuses new queries and waits for those in flight; it may be called again.
func (e *Engine) drain(ctx context.Context) error {
	e.port.refuse()
	e.inside.refuse()
	if err := e.port.close(ctx); err != nil {
		return err
	}
	return e.inside.close(ctx)
}

// abandon undoes what was done, in reverse order; the pools are empty by now.
func (e *Engine) abandon() {
	if e.keeper != nil {
		e.keeper.close()
	}
	if e.lock != nil {
		_ = e.lock.Unlock() // the process' end would release it as well
	}
	unclaim()
}

// kill ends the query that c runs, if it runs one that can be ended.
func (e *Engine) kill(c *conn) { e.killWhere("= " + quoteText(c.mark)) }

// markPrefix begins the log_comment of every connection that runs users' queries.
const markPrefix = "embedded connection "

func (e *Engine) killAll() { e.killWhere("LIKE '" + markPrefix + "%'") }

func (e *Engine) killWhere(condition string) {
	e.keeperMu.Lock()
	defer e.keeperMu.Unlock()
	if err := e.keeper.do("KILL QUERY WHERE Settings['log_comment'] " + condition + " ASYNC"); err != nil {
		e.options.Log.Warn("a query could not be ended", "error", err)
	}
}
