package aggregator

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"reckoner"
	"reckoner/ledger"
)

// How many seeds the simulation runs, and which one alone.
const (
	simSeeds = "RECKONER_SIM_SEEDS"
	simSeed  = "RECKONER_SIM_SEED"
)

// TestSimulation runs worlds of chance to their end; then the ledger is what the naive model says, bit by bit what a
// world without faults has, and every state and every restored state is the same.
func TestSimulation(t *testing.T) {
	from, n := uint64(0), uint64(simSeedsDefault)
	if v := os.Getenv(simSeeds); v != "" {
		var err error
		n, err = strconv.ParseUint(v, 10, 32)
		must(t, err)
	}
	if v := os.Getenv(simSeed); v != "" {
		var err error
		from, err = strconv.ParseUint(v, 10, 64)
		must(t, err)
		n = 1
	}
	for seed := from; seed < from+n; seed++ {
		t.Run(fmt.Sprintf("%s=%d", simSeed, seed), func(t *testing.T) { // the name is how to run it alone
			t.Parallel()
			simulate(t, seed)
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	s := newSim(t, seed, false)
	s.ledger.fault = s.fault
	for range 40 + s.rng.IntN(80) {
		s.act()
	}
	s.finish()
	s.holdsTheModel()

	calm := newSim(t, seed, true)
	calm.log = s.log
	for _, p := range calm.procs {
		p.starter.source = s.log
	}
	calm.finish()
	same(t, "entries, beside a run without faults", calm.ledger.entries, s.ledger.entries)
	same(t, "refusals, beside a run without faults", calm.ledger.refusals, s.ledger.refusals)
	same(t, "totals, beside a run without faults", calm.ledger.totals, s.ledger.totals)
	same(t, "checkpoints, beside a run without faults", calm.ledger.checkpoints, s.ledger.checkpoints)
	want := calm.digests(calm.procs[0])
	for _, p := range s.procs {
		same(t, "digests of a state that lived through it", want, s.digests(p))
	}
	lost := s.procs[0]
	lost.kill(s.blank())
	same(t, "digests of a restored state", want, s.digests(lost))
	for _, p := range append(s.procs, calm.procs...) {
		p.leave()
	}
}

func (s *sim) holdsTheModel() {
	s.t.Helper()
	totals := make(map[ledger.TotalKey]ledger.Total)
	for _, n := range simPartitions() {
		m := newModel(int(n))
		for _, g := range s.made[n] {
			want := m.step(g.rec.Offset, string(g.rec.Key), g.e, g.broken)
			if got := s.outcomeAt(m.position(g.rec.Offset)); got != want.outcome {
				s.t.Fatalf("partition %d, offset %d: %s, want %s", n, g.rec.Offset, got, want.outcome)
			}
		}
		maps.Copy(totals, m.totals())
	}
	same(s.t, "totals, beside the model's", totals, s.ledger.totals)
}

// outcomeAt returns what the ledger has at a position.
func (s *sim) outcomeAt(p reckoner.Position) string {
	found := ""
	for k, e := range s.ledger.entries {
		if k.position == p {
			found += e.Outcome.String()
		}
	}
	for k, r := range s.ledger.refusals {
		if k.position == p {
			found += r.Outcome.String()
		}
	}
	return found
}

// act lets one thing happen.
func (s *sim) act() {
	p, n := s.procs[s.rng.IntN(len(s.procs))], simPartitions()[s.rng.IntN(2)]
	switch s.rng.IntN(20) {
	case 0, 1, 2:
		s.grow(n)
	case 3, 4, 5, 6, 7, 8:
		p.work(n, 1+s.rng.IntN(12))
	case 9, 10, 11, 12:
		p.flush(true)
	case 13, 14:
		p.endGeneration()
	case 15:
		p.leave()
	case 16, 17:
		p.crash()
	case 18:
		if s.rng.IntN(2) == 0 {
			p.kill(s.blank())
		}
	case 19:
		s.deliver()
	}
	if err := s.ledger.complete(); err != nil {
		s.t.Fatal(err)
	}
}

// grow appends to the log; the generator repeats events, as a producer does that got no answer.
func (s *sim) grow(n int32) {
	for range 1 + s.rng.IntN(12) {
		g := s.gens[n].next(int64(len(s.made[n])))
		s.made[n] = append(s.made[n], g)
		s.log.add(n, g.rec)
	}
}

// deliver lets a write arrive that its writer gave up long ago.
func (s *sim) deliver() {
	if len(s.late) == 0 {
		return
	}
	i := s.rng.IntN(len(s.late))
	s.ledger.store(s.late[i])
	s.late = append(s.late[:i], s.late[i+1:]...)
}

// work decides some records of a partition. Both processes may work on it at once, from states of different age.
func (p *simProc) work(n int32, records int) {
	part := p.open[n]
	if part == nil {
		var err error
		part, err = p.starter.start(p.sim.t.Context(), n)
		if errors.Is(err, errLedgerDown) { // tried again, from a ledger that holds or that breaks again
			p.starter.restorer = p.sim.restorer()
			return
		}
		must(p.sim.t, err)
		p.open[n] = part
	}
	recs := p.sim.log.recs[n][part.next():]
	_, err := part.decide(recs[:min(records, len(recs))])
	must(p.sim.t, err)
}

// flush takes what was decided through the commit order, with the faults of chance.
func (p *simProc) flush(faults bool) {
	p.flusher.partitions = nil
	for _, n := range simPartitions() {
		if part := p.open[n]; part != nil {
			p.flusher.join(part)
		}
	}
	if faults {
		p.arm()
	}
	err := p.tryFlush()
	switch {
	case errors.Is(err, errCrash):
		p.crash()
	case errors.Is(err, errLedgerDown):
		p.endGeneration()
	default:
		must(p.sim.t, err)
	}
	p.crashAt, p.dying = "", nil
}

func (p *simProc) arm() {
	steps := []string{stepWrite, stepBury, stepAnswer, stepSettle, stepReport, stepDone}
	if p.sim.chance(4) {
		p.crashAt = steps[p.sim.rng.IntN(len(steps))]
	}
	if p.sim.chance(8) {
		p.dying = map[int32]bool{simPartitions()[p.sim.rng.IntN(2)]: true}
	}
}

func (p *simProc) tryFlush() (err error) {
	defer func() {
		r := recover()
		if thrown, ok := r.(error); ok && errors.Is(thrown, errCrash) {
			err = errCrash
		} else if r != nil {
			panic(r)
		}
	}()
	return p.flusher.flush(p.sim.t.Context())
}

// endGeneration forgets what is not settled, and holds every open state to the start rule.
func (p *simProc) endGeneration() {
	for _, n := range simPartitions() {
		part := p.open[n]
		if part == nil {
			continue
		}
		part.abandon()
		err := p.starter.check(p.sim.t.Context(), part)
		must(p.sim.t, err)
	}
}

// leave closes all states, as when the partitions go elsewhere.
func (p *simProc) leave() {
	for _, part := range p.open {
		must(p.sim.t, part.close())
	}
	clear(p.open)
}

// crash loses what was not synced, or some of it.
func (p *simProc) crash() {
	chance := rand.New(rand.NewPCG(p.sim.rng.Uint64(), 2)) // of its own: how much it is asked depends on the disk
	p.kill(p.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p.sim.rng.IntN(101), RNG: chance}))
}

// kill ends the process and starts it anew with a disk.
func (p *simProc) kill(disk *vfs.MemFS) {
	p.leave()
	p.boot(disk)
}

// finish ends the faults, and lets every process work to the end of the log.
func (s *sim) finish() {
	s.calm = true
	for _, p := range s.procs {
		p.starter.restorer = s.ledger
		for _, n := range simPartitions() {
			p.work(n, len(s.log.recs[n]))
		}
		p.flush(false)
		for len(s.late) > 0 {
			s.deliver()
		}
	}
	must(s.t, s.ledger.complete())
}

// digests returns those of a process's states, opened where they are not.
func (s *sim) digests(p *simProc) map[int32]uint64 {
	got := make(map[int32]uint64)
	for _, n := range simPartitions() {
		p.work(n, 0)
		if next, want := p.open[n].settledNext(), int64(len(s.log.recs[n])); next != want {
			s.t.Fatalf("partition %d is at %d of %d", n, next, want)
		}
		d, err := p.open[n].store.digest()
		must(s.t, err)
		got[n] = d
	}
	return got
}
