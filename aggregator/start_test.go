package aggregator

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// scene is a log, a ledger and a directory of states.
type scene struct {
	t      *testing.T
	log    *memLog
	ledger *memLedger
	s      *starter
}

func newScene(t *testing.T) *scene {
	sc := &scene{t: t, log: newMemLog(), ledger: newMemLedger(t)}
	sc.s = sc.starter(t.TempDir())
	rng := rand.New(rand.NewPCG(7, 7))
	g := &generator{t: t, partition: testPartition, pick: rng.IntN}
	for offset := range int64(60) {
		sc.log.add(testPartition, g.next(offset).rec)
	}
	return sc
}

func (sc *scene) starter(dir string) *starter {
	return &starter{
		dir: dir, log: testLog(), of: bus.PartitionFor, source: sc.log, restorer: sc.ledger, watcher: sc.ledger,
		options: testOptions(sc.t), metrics: testMetrics(), slog: quiet(),
	}
}

// advance takes the state, and the ledger with it, to an offset.
func (sc *scene) advance(s *starter, to int64) {
	sc.t.Helper()
	p, err := s.start(sc.t.Context(), testPartition)
	must(sc.t, err)
	for p.next() < to {
		_, err := p.decide(sc.log.recs[testPartition][p.next():min(to, p.next()+9)])
		must(sc.t, err)
		var rows ledger.Batch
		p.seal().appendTo(&rows)
		must(sc.t, sc.ledger.Write(sc.t.Context(), &rows))
		must(sc.t, p.settle())
	}
	must(sc.t, p.close())
}

func (sc *scene) dir() string { return sc.s.path(testPartition) }

// otherRecord replaces a record of the log, as after a topic was made anew.
func (sc *scene) otherRecord(offset int) {
	sc.log.recs[testPartition][offset] = Record{Offset: int64(offset), Key: []byte("another"), Value: []byte("record")}
}

// startCase is a case of the start rule. Each begins with the state at 40 and the ledger at 60, and the log from 0 to 60.
type startCase struct {
	name     string
	change   func(sc *scene)
	next     int64 // where it goes on, when there is no error
	restored bool
	err      error
}

func startCases() []startCase {
	return []startCase{
		{"state behind the ledger", func(*scene) {}, 40, false, nil},
		{"state equal to the ledger", func(sc *scene) { sc.advance(sc.s, 60) }, 60, false, nil},
		{"state ahead of the ledger", func(sc *scene) {
			sc.ledger.checkpoints[testPartition] = ledger.Checkpoint{Log: 1, Partition: testPartition, Next: 9, RecordHash: hashOf(sc, 8)}
		}, 0, false, ErrLedgerBehind},
		{"ledger emptied", func(sc *scene) { clear(sc.ledger.checkpoints) }, 0, false, ErrLedgerBehind},
		{"state equal in offset, other in counts", func(sc *scene) {
			sc.advance(sc.s, 60)
			c := sc.ledger.checkpoints[testPartition]
			c.EntriesDigest++
			sc.ledger.checkpoints[testPartition] = c
		}, 0, false, ErrLedgerMismatch},
		{"state missing", func(sc *scene) { must(sc.t, os.RemoveAll(sc.dir())) }, 60, true, nil},
		{"state of another cluster", func(sc *scene) { sc.s.log.RegisteredAt = day() }, 60, true, nil},
		{"state corrupt", func(sc *scene) {
			files, err := filepath.Glob(filepath.Join(sc.dir(), "MANIFEST-*"))
			must(sc.t, err)
			for _, f := range files {
				must(sc.t, os.Truncate(f, 1))
			}
		}, 60, true, nil},
		{"state whole, but not in its place", func(sc *scene) { must(sc.t, os.Rename(sc.dir(), sc.dir()+buildingDir)) }, 40, true, nil},
		{"nothing anywhere", func(sc *scene) { must(sc.t, os.RemoveAll(sc.dir())); clear(sc.ledger.checkpoints) }, 0, true, nil},
		{"nothing anywhere, log truncated", func(sc *scene) {
			must(sc.t, os.RemoveAll(sc.dir()))
			clear(sc.ledger.checkpoints)
			sc.log.first[testPartition] = 1
		}, 0, false, ErrLogTruncated},
		{"log begins at the state", func(sc *scene) { sc.log.first[testPartition] = 40 }, 40, false, nil},
		{"log begins behind the state", func(sc *scene) { sc.log.first[testPartition] = 41 }, 60, true, nil},
		{"log begins at the ledger's checkpoint", func(sc *scene) { sc.log.first[testPartition] = 60 }, 60, true, nil},
		{"log truncated past the ledger's checkpoint", func(sc *scene) {
			sc.log.add(testPartition, Record{Offset: 60})
			sc.log.first[testPartition] = 61
		}, 0, false, ErrLogTruncated},
		{"log shorter than the ledger", func(sc *scene) { sc.log.recs[testPartition] = sc.log.recs[testPartition][:59] }, 0, false, ErrLogShort},
		{"log emptied", func(sc *scene) { sc.log.recs[testPartition] = nil }, 0, false, ErrLogShort},
		{"log with another record before the ledger's checkpoint", func(sc *scene) { sc.otherRecord(59) }, 0, false, ErrLogChanged},
		{"log with another record before the state", func(sc *scene) { sc.otherRecord(39) }, 0, false, ErrLogChanged},
		{"log changed, state missing", func(sc *scene) { must(sc.t, os.RemoveAll(sc.dir())); sc.otherRecord(59) }, 0, false, ErrLogChanged},
		{"ledger misses an entry", func(sc *scene) {
			must(sc.t, os.RemoveAll(sc.dir()))
			for k := range sc.ledger.entries {
				delete(sc.ledger.entries, k)
				break
			}
		}, 0, false, ErrLedgerMismatch},
	}
}

