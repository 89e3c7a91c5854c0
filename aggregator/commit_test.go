package aggregator

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// script is a commit order whose steps are recorded, and fail where a test says so. A call that the test does not
// expect fails the test.
type script struct {
	t     *testing.T
	fails map[string]error
	mu    sync.Mutex
	did   []string
}

func (s *script) do(step string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, step)
	return s.fails[step]
}

func (s *script) order() *commitOrder {
	return &commitOrder{
		write: func(_ context.Context, rows *ledger.Batch, _ []ledger.Checkpoint) error {
			if len(rows.Checkpoints) == 0 {
				s.t.Error("wrote rows without a checkpoint")
			}
			return s.do(stepWrite)
		},
		bury: func(_ context.Context, dead []bus.Record) error {
			if len(dead) == 0 {
				s.t.Error("buried nothing")
			}
			return s.do(stepBury)
		},
		answer: func(_ context.Context, v []reckoner.Verdict) {
			if len(v) == 0 {
				s.t.Error("answered nobody")
			}
			_ = s.do(stepAnswer)
		},
		settle: func(p *partition) error { return errors.Join(s.do(stepSettle), p.settle()) },
		report: func(context.Context, map[int]int64) { _ = s.do(stepReport) },
		at:     func(step string) { _ = s.do("at " + step) },
	}
}

// sealedWith returns a partition whose sealed batch holds a dead letter and somebody who waits, as asked.
func sealedWith(t *testing.T, dead, waiting bool) []sealed {
	t.Helper()
	p, a := testPartitionOf(t), accountIn(testPartition, 0)
	e := usage(a, "1", 1)
	if waiting {
		waits(e)
	}
	recs := recordsOf(t, 0, e)
	if dead {
		recs = append(recs, Record{Offset: 1, Value: []byte("\xff")})
	}
	if _, err := p.decide(recs); err != nil {
		t.Fatal(err)
	}
	return []sealed{{p, p.seal()}}
}

func TestCommitOrder(t *testing.T) {
	down := errors.New("down")
	for _, tt := range []struct {
		name          string
		dead, waiting bool
		fails         string
		want          string
	}{
		{"write, bury, answer, settle, report", true, true, "", "at write, write, at bury, bury, at answer, answer, at settle, settle, at report, report, at done"},
		{"nobody buried when nothing is dead", false, true, "", "at write, write, at bury, at answer, answer, at settle, settle, at report, report, at done"},
		{"nobody answered when nobody waits", true, false, "", "at write, write, at bury, bury, at answer, at settle, settle, at report, report, at done"},
		{"write fails, then nothing", true, true, stepWrite, "at write, write"},
		{"bury fails, then nobody is answered and nothing settles", true, true, stepBury, "at write, write, at bury, bury"},
		{"settle fails, then nothing is reported", true, true, stepSettle, "at write, write, at bury, bury, at answer, answer, at settle, settle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{t: t, fails: map[string]error{tt.fails: down}}
			delete(s.fails, "")
			err := s.order().run(t.Context(), sealedWith(t, tt.dead, tt.waiting))
			if (tt.fails != "") != errors.Is(err, down) {
				t.Errorf("error %v", err)
			}
			if got := strings.Join(s.did, ", "); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// What goes out is all that was decided, once, and the offsets reported are those after it.
func TestCommitOrderCarriesEveryPartition(t *testing.T) {
	one := sealedWith(t, true, true)
	two := sealedWith(t, false, true)
	two[0].batch.checkpoint.Partition = 3
	s := &script{t: t}
	o := s.order()
	var rows ledger.Batch
	var next map[int]int64
	var dead []bus.Record
	var answered int
	o.write = func(_ context.Context, b *ledger.Batch, _ []ledger.Checkpoint) error { rows = *b; return nil }
	o.bury = func(_ context.Context, d []bus.Record) error { dead = d; return nil }
	o.answer = func(_ context.Context, v []reckoner.Verdict) { answered = len(v) }
	o.report = func(_ context.Context, n map[int]int64) { next = n }
	must(t, o.run(t.Context(), append(one, two...)))
	if len(rows.Entries) != 2 || len(rows.Refusals) != 1 || len(rows.Totals) != 2 || len(rows.Checkpoints) != 2 || answered != 2 {
		t.Errorf("rows %+v, %d answered", rows, answered)
	}
	same(t, "offsets", map[int]int64{testPartition: 2, 3: 1}, next)
	if len(dead) != 1 || string(dead[0].Value) != "\xff" {
		t.Fatalf("dead letters %+v", dead)
	}
	same(t, "headers", []bus.Header{
		{Key: "reckoner-reason", Value: []byte("not a protobuf reckoner.usage.v1.Event")},
		{Key: "reckoner-position", Value: []byte("1/1/1.0")},
		{Key: "reckoner-time", Value: []byte("0001-01-01T00:00:00.000Z")},
	}, dead[0].Headers)
}

// One partition that cannot settle keeps the offsets of all from being reported; the others settle all the same.
func TestOneFailedSettleReportsNothing(t *testing.T) {
	one, two := sealedWith(t, false, false), sealedWith(t, false, false)
	s := &script{t: t}
	o := s.order()
	o.settle = func(p *partition) error {
		if p == two[0].partition {
			return errState
		}
		return p.settle()
	}
	if err := o.run(t.Context(), append(one, two...)); !errors.Is(err, errState) {
		t.Errorf("error %v", err)
	}
	if one[0].partition.settledNext() != 1 || two[0].partition.settledNext() != 0 {
		t.Error("the wrong partition settled")
	}
	if got := strings.Join(s.did, ", "); strings.Contains(got, stepReport) {
		t.Errorf("did %s", got)
	}
}
