package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/gofrs/flock"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"reckoner/aggregator/disk"
	"reckoner/ledger"
)

// Ledger is what the aggregator needs of the ledger.
type Ledger interface {
	ledger.Writer
	ledger.Restorer
	ledger.Watcher
}

// Options are what an aggregator is made of. Everything is required unless it says otherwise.
type Options struct {
	Dir         string // of the local states; one process at a time owns it
	Log         ledger.Log
	Source      Source
	Group       Group
	Ledger      Ledger
	Publisher   Publisher
	Partitioner Partitioner
	Limits      Limits
	CacheBytes  int64         // memory for blocks of the local states
	BackoffMin  time.Duration // between attempts at something that failed
	BackoffMax  time.Duration
	// WriteTimeout bounds one attempt to insert, AnswerTimeout publishing awaited outcomes, DrainTimeout the last
	// flush of an orderly stop.
	WriteTimeout  time.Duration
	AnswerTimeout time.Duration
	DrainTimeout  time.Duration
	// RestoreDelay is how long a partition that comes without a local state waits for the process that has it to come
	// back, before it is restored from the ledger; 0: not at all.
	RestoreDelay time.Duration
	// WatchInterval is how often the ledger's checkpoints are held against the local states while nothing is flushed: a
	// flush looks by itself; 0: only a flush does.
	WatchInterval time.Duration
	Registerer    prometheus.Registerer
	Slog          *slog.Logger
	// At is called before every step of the commit order, for crash tests; nil otherwise.
	At func(step string)

	rules ruleSet // of a test that is another build; nil: those of this one
	files vfs.FS  // of a test whose disk is not the disk, except for Dir itself
}

// Aggregator works on the partitions that its group gives it.
type Aggregator struct {
	o       Options
	metrics *metrics
	starter *starter
	cache   *pebble.Cache
	disk    *disk.Guard
	lock    *flock.Flock
	status  *status

	mu      sync.Mutex
	open    map[int32]*partition // states stay open across generations
	onDisk  map[int32]int64      // states that are not open, with their next offset
	working bool                 // within a generation
}