func TestStartRule(t *testing.T) {
	for _, tt := range startCases() {
		t.Run(tt.name, func(t *testing.T) {
			sc := newScene(t)
			sc.advance(sc.s, 40)
			sc.advance(sc.starter(t.TempDir()), 60)
			tt.change(sc)
			p, err := sc.s.start(t.Context(), testPartition)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				if !final(err) && !errors.Is(err, ErrLedgerMismatch) {
					t.Errorf("%v is not final", err)
				}
				return
			}
			if p.next() != tt.next {
				t.Errorf("goes on at %d, want %d", p.next(), tt.next)
			}
			must(t, p.close())
			if _, err := os.Stat(sc.dir() + buildingDir); tt.restored && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("what was built was not moved: %v", err)
			}
		})
	}
}

func hashOf(sc *scene, offset int) uint64 {
	rec := sc.log.recs[testPartition][offset]
	return ledger.RecordHash(rec.Key, rec.Value)
}

// A restored state is the lost one, bit by bit, whatever was in pieces when it was lost, and goes on as it would have.
func TestRestoredStateIsTheLostOne(t *testing.T) {
	sc := newScene(t)
	sc.advance(sc.s, 60)
	want := digestOf(t, sc.s)
	half := ledger.Batch{Entries: []ledger.Entry{{Position: reckoner.Position{Log: 1, Partition: testPartition, Offset: 60}, AccountID: "half a batch"}}}
	sc.ledger.store(&half)
	other := sc.starter(t.TempDir())
	p, err := other.start(t.Context(), testPartition)
	must(t, err)
	must(t, p.close())
	if got := digestOf(t, other); got != want {
		t.Errorf("digest %x, the lost state had %x", got, want)
	}
	same(t, "held", map[int32]int64{testPartition: 60}, other.find())
}

func digestOf(t testing.TB, s *starter) uint64 {
	t.Helper()
	st, err := openStore(s.path(testPartition), s.log, testPartition, s.options)
	must(t, err)
	d, err := st.digest()
	must(t, err)
	mustClose(t, st)
	return d
}

// An open state is held to the same rule when a generation begins.
func TestCheckOfAnOpenState(t *testing.T) {
	sc := newScene(t)
	sc.advance(sc.s, 60)
	p, err := sc.s.start(t.Context(), testPartition)
	must(t, err)
	t.Cleanup(func() { must(t, p.close()) })
	must(t, sc.s.check(t.Context(), p))
	sc.otherRecord(59)
	if err := sc.s.check(t.Context(), p); !errors.Is(err, ErrLogChanged) {
		t.Errorf("error %v, want ErrLogChanged", err)
	}
	clear(sc.ledger.checkpoints)
	sc.log.first[testPartition] = 60
	if err := sc.s.check(t.Context(), p); !errors.Is(err, ErrLedgerBehind) {
		t.Errorf("error %v, want ErrLedgerBehind", err)
	}
}

// forgetful is a log that answers with an old end some times before it tells the truth.
type forgetful struct {
	Source
	lies int
}

func (f *forgetful) Offsets(ctx context.Context, partition int32) (first, next int64, err error) {
	first, next, err = f.Source.Offsets(ctx, partition)
	if f.lies > 0 {
		f.lies--
		return first, 0, err
	}
	return first, next, err
}

func TestALogThatSeemsShortIsAskedAgain(t *testing.T) {
	sc := newScene(t)
	sc.advance(sc.s, 40)
	sc.s.source, sc.s.doubt = &forgetful{Source: sc.log, lies: 3}, 10*time.Millisecond
	p, err := sc.s.start(t.Context(), testPartition)
	must(t, err)
	must(t, p.close())
	sc.s.source = &forgetful{Source: sc.log, lies: 1 << 30}
	if _, err := sc.s.start(t.Context(), testPartition); !errors.Is(err, ErrLogShort) {
		t.Errorf("a log that is short for good: %v", err)
	}
}
