package aggregator

import (
	"testing"

	"pgregory.net/rapid"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// trial steps the machine and the model side by side.
type trial struct {
	t *rapid.T
	m *machine
	b *batch
	n *model
}

// Every record, whatever came before it, must be decided as the naive model decides it: outcome, quantity, row, totals,
// what is left of every limit, counts and digests.
func TestMachineDecidesAsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tr := &trial{t: rt, m: testMachine(), n: newModel(testPartition)}
		tr.b = emptyBatch()
		choose := rapid.IntRange(0, 1<<20)
		g := &generator{t: t, partition: testPartition, pick: func(n int) int { return choose.Draw(rt, "pick") % n }}
		for offset := range int64(rapid.IntRange(1, 60).Draw(rt, "records")) {
			tr.step(g.next(offset))
			if g.pick(10) == 0 { // as when a batch is sealed
				tr.b = tr.b.onTop()
			}
		}
		tr.everyTotal()
	})
}

func (tr *trial) step(r generated) {
	offset := r.rec.Offset
	f, err := tr.m.step(tr.b, &r.rec)
	if err != nil {
		tr.t.Fatalf("offset %d: %v", offset, err)
	}
	if (f.entry == nil) == (f.refusal == nil) {
		tr.t.Fatalf("offset %d: not in exactly one of entries and refusals", offset)
	}
	tr.b.add(&r.rec, &f)
	tr.b.hashed(&r.rec)
	want := tr.n.step(offset, string(r.rec.Key), r.e, r.broken)
	if f.entry != nil {
		tr.n.sum(offset, want, f.entry.AccountID, f.entry.EventID)
		tr.same("entry", tr.entry(r, want), *f.entry)
	} else {
		tr.n.sum(offset, want, f.refusal.AccountID, f.refusal.EventID)
		tr.same("refusal", tr.refusal(r, want, f.refusal), *f.refusal)
	}
	tr.verdict(r, want, f.verdict)
	if f.dead != r.broken {
		tr.t.Fatalf("offset %d: dead letter %v, broken %v", offset, f.dead, r.broken)
	}
	tr.checkpoint(r)
	if want.use != nil {
		tr.totalOf(want.use)
		tr.limitOf(r.e, want)
	}
}

func (tr *trial) same(what string, want, got any) {
	tr.t.Helper()
	if d := diff(want, got); d != "" {
		tr.t.Fatalf("%s: (-want +got)\n%s", what, d)
	}
}

// entry is the row of an event that counts, by the columns' descriptions in the ledger's contract.
func (tr *trial) entry(r generated, s modelStep) ledger.Entry {
	e, u := r.e, s.use
	if u == nil {
		tr.t.Fatalf("offset %d: an entry where the model has %s", r.rec.Offset, s.outcome)
	}
	return ledger.Entry{
		Position: tr.n.position(r.rec.Offset), AccountID: e.AccountID, OrganizationID: e.OrganizationID, ProjectID: e.ProjectID,
		SubscriptionID: u.e.SubscriptionID, Meter: u.e.Meter.Name, MeterType: u.e.Meter.Type, EventID: e.ID, Kind: e.Kind,
		Type: u.e.Type, UsageID: e.Written.UsageID, Quantity: quantity(s.quantity), Requested: e.Written.Quantity,
		Outcome: outcome(tr.t, s.outcome), Period: u.e.Period, Bucket: u.bucket(), UsageTime: u.e.UsageTime,
		ReceivedAt: e.ReceivedAt, UpdatedAt: e.UpdatedAt, Source: e.Written.Source, Metadata: e.Metadata, Limit: e.Limit,
		Fingerprint: e.Fingerprint(), Rules: 1,
	}
}

// refusal is the row of an event that does not count. Of a broken record only what any row needs is expected here; its
// texts have a test of their own. The reason is for people.
func (tr *trial) refusal(r generated, s modelStep, got *ledger.Refusal) ledger.Refusal {
	want := ledger.Refusal{Position: tr.n.position(r.rec.Offset), Outcome: outcome(tr.t, s.outcome), Reason: got.Reason}
	if got.Reason == "" {
		tr.t.Fatalf("offset %d: refused without a reason", r.rec.Offset)
	}
	if r.broken {
		want.ReceivedAt, want.AccountID = r.rec.Time, string(r.rec.Key)
		w := *got
		w.Position, w.Outcome, w.ReceivedAt, w.AccountID = want.Position, want.Outcome, want.ReceivedAt, want.AccountID
		return w
	}
	e := r.e
	want.AccountID, want.OrganizationID, want.ProjectID = e.AccountID, e.OrganizationID, e.ProjectID
	want.SubscriptionID, want.Meter, want.MeterType = e.SubscriptionID, e.Meter.Name, e.Meter.Type
	want.EventID, want.Kind, want.Type, want.UsageID = e.ID, e.Kind, e.Type, e.Written.UsageID
	want.Requested, want.UsageTime, want.ReceivedAt = e.Written.Quantity, e.UsageTime, e.ReceivedAt
	want.Source, want.Fingerprint, want.Rules = e.Written.Source, e.Fingerprint(), e.Rules
	return want
}

