package aggregator

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/internal/wire"
	"reckoner/ledger"
)

// ErrNewerRules says that the log holds an event for decision rules that this build does not know. The partition
// stops there: aggregators are upgraded before ingest.
var ErrNewerRules = errors.New("event with newer decision rules than this build knows: upgrade the aggregators first")

// Record is one record of the log.
type Record = bus.Record

// Partitioner returns the partition that a key belongs to; it is Kafka's default (murmur2), for every producer.
type Partitioner func(key []byte, partitions int) int

// machine decides the records of one partition, one after the other. It is pure: what it does with a record depends on
// the record, the log's registration and the view, and on nothing else.
type machine struct {
	log         ledger.Log
	number      int32 // of the partition
	partitionOf Partitioner
	rules       ruleSet // nil: those of this build
	keys        keys
}

// ruleSet is every version of the decision rules that a build knows, from 1 on. Every version ever used stays.
type ruleSet []func(v view, k *keys, e *reckoner.Event, fp reckoner.Fingerprint) (decision, error)

// knownRules are those of this build, up to reckoner.Rules.
func knownRules() ruleSet { return ruleSet{decideV1} }

// newest is the greatest version of the rules.
func (s ruleSet) newest() uint32 {
	if s == nil {
		return reckoner.Rules
	}
	return uint32(len(s))
}

// step decides one record against a batch's layer and applies the decision to it. The effect is what the record changes
// outside of the state, for the batch to add; its rows are the batch's own already. After an error the batch may hold
// half a record and must be thrown away, except after ErrNewerRules.
func (m *machine) step(b *batch, rec *Record) (effect, error) {
	p := reckoner.Position{Log: m.log.Number, Partition: m.number, Offset: rec.Offset}
	newest := m.rules.newest()
	e, err := wire.DecodeEventKnowing(rec.Value, newest)
	if e != nil && e.Rules > newest {
		return effect{}, fmt.Errorf("%w (position %s, rules %d, known %d)", ErrNewerRules, p, e.Rules, newest)
	}
	if err != nil {
		return undecodable(b.refusals.next(), p, rec, e, err), nil
	}
	if d, ok := m.misrouted(rec, e); ok {
		return refused(b.refusals.next(), p, e, e.Fingerprint(), &d), nil
	}
	return m.apply(b, p, e)
}

// misrouted refuses a record that stands where its account's order is not kept. Its id is not remembered: it would be
// a memory in the wrong place.
func (m *machine) misrouted(rec *Record, e *reckoner.Event) (decision, bool) {
	if string(rec.Key) != e.AccountID {
		return refuse(reckoner.Misrouted, "the record's key %q is not the account", clip(rec.Key)), true
	}
	if want := m.partitionOf(rec.Key, int(m.log.Partitions)); want != int(m.number) {
		return refuse(reckoner.Misrouted, "the account belongs to partition %d (murmur2 of the key)", want), true
	}
	return decision{}, false
}

// apply decides a valid event in its right place, and changes the state accordingly.
func (m *machine) apply(b *batch, p reckoner.Position, e *reckoner.Event) (effect, error) {
	l, fp := b.layer, e.Fingerprint()
	d, err := m.decide(l, e, fp)
	if err != nil {
		return effect{}, fmt.Errorf("position %s: %w", p, err)
	}
	switch d.outcome {
	case reckoner.Applied, reckoner.Clipped:
		err = m.applyUsage(l, p, e, fp, &d)
	case reckoner.Reverted:
		err = m.applyRevert(l, p, e, fp, &d)
	case reckoner.LimitExceeded, reckoner.AlreadyReverted, reckoner.UnknownUsage, reckoner.ExceedsUsage, reckoner.NotRevertable:
		l.setMemory(m.keys.id(e.AccountID, e.Kind, e.ID), &memory{fingerprint: fp, outcome: d.outcome})
	case reckoner.Duplicate, reckoner.Conflict:
		// The id keeps the memory of its first event.
	case reckoner.Misrouted, reckoner.Undecodable:
		err = fmt.Errorf("outcome %s of a decided event", d.outcome)
	default:
		err = fmt.Errorf("unknown outcome %d", d.outcome)
	}
	if err != nil {
		return effect{}, fmt.Errorf("position %s: %w", p, err)
	}
	if d.outcome.Counts() {
		return counts(b.entries.next(), p, e, fp, &d), nil
	}
	return refused(b.refusals.next(), p, e, fp, &d), nil
}

// decide picks the rules that the event was stamped with.
func (m *machine) decide(v view, e *reckoner.Event, fp reckoner.Fingerprint) (decision, error) {
	if m.rules == nil {
		m.rules = knownRules()
	}
	if e.Rules == 0 || e.Rules > m.rules.newest() {
		return decision{}, fmt.Errorf("%w (rules %d)", ErrNewerRules, e.Rules)
	}
	return m.rules[e.Rules-1](v, &m.keys, e, fp)
}