// New returns an aggregator that holds its directory until Close.
func New(o Options) (*Aggregator, error) {
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	lock := flock.New(filepath.Join(o.Dir, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("state directory %s is in use by another aggregator: stop it, or choose another --data-dir", o.Dir)
	}
	if o.At == nil {
		o.At = func(string) {}
	}
	m := newMetrics(o.Registerer)
	cache := pebble.NewCache(o.CacheBytes)
	guard := disk.New(o.files, o.Dir, "move the directory to a larger one (--data-dir)", o.Slog)
	a := &Aggregator{
		o: o, metrics: m, cache: cache, disk: guard, lock: lock, open: make(map[int32]*partition), status: newStatus(m),
		starter: &starter{
			doubt: o.BackoffMax / 2,
			rules: o.rules,
			dir:   o.Dir, log: o.Log, of: o.Partitioner, source: o.Source, restorer: o.Ledger, watcher: o.Ledger,
			options: storeOptions{
				cache: cache, log: o.Slog, guard: guard, fs: o.files, metrics: m, memtable: memtableOf(o.Log.Partitions),
			},
			metrics: m, slog: o.Slog,
			vacancies: newVacancies(o.RestoreDelay, o.Slog),
		},
	}
	a.starter.progress = a.status.restoring
	a.onDisk = a.starter.find()
	if err := guard.Err(); err != nil {
		cache.Unref()
		return nil, errors.Join(err, lock.Unlock())
	}
	observeDisk(o.Registerer, o.Dir)
	return a, nil
}

// Run works until ctx ends, then finishes what is decided and leaves the group. It returns nil after an orderly stop,
// and an error when going on could not be right: whoever runs it starts the process again, and the log redelivers.
func (a *Aggregator) Run(ctx context.Context) error {
	// Membership outlives ctx by the last flush: leaving first would abandon it.
	member, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	defer context.AfterFunc(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if !a.working {
			leave()
		}
	})()
	err := a.o.Group.Run(member, func(gen context.Context, g Generation) error {
		if !a.enter(ctx) {
			leave()
			return nil
		}
		defer a.exit(ctx, leave)
		return a.guarded(func() error { return a.generation(ctx, gen, g) })
	})
	if disk.Ends(err) {
		return a.disk.Explain(err) // once, where it may be of every partition
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// enter and exit make sure that exactly one of a generation and the end of ctx leaves the group.
func (a *Aggregator) enter(ctx context.Context) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.working = ctx.Err() == nil
	return a.working
}

func (a *Aggregator) exit(ctx context.Context, leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.working = false
	if ctx.Err() != nil {
		leave()
	}
}

// guarded does the work of a generation. When the states cannot go on, it ends by itself at once; what hangs with them
// all the same must not keep the process from its end, and is left behind.
func (a *Aggregator) guarded(work func() error) error {
	var err error
	done := make(chan struct{})
	go func() { defer close(done); err = work() }()
	select {
	case <-done:
		return err
	case <-a.disk.Halted():
	}
	select {
	case <-done:
	case <-time.After(a.o.DrainTimeout):
	}
	return a.disk.Err()
}

// generation works on the partitions of one generation until it ends, or until stop ends and what was decided is
// settled. What is not settled then is abandoned: whoever owns the partition next decides it again.
func (a *Aggregator) generation(stop, gen context.Context, g Generation) error {
	numbers := g.Partitions()
	slices.Sort(numbers)
	a.status.begin(numbers)
	defer a.status.end()
	if err := a.release(numbers); err != nil {
		return err
	}
	a.starter.vacancies.keep(numbers)
	work, cancel := context.WithCancel(gen)
	defer cancel()
	defer context.AfterFunc(stop, cancel)()

	r := a.newRound(g)
	workers, working := errgroup.WithContext(work)
	for _, number := range numbers {
		workers.Go(func() error { return r.work(working, number) })
	}
	workers.Go(func() error { return a.healthyDisk(working) })
	drain := make(chan struct{})
	flushed := make(chan error, 1)
	go func() {
		defer cancel() // nobody decides what will not be written
		flushed <- r.flusher.run(gen, drain)
	}()
	err := workers.Wait()
	close(drain)
	err = errors.Join(err, <-flushed)
	a.abandon()
	return err
}

// healthyDisk waits until ctx ends, or returns why the states cannot go on: what finds that out may be at work in the
// background, and a partition without new records would not notice. Without partitions it alone keeps the generation.
func (a *Aggregator) healthyDisk(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.disk.Halted():
		return a.disk.Err()
	}
}

// release closes the states of partitions that this process no longer has. Their directories stay: should a partition
// come back, its state goes on from where it was.
func (a *Aggregator) release(keep []int32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for number := range a.open {
		if !slices.Contains(keep, number) {
			errs = append(errs, a.closeOpen(number))
		}
	}
	return errors.Join(errs...)
}

// releaseOne closes one state. The others may be in use by their workers.
func (a *Aggregator) releaseOne(number int32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closeOpen(number)
}

// closeOpen needs mu.
func (a *Aggregator) closeOpen(number int32) error {
	p := a.open[number]
	a.onDisk[number] = p.settledNext()
	delete(a.open, number)
	return p.close()
}

func (a *Aggregator) abandon() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.open {
		p.abandon()
	}
}

// partition returns the state of a partition, open, at the place where the log goes on.
func (a *Aggregator) partition(ctx context.Context, number int32) (*partition, error) {
	a.mu.Lock()
	p := a.open[number]
	a.mu.Unlock()
	if p != nil {
		// Another process may have worked on it between two generations, and the ledger may have been exchanged: the
		// start rule holds for a state that stayed open, too.
		if err := a.starter.check(ctx, p); err == nil {
			p.abandon() // it may have been stopped in mid-generation
			return p, nil
		} else if !errors.Is(err, errNoState) {
			return nil, err
		}
		if err := a.releaseOne(number); err != nil {
			return nil, err
		}
	}
	p, err := a.starter.start(ctx, number)
	if err != nil {
		return nil, err
	}
	a.starter.vacancies.filled(number)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[number] = p
	delete(a.onDisk, number)
	return p, nil
}

// Close closes the states and gives the directory back. Run must have returned.
func (a *Aggregator) Close() error {
	err := a.release(nil)
	a.cache.Unref()
	return errors.Join(err, a.lock.Unlock())
}
