package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faults does things to the processes, one round after the other, and keeps a record of it.
type faults struct {
	t     *testing.T
	world *world
	load  *load
	rand  *rand.Rand

	loses  int                        // every so many rounds an aggregator loses its disk
	ends   map[int]int64              // of the log at the last kill
	frozen bool                       // Kafka is, or one of its brokers
	lost   int                        // disks so far
	read   int64                      // rows that were restored for them
	done   map[string]int             // what was done, how often
	kills  int                        // processes that ended by SIGKILL, by us or by themselves
	counts map[string][]time.Duration // from the kill until all that the log held then is in the ledger
	acks   map[string][]time.Duration // from the kill until every producer had begun another request that was acknowledged
	memory map[string]int64           // the most that a process ever held
}

func newFaults(t *testing.T, w *world, l *load, chance *rand.Rand, loses int) *faults {
	return &faults{
		t: t, world: w, load: l, rand: chance, loses: loses, done: make(map[string]int), counts: make(map[string][]time.Duration),
		acks: make(map[string][]time.Duration), memory: make(map[string]int64),
	}
}

// progressWithin is how long after a fault everything must go on. Nothing may be stuck.
const progressWithin = time.Minute

// round kills something, sometimes freezes something else meanwhile, and waits until everything goes on.
func (f *faults) round(n int) {
	t := f.t
	f.weigh()
	f.world.inSync(t)
	f.ends = f.world.ends(t)
	thaw := func() {}
	var what []string
	victim := f.victim(n)
	restored := func() {}
	if n%f.loses == 0 {
		restored = f.restoring(victim)
	}
	if f.rand.IntN(4) == 0 {
		var frozen string
		if frozen, thaw = f.freeze(victim); frozen != "" {
			what = append(what, frozen)
		}
	}
	name, began, did := f.hurt(n, victim)
	what = append(what, did)
	thaw()
	var acked time.Duration
	eventually(t, progressWithin, func() string {
		var all bool
		if acked, all = f.load.again(); !all {
			return "a producer is not acknowledged after " + did
		}
		return ""
	})
	eventually(t, progressWithin, func() string { return f.missing(did) })
	counted := time.Since(began)
	f.acks[name] = append(f.acks[name], acked)
	f.counts[name] = append(f.counts[name], counted)
	f.standing()
	restored()
	fmt.Fprintf(t.Output(), "round %d: %s; acknowledging after %s, all counted after %s; %d events acknowledged\n",
		n, strings.Join(what, ", "), round(acked), round(counted), f.load.acked.Load())
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// missing says what does not go on yet, and what the aggregators say of it.
func (f *faults) missing(did string) string {
	why := f.world.behind(f.ends)
	if why == "" {
		return ""
	}
	for _, p := range f.world.aggregates {
		status, body := get("http://" + p.ops + "/readyz")
		why += fmt.Sprintf("\n%s: %d %s", p.Name, status, strings.TrimSpace(body))
	}
	return "after " + did + ": " + why
}

// standing makes sure that nobody ended whom we did not end.
func (f *faults) standing() {
	w := f.world
	for _, p := range slices.Concat([]*process{w.engines}, w.aggregates, w.ingests) {
		if !p.Running() {
			f.t.Fatalf("%s ended by itself: %v\n%s", p.Name, p.State(), p.tail())
		}
	}
	if w.cluster != nil {
		w.cluster.Standing(f.t)
	}
}

// victim is whom a round hurts; nil is a broker of Apache Kafka.
func (f *faults) victim(n int) *process {
	w := f.world
	if n%f.loses == 0 {
		return w.aggregates[f.rand.IntN(len(w.aggregates))]
	}
	if w.cluster != nil && f.rand.IntN(3) == 0 {
		return nil
	}
	switch k := f.rand.IntN(10); {
	case k < 5:
		return w.aggregates[f.rand.IntN(len(w.aggregates))]
	case k < 8:
		return w.ingests[f.rand.IntN(len(w.ingests))]
	default:
		return w.engines
	}
}

// hurt ends a process and starts it again. It returns whose end it was, when it was, and what was done.
func (f *faults) hurt(n int, p *process) (name string, began time.Time, did string) {
	switch {
	case p == nil:
		return f.killLeader()
	case n%f.loses == 0:
		began, did = f.loseDisk(p)
	case p != f.world.engines && f.rand.IntN(2) == 0:
		began, did = f.crash(p)
	default:
		began, did = f.end(p)
	}
	return p.Name, began, did
}

// restoring returns what counts the rows that are restored from now on, after the end of a process.
func (f *faults) restoring(victim *process) func() {
	before := f.world.restored(f.t) - victim.metric(f.t, "reckoner_aggregator_restored_rows_total", "")
	return func() {
		f.world.allReady(f.t)
		f.read += f.world.restored(f.t) - before
	}
}

// loseDisk ends an aggregator and takes its states away.
func (f *faults) loseDisk(p *process) (time.Time, string) {
	began := f.kill(p)
	dir := filepath.Join(p.dir, "state")
	if states, err := os.ReadDir(dir); err != nil || len(states) == 0 {
		f.t.Errorf("%s has no states that it could lose: %v", p.Name, err)
	}
	must(f.t, os.RemoveAll(dir))
	f.lost++
	p.Start(f.t)
	return began, f.did("kill -9 and lose the disk of", p.Name)
}

// end ends a process, or two at once.
func (f *faults) end(p *process) (time.Time, string) {
	t := f.t
	if p.dir != "" && f.rand.IntN(5) == 0 {
		other := f.world.aggregates[f.rand.IntN(len(f.world.aggregates))]
		if other != p {
			f.kill(other)
			began := f.kill(p)
			other.Start(t)
			p.Start(t)
			f.did("kill -9", other.Name)
			return began, "at once " + other.Name + " and " + f.did("kill -9", p.Name)
		}
	}
	began := f.kill(p)
	if f.rand.IntN(3) == 0 {
		pause(time.Duration(f.rand.Int64N(int64(3 * time.Second)))) // the others go on without it
	}
	p.Start(t)
	return began, f.did("kill -9", p.Name)
}

// did keeps what was done to whom, for the report.
func (f *faults) did(what, name string) string {
	kind, _, _ := strings.Cut(name, "-")
	f.done[what+" "+kind]++
	return what + " " + name
}

func (f *faults) kill(p *process) time.Time {
	began := time.Now()
	p.Kill(f.t)
	f.load.fault(began)
	f.kills++
	f.mark(p)
	return began
}

// mark notes how far the log goes at the end of a process: progress is when all of that is counted.
func (f *faults) mark(p *process) {
	if p != f.world.engines && !f.frozen {
		f.ends = f.world.ends(f.t)
	}
}

// crash lets a process kill itself at a step of chance.
func (f *faults) crash(p *process) (time.Time, string) {
	steps := []string{
		"aggregator:write", "ledger:totals", "ledger:checkpoints", "aggregator:bury", "aggregator:answer", "aggregator:settle",
		"aggregator:report", "aggregator:done",
	}
	if p.dir == "" {
		steps = []string{"ingest:produce", "ingest:answer"}
	}
	at := fmt.Sprintf("%s:%d", steps[f.rand.IntN(len(steps))], 1+f.rand.IntN(12))
	f.kill(p)
	p.Start(f.t, "RECKONER_CRASH_AT="+at)
	var began time.Time
	what := f.did("crash", p.Name) + " at " + at
	if p.Dies(f.t, 8*time.Second) {
		began = time.Now()
		f.load.fault(began)
		f.kills++
		f.mark(p)
	} else {
		began = f.kill(p)
		what += ", which did not come: kill -9"
	}
	p.Start(f.t)
	return began, what
}

// freeze stops another process, an aggregator for longer than its session, and returns what wakes it up.
func (f *faults) freeze(but *process) (string, func()) {
	w := f.world
	if w.cluster != nil && but != nil && f.rand.IntN(3) == 0 { // never two brokers at once
		return f.freezeBroker()
	}
	all := slices.Concat([]*process{w.engines}, w.aggregates, w.ingests)
	p := all[f.rand.IntN(len(all))]
	if p == but {
		return "", func() {}
	}
	d := time.Duration(500+f.rand.IntN(2500)) * time.Millisecond
	if p.dir != "" {
		d = 3500 * time.Millisecond // the session is 2 s: it wakes up as one whose partitions others have
	}
	p.Signal(f.t, syscall.SIGSTOP)
	until := time.Now().Add(d)
	f.frozen = p == w.engines && w.cluster == nil
	return f.did("freeze", p.Name) + " for " + d.String(), func() {
		pause(time.Until(until))
		p.Signal(f.t, syscall.SIGCONT)
		f.frozen = false
	}
}

// weigh keeps the most memory that each kind of process ever held.
func (f *faults) weigh() {
	w := f.world
	for _, p := range slices.Concat([]*process{w.engines}, w.aggregates, w.ingests) {
		kind := strings.Split(p.Name, "-")[0]
		f.memory[kind] = max(f.memory[kind], p.Memory("VmHWM"))
	}
}

// report prints what was done to the system.
func (f *faults) report(rounds int, took time.Duration) {
	f.weigh()
	out := f.t.Output()
	fmt.Fprintf(out, "\n%d rounds in %s: %d processes ended by SIGKILL\n", rounds, took.Round(time.Second), f.kills)
	for _, what := range sorted(f.done) {
		fmt.Fprintf(out, "%4d x %s\n", f.done[what], what)
	}
	fmt.Fprintf(out, "disks lost: %d; rows restored for that: %d\n", f.lost, f.read)
	for _, name := range sorted(f.counts) {
		fmt.Fprintf(out, "%-12s acknowledging again after %s, all counted again after %s\n", name, spread(f.acks[name]), spread(f.counts[name]))
	}
	for _, kind := range sorted(f.memory) {
		fmt.Fprintf(out, "%-12s held %d MiB at most\n", kind, f.memory[kind]>>20)
		if kind != "engines" && f.memory[kind] > 1<<30 {
			f.t.Errorf("%s held %d MiB", kind, f.memory[kind]>>20)
		}
	}
	if f.lost != rounds/f.loses || f.read == 0 && f.lost > 5 { // others may hold an older state of the same partitions
		f.t.Errorf("%d disks were lost and %d rows restored in %d rounds", f.lost, f.read, rounds)
	}
	if f.kills < rounds {
		f.t.Errorf("%d kills in %d rounds", f.kills, rounds)
	}
}

func spread(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("%s (median of %d; most %s)", round(all[len(all)/2]), len(all), round(all[len(all)-1]))
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