func (m *machine) applyUsage(l *layer, p reckoner.Position, e *reckoner.Event, fp reckoner.Fingerprint, d *decision) error {
	key := ledger.TotalKey{
		AccountID: e.AccountID, SubscriptionID: e.SubscriptionID, Meter: e.Meter.Name, MeterType: e.Meter.Type,
		Period: e.Period, Bucket: reckoner.BucketOf(e.UsageTime),
	}
	if err := m.addUsage(l, p, &key, e.UsageTime, d.quantity); err != nil {
		return err
	}
	l.setMemory(m.keys.id(e.AccountID, e.Kind, e.ID), &memory{
		fingerprint: fp, outcome: d.outcome, quantity: d.quantity,
		counted: &counted{total: key, typ: e.Type, time: e.UsageTime},
	})
	return nil
}

// addUsage folds a usage that counts into its total and into its subscription's use of the period.
func (m *machine) addUsage(l *layer, p reckoner.Position, key *ledger.TotalKey, used time.Time, q reckoner.Quantity) error {
	id := m.keys.total(key)
	t, err := l.ownTotal(id)
	if err != nil {
		return err
	}
	if t == nil {
		t = l.addTotal(id, &ledger.Total{TotalKey: *key, FirstUse: used, LastUse: used})
	}
	if err := fold(t, p, used, q); err != nil {
		return err
	}
	l.totalSet(t)
	return m.addUsed(l, key, q)
}

// fold adds a usage to a total, by the meter's type. A reading of a level is newest by (time of use, position).
func fold(t *ledger.Total, p reckoner.Position, used time.Time, q reckoner.Quantity) (err error) {
	switch t.MeterType {
	case reckoner.Interval:
		if t.Quantity, err = t.Quantity.Add(q); err != nil {
			return err
		}
	case reckoner.Total:
		if c := used.Compare(t.LastUse); t.Events == 0 || c > 0 || c == 0 && p.Cmp(t.Reading) > 0 {
			t.Quantity, t.Reading = q, p
		}
	case reckoner.Rate:
		if t.Events == 0 || q.Cmp(t.Quantity) > 0 {
			t.Quantity = q
		}
	default:
		return fmt.Errorf("unknown meter type %d", t.MeterType)
	}
	t.Events++
	t.Position = p
	if used.Before(t.FirstUse) {
		t.FirstUse = used
	}
	if used.After(t.LastUse) {
		t.LastUse = used
	}
	return nil
}

// addUsed keeps what limits are held against. It counts without a limit too: one may be set later in the period.
func (m *machine) addUsed(l *layer, key *ledger.TotalKey, q reckoner.Quantity) error {
	if key.SubscriptionID == "" || key.MeterType != reckoner.Interval {
		return nil
	}
	return l.addUsed(m.keys.used(key.AccountID, key.SubscriptionID, key.Meter, key.Period), q)
}

func (m *machine) applyRevert(l *layer, p reckoner.Position, e *reckoner.Event, fp reckoner.Fingerprint, d *decision) error {
	usage := *d.target
	if err := m.subtract(l, p, &usage.counted.total, d.quantity); err != nil {
		return err
	}
	m.markReverted(l, e.AccountID, e.Written.UsageID, usage)
	l.setMemory(m.keys.id(e.AccountID, e.Kind, e.ID), &memory{fingerprint: fp, outcome: d.outcome, quantity: d.quantity})
	return nil
}

// subtract takes a revert's (negative) quantity into the total and the period of the usage it reverts.
func (m *machine) subtract(l *layer, p reckoner.Position, key *ledger.TotalKey, q reckoner.Quantity) error {
	id := m.keys.total(key)
	t, err := l.ownTotal(id)
	if err != nil {
		return err
	}
	if t == nil {
		return fmt.Errorf("the total of a counted usage is missing: %+v", *key)
	}
	if t.Quantity, err = t.Quantity.Add(q); err != nil {
		return err
	}
	t.Reverts++
	t.Position = p
	l.totalSet(t)
	return m.addUsed(l, key, q)
}

func (m *machine) markReverted(l *layer, account, usageID string, usage memory) {
	c := *usage.counted // a copy: the decision's own stays as it was
	c.reverted = true
	usage.counted = &c
	l.setMemory(m.keys.id(account, reckoner.Usage, usageID), &usage)
}

// storable bounds a record's own time, which no rule has checked, to what a row can hold.
func storable(t time.Time) time.Time {
	switch {
	case t.Before(reckoner.MinTime):
		return reckoner.MinTime
	case !t.Before(reckoner.MaxTime):
		return reckoner.MaxTime.Add(-1)
	default:
		return t.UTC()
	}
}

// clip bounds what a row repeats of bytes that no rule has checked.
func clip[T ~string | ~[]byte](s T) string {
	b := []byte(s)
	if len(b) > reckoner.MaxIDBytes {
		b = b[:reckoner.MaxIDBytes]
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return string([]rune(string(b))) // invalid bytes become U+FFFD
}
