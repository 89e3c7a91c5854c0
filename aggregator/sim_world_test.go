package aggregator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// sim is a world made of two processes, two partitions and one ledger, in which everything that can happen does: all
// chance comes from its seed. Real state stores live on file systems that lose what was not synced.
type sim struct {
	t      *testing.T
	rng    *rand.Rand
	calm   bool // no faults
	log    *memLog
	ledger *memLedger
	cache  *pebble.Cache
	procs  []*simProc
	late   []*ledger.Batch // writes that are on their way though their writer gave up
	made   map[int32][]generated
	gens   map[int32]*generator
}

func simPartitions() []int32 { return []int32{0, 1} }

// simProc is one process: its disk, its open states and its flusher.
type simProc struct {
	sim     *sim
	fs      *vfs.MemFS
	starter *starter
	flusher *flusher
	open    map[int32]*partition
	crashAt string         // the step before which the process dies
	dying   map[int32]bool // partitions that do not settle, because the process dies meanwhile
}

// errCrash is the end of a process.
var errCrash = errors.New("the process died")

func newSim(t *testing.T, seed uint64, calm bool) *sim {
	s := &sim{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), calm: calm, log: newMemLog(), ledger: newMemLedger(t),
		cache: pebble.NewCache(1 << 20), made: make(map[int32][]generated), gens: make(map[int32]*generator),
	}
	t.Cleanup(s.cache.Unref)
	for range 2 {
		p := &simProc{sim: s}
		p.boot(s.blank())
		s.procs = append(s.procs, p)
	}
	for _, n := range simPartitions() {
		s.gens[n] = &generator{t: t, partition: int(n), pick: s.rng.IntN}
	}
	return s
}

// blank is a new disk.
func (s *sim) blank() *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	must(s.t, fs.MkdirAll("state/log-1", 0o750))
	for _, dir := range []string{"/", "state"} {
		must(s.t, syncDir(fs, dir))
	}
	return fs
}

// boot starts the process anew on a disk.
func (p *simProc) boot(fs *vfs.MemFS) {
	s := p.sim
	p.fs, p.open, p.crashAt, p.dying = fs, make(map[int32]*partition), "", nil
	p.starter = &starter{
		dir: "state", log: testLog(), of: bus.PartitionFor, source: s.log, restorer: s.restorer(), watcher: s.ledger, metrics: testMetrics(), slog: quiet(),
		batchRows: 4, bulkRows: 12,
		options: storeOptions{cache: s.cache, log: quiet(), fs: fs, memtable: 64 << 10},
	}
	p.flusher = &flusher{budget: newBudget(testLimits()), now: day, settled: func([]sealed, time.Time) {}, order: commitOrder{
		write: p.write, settle: p.settle, at: p.at,
		bury:   func(context.Context, []bus.Record) error { return p.maybe(errLedgerDown) },
		answer: func(context.Context, []reckoner.Verdict) {},
		report: func(context.Context, map[int]int64) {},
	}}
}

// maybe is a fault that ends the generation, seldom.
func (p *simProc) maybe(err error) error {
	if p.sim.chance(20) {
		return err
	}
	return nil
}

// restorer is the ledger, which breaks off a restore after some rows, now and then.
func (s *sim) restorer() ledger.Restorer {
	if s.chance(2) {
		return &brittle{memLedger: s.ledger, left: s.rng.IntN(20)}
	}
	return s.ledger
}

func (s *sim) chance(in int) bool { return !s.calm && s.rng.IntN(in) == 0 }

func (p *simProc) at(step string) {
	if step == p.crashAt {
		panic(errCrash)
	}
}

func (p *simProc) settle(part *partition) error {
	if p.dying[part.machine.number] {
		return errCrash
	}
	return part.settle()
}

// write tries as the process does: again and again, until it works or the generation ends. Deciding goes on meanwhile.
func (p *simProc) write(ctx context.Context, b *ledger.Batch, _ []ledger.Checkpoint) error {
	for {
		if p.sim.chance(2) {
			p.work(simPartitions()[p.sim.rng.IntN(2)], 1+p.sim.rng.IntN(6))
		}
		err := p.sim.ledger.Write(ctx, b)
		if err == nil || p.sim.chance(3) {
			return err
		}
	}
}

// fault is what the ledger makes of a write.
func (s *sim) fault(b *ledger.Batch) (*ledger.Batch, error) {
	if !s.chance(4) {
		return b, nil
	}
	switch s.rng.IntN(4) {
	case 0:
		return nil, errLedgerDown
	case 1:
		return b, errLedgerDown // stored, and the answer lost
	case 2:
		s.late = append(s.late, cloneBatch(b)) // stored later, or while the writer's successor writes
		return nil, errLedgerDown
	default:
		return s.part(b), errLedgerDown
	}
}

// part is what is stored of a batch when it fails in the middle: tables in their order, each in part.
func (s *sim) part(b *ledger.Batch) *ledger.Batch {
	b = cloneBatch(b)
	slices.SortFunc(b.Totals, func(x, y ledger.Total) int { return strings.Compare(fmt.Sprint(x), fmt.Sprint(y)) }) // they come in no order
	part := &ledger.Batch{Entries: some(s, b.Entries), Refusals: some(s, b.Refusals)}
	if s.rng.IntN(2) == 0 {
		part.Entries, part.Refusals = b.Entries, b.Refusals
		part.Totals = some(s, b.Totals)
	}
	return part
}

func some[T any](s *sim, rows []T) []T {
	rows = slices.Clone(rows)
	s.rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows[:s.rng.IntN(len(rows)+1)]
}

func cloneBatch(b *ledger.Batch) *ledger.Batch {
	return &ledger.Batch{
		Entries: slices.Clone(b.Entries), Refusals: slices.Clone(b.Refusals),
		Totals: slices.Clone(b.Totals), Checkpoints: slices.Clone(b.Checkpoints),
	}
}
