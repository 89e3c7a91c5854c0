package aggregator

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
	"reckoner/ledger"
)

func TestStopDrainsThenLeaves(t *testing.T) {
	r := newRig(t, nil)
	n := int64(50)
	for offset := range n { // nobody waits
		r.log.add(testPartition, recordOf(t, offset, usage(accountIn(testPartition, 0), time.Duration(offset).String(), 1)))
	}
	r.begin(testPartition)
	eventually(t, "all decided", func() bool { return r.decided(testPartition) == n })
	if got := r.ledger.next(testPartition); got != 0 {
		t.Fatalf("flushed up to %d before the stop", got)
	}
	r.stop()
	if err := r.ended(); err != nil {
		t.Errorf("error %v", err)
	}
	<-r.group.left
	if r.atLeave.Next != n || r.a.Held()[testPartition] != n {
		t.Errorf("left at %d, held up to %d, want %d", r.atLeave.Next, r.a.Held()[testPartition], n)
	}
	must(t, r.ledger.complete())
}

// One who waits is answered at once where all was idle.
func TestWhoWaitsIsAnswered(t *testing.T) {
	r := newRig(t, nil)
	r.log.add(testPartition, recordOf(t, 0, usage(accountIn(testPartition, 0), "1", 1500, waits)))
	r.begin(testPartition)
	eventually(t, "settled", func() bool { return r.a.Held()[testPartition] == 1 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.said) != 1 {
		t.Fatalf("%d answers", len(r.said))
	}
	v, err := wire.DecodeVerdict(r.said[0].Value)
	must(t, err)
	if string(r.said[0].Key) != v.AccountID || v.ReplyTo != "ingest-1" || said(v) != "applied 1.5" {
		t.Errorf("answered %+v", v)
	}
}

func TestStopBeforeAnyGeneration(t *testing.T) {
	r := newRig(t, nil)
	r.stop()
	if err := r.ended(); err != nil {
		t.Errorf("error %v", err)
	}
	<-r.group.left
}

func TestStopBetweenGenerations(t *testing.T) {
	r := newRig(t, soon)
	n := r.fill(testPartition, 20)
	end := r.begin(testPartition)
	eventually(t, "all flushed", func() bool { return r.ledger.next(testPartition) == n })
	end()
	eventually(t, "the generation ended", func() bool { _, in := r.a.Status(); return !in })
	r.stop()
	if err := r.ended(); err != nil {
		t.Errorf("error %v", err)
	}
}

func TestStopWhileTheLedgerIsDown(t *testing.T) {
	r := newRig(t, func(o *Options) { soon(o); o.DrainTimeout = 20 * time.Millisecond })
	r.ledger.fault = func(*ledger.Batch) (*ledger.Batch, error) { return nil, errLedgerDown }
	r.fill(testPartition, 20)
	r.begin(testPartition)
	eventually(t, "the first attempt", func() bool { s, _ := r.a.Status(); return len(s) == 1 && errors.Is(s[0].Err, errLedgerDown) })
	r.stop()
	if err := r.ended(); err != nil {
		t.Errorf("error %v", err)
	}
	if got := r.a.Held()[testPartition]; got != 0 {
		t.Errorf("settled up to %d what was never written", got)
	}
}

func TestWhatCannotBeMendedEndsRun(t *testing.T) {
	broken := errors.New("no such column")
	r := newRig(t, soon)
	r.ledger.fault = func(*ledger.Batch) (*ledger.Batch, error) { return nil, ledger.MarkPermanent(broken) }
	r.fill(testPartition, 5)
	r.begin(testPartition)
	if err := r.ended(); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	<-r.group.left
}

// An outage of the ledger, or rows stored with the answer lost, are waited out in one generation.
func TestOutageOfTheLedgerIsWaitedOut(t *testing.T) {
	r := newRig(t, soon)
	tries := 0
	r.ledger.fault = func(b *ledger.Batch) (*ledger.Batch, error) {
		switch tries++; tries % 9 {
		case 1, 3, 6: // the rows, the totals after them, the checkpoint after both
			return b, errLedgerDown
		}
		return b, nil
	}
	n := r.fill(testPartition, 60)
	r.begin(testPartition)
	eventually(t, "all settled", func() bool { return r.a.Held()[testPartition] == n })
	must(t, r.ledger.complete())
}

// While the ledger is down nothing more is read than may be kept, and the lag goes on growing with the log.
func TestLagGrowsWhileTheLedgerIsDown(t *testing.T) {
	r := newRig(t, func(o *Options) { soon(o); o.Limits.RecordsMax = 10 })
	var down atomic.Bool
	down.Store(true)
	r.ledger.fault = func(b *ledger.Batch) (*ledger.Batch, error) {
		if down.Load() {
			return nil, errLedgerDown
		}
		return b, nil
	}
	r.fill(testPartition, 50)
	r.begin(testPartition)
	lag := func() int64 {
		s, _ := r.a.Status()
		if len(s) != 1 {
			return 0
		}
		return s[0].Lag()
	}
	eventually(t, "a lag", func() bool { return lag() == 50 })
	n := r.fill(testPartition, 500)
	eventually(t, "all of it is shown", func() bool { return lag() == n })
	if got := r.decided(testPartition); got >= 100 {
		t.Errorf("%d records were read that could not be written", got)
	}
	down.Store(false)
	eventually(t, "no lag", func() bool { return lag() == 0 })
	must(t, r.ledger.complete())
}

// A generation that ends in mid-flush abandons it; the next one decides the same again.
func TestEndOfGenerationThenTheNext(t *testing.T) {
	r := newRig(t, soon)
	writing, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.ledger.fault = func(b *ledger.Batch) (*ledger.Batch, error) {
		err := error(nil)
		once.Do(func() { close(writing); <-release; err = errLedgerDown })
		return b, err
	}
	n := r.fill(testPartition, 30)
	end := r.begin(testPartition)
	<-writing
	end()
	close(release)
	r.begin(testPartition)
	eventually(t, "all settled", func() bool { return r.a.Held()[testPartition] == n })
	must(t, r.ledger.complete())
}

// A member without partitions stays in its generation until it ends.
func TestGenerationWithoutPartitions(t *testing.T) {
	r := newRig(t, nil)
	end := r.begin()
	eventually(t, "in a generation", func() bool { _, in := r.a.Status(); return in })
	end()
	n := r.fill(testPartition, 5)
	r.begin(testPartition)
	eventually(t, "all decided", func() bool { return r.decided(testPartition) == n })
}

// A partition that newer rules stop leaves the others going, keeps what was decided before, and goes on once the log
// is mended.
func TestNewerRulesStopOnePartition(t *testing.T) {
	r := newRig(t, soon)
	good := r.fill(0, 40)
	a := accountIn(testPartition, 0)
	bad := recordOf(t, 2, usage(a, "3", 1, func(e *reckoner.Event) { e.Rules = reckoner.Rules + 1 }))
	r.log.add(testPartition, append(recordsOf(t, 0, usage(a, "1", 1), usage(a, "2", 1)), bad, recordOf(t, 3, usage(a, "4", 1)))...)
	r.begin(0, testPartition)
	eventually(t, "the others and what was before", func() bool {
		return r.a.Held()[0] == good && r.a.Held()[testPartition] == 2
	})
	eventually(t, "the reason is told", func() bool {
		s, _ := r.a.Status()
		return len(s) == 2 && errors.Is(s[1].Err, ErrNewerRules) && s[1].Next == 2
	})
	good = r.fill(0, 40)
	eventually(t, "the others go on", func() bool { return r.a.Held()[0] == good })
	r.log.change(func() { r.log.recs[testPartition][2] = recordOf(t, 2, usage(a, "3", 1)) })
	eventually(t, "it goes on", func() bool { return r.a.Held()[testPartition] == 4 })
	must(t, r.ledger.complete())
}

// Between two generations the log may have gone on without this process: what stayed open is restored.
func TestOpenStateThatTheLogLeftBehind(t *testing.T) {
	r := newRig(t, soon)
	n := r.fill(testPartition, 10)
	end := r.begin(testPartition)
	eventually(t, "all settled", func() bool { return r.a.Held()[testPartition] == n })
	end()
	eventually(t, "the generation ended", func() bool { _, in := r.a.Status(); return !in })

	other := &scene{t: t, log: r.log, ledger: r.ledger}
	n = r.fill(testPartition, 20)
	other.advance(other.starter(t.TempDir()), n)
	r.log.change(func() { r.log.first[testPartition] = n - 1 })
	r.begin(testPartition)
	eventually(t, "restored", func() bool { return r.a.Held()[testPartition] == n })
	n = r.fill(testPartition, 5)
	eventually(t, "goes on", func() bool { return r.a.Held()[testPartition] == n })
	must(t, r.ledger.complete())
}

// A state that turns out to be corrupt ends Run, because nothing that it says can be believed; the next process restores
// it from the ledger and goes on.
func TestCorruptStateEndsRunThenIsRestored(t *testing.T) {
	r := newRig(t, soon)
	a := accountIn(testPartition, 0)
	r.log.add(testPartition, recordOf(t, 0, usage(a, "1", 1000)))
	end := r.begin(testPartition)
	eventually(t, "settled", func() bool { return r.a.Held()[testPartition] == 1 })
	var k keys
	must(t, r.a.open[testPartition].store.db.Set(k.id(a, reckoner.Usage, "1"), []byte("nonsense"), pebble.Sync))
	r.log.add(testPartition, recordOf(t, 1, revert(a, "r", "1")))
	if err := r.ended(); !errors.Is(err, errState) || !errors.Is(err, errCorrupt) {
		t.Fatalf("error %v, want errCorrupt", err)
	}
	end()
	must(t, r.a.release(nil))

	other := &scene{t: t, log: r.log, ledger: r.ledger}
	other.advance(other.starter(r.a.o.Dir), 2)
	must(t, r.ledger.complete())
	if got := r.ledger.checkpoints[testPartition]; got.Entries != 2 {
		t.Errorf("the revert did not count: %+v", got)
	}
}

func TestDirectoryHasOneOwner(t *testing.T) {
	r := newRig(t, nil)
	o := r.a.o
	o.Registerer = prometheus.NewRegistry()
	if _, err := New(o); err == nil {
		t.Fatal("two aggregators own one directory")
	}
}

// A dead letter that no topic takes does not hold the partition: it goes without its contents.
func TestDeadLetterTooLarge(t *testing.T) {
	r := newRig(t, soon)
	r.a.o.Publisher = choosy{r}
	r.log.add(testPartition,
		Record{Offset: 0, Value: []byte("\xff small")},
		Record{Offset: 1, Key: []byte("key"), Value: make([]byte, 2000), Headers: []bus.Header{{Key: "reckoner-reason", Value: make([]byte, 2000)}}})
	r.begin(testPartition)
	eventually(t, "all settled", func() bool { return r.a.Held()[testPartition] == 2 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.dead) != 2 || string(r.dead[0].Value) != "\xff small" || len(r.dead[1].Value) != 0 || len(r.dead[1].Headers) != 4 {
		t.Fatalf("dead letters %+v", r.dead)
	}
	same(t, "header", bus.Header{Key: "reckoner-omitted", Value: []byte("2000")}, r.dead[1].Headers[3])
	same(t, "header", bus.Header{Key: "reckoner-position", Value: []byte("1/1/1.0")}, r.dead[1].Headers[1])
}

// choosy takes no record of a thousand bytes.
type choosy struct{ *rig }

func (c choosy) Produce(ctx context.Context, topic string, recs []bus.Record) error {
	for i, rec := range recs {
		n := len(rec.Key) + len(rec.Value)
		for _, h := range rec.Headers {
			n += len(h.Value)
		}
		if n >= 1000 {
			return &bus.TooLargeError{Index: i, Bytes: n, Max: 999}
		}
	}
	return c.rig.Produce(ctx, topic, recs)
}