func (tr *trial) verdict(r generated, s modelStep, got *reckoner.Verdict) {
	if r.broken {
		return // who gets one has a test of its own
	}
	if r.e.ReplyTo == "" {
		if got != nil {
			tr.t.Fatalf("offset %d: a verdict that nobody waits for", r.rec.Offset)
		}
		return
	}
	want := &reckoner.Verdict{
		ReplyTo: r.e.ReplyTo, AccountID: r.e.AccountID, Kind: r.e.Kind, ID: r.e.ID, Outcome: outcome(tr.t, s.outcome),
		First: outcome(tr.t, s.first), Quantity: quantity(s.quantity), Position: tr.n.position(r.rec.Offset),
	}
	tr.same("verdict", want, got)
}

func (tr *trial) checkpoint(r generated) {
	want := tr.n.sums
	want.Log, want.Partition, want.Next = 1, testPartition, r.rec.Offset+1
	want.Rules, want.RecordHash = tr.b.checkpoint.Rules, ledger.RecordHash(r.rec.Key, r.rec.Value)
	tr.same("checkpoint", want, tr.b.checkpoint)
}

// totalOf holds the total that a step changed against the model's.
func (tr *trial) totalOf(u *modelUse) {
	key := ledger.TotalKey{
		AccountID: u.e.AccountID, SubscriptionID: u.e.SubscriptionID, Meter: u.e.Meter.Name, MeterType: u.e.Meter.Type,
		Period: u.e.Period, Bucket: u.bucket(),
	}
	got, found, err := tr.b.layer.total(tr.m.keys.total(&key))
	if err != nil || !found {
		tr.t.Fatalf("total %+v: found %v, error %v", key, found, err)
	}
	tr.same("total", tr.n.totals()[key], got)
}

// limitOf holds what counts against limits against the model's, and never lets it rise above the event's own limit.
func (tr *trial) limitOf(e *reckoner.Event, s modelStep) {
	u := &s.use.e
	if u.SubscriptionID == "" || u.Meter.Type != reckoner.Interval {
		return
	}
	used, _, err := tr.b.layer.used(tr.m.keys.used(u.AccountID, u.SubscriptionID, u.Meter.Name, u.Period))
	if err != nil {
		tr.t.Fatal(err)
	}
	want := tr.n.used(u.AccountID, u.SubscriptionID, u.Meter.Name, u.Period)
	if used.Big().Cmp(want) != 0 {
		tr.t.Fatalf("used %s, want %s thousandths", used, want)
	}
	if e.Kind == reckoner.Usage && e.Limit != nil && used.Cmp(*e.Limit) > 0 {
		tr.t.Fatalf("%s used of a limit of %s", used, e.Limit)
	}
}

// everyTotal holds all totals against the model's, so that none is there too much.
func (tr *trial) everyTotal() {
	got := make(map[ledger.TotalKey]ledger.Total)
	for v := view(tr.b.layer); ; {
		l, ok := v.(*layer)
		if !ok {
			break
		}
		for _, t := range l.totals {
			if have, ok := got[t.TotalKey]; !ok || t.Position.Cmp(have.Position) > 0 {
				got[t.TotalKey] = *t
			}
		}
		v = l.below
	}
	tr.same("totals", tr.n.totals(), got)
}

func outcome(t interface{ Fatal(...any) }, name string) reckoner.Outcome {
	o, err := reckoner.ParseOutcome(name)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// A partition's number and its log's partitions are all that the machine knows about where a record belongs.
func TestMachineAsksThePartitioner(t *testing.T) {
	m := testMachine()
	asked := 0
	m.partitionOf = func(key []byte, n int) int {
		asked++
		if string(key) != accountIn(testPartition, 0) || n != testPartitions {
			t.Errorf("asked for key %q of %d partitions", key, n)
		}
		return bus.PartitionFor(key, n)
	}
	rec := recordOf(t, 0, usage(accountIn(testPartition, 0), "a", 1))
	if _, err := m.step(emptyBatch(), &rec); err != nil || asked != 1 {
		t.Fatalf("asked %d times, error %v", asked, err)
	}
}
