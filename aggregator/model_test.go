package aggregator

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"time"

	"reckoner"
	"reckoner/internal/bus"
	"reckoner/ledger"
)

// model is the machine once more, as naively as the design's sections 3 and 4 can be read: it keeps every usage that
// ever counted in a list and adds the list up anew for every question. It shares nothing with the machine.
type model struct {
	partition int
	answers   map[modelID]*modelAnswer
	uses      []*modelUse
	sums      ledger.Checkpoint
}

type modelID struct {
	account, id string
	revert      bool
}

// modelWritten is what a producer wrote, comparable.
type modelWritten struct {
	revert                                bool
	typ, source, subscription, of, amount string
	partial                               bool
	at                                    string
}

type modelAnswer struct {
	written  modelWritten
	outcome  string
	quantity *big.Int
	use      *modelUse // nil unless it is a usage that counted
}

// modelUse is a usage that counted.
type modelUse struct {
	e          reckoner.Event
	offset     int64
	quantity   *big.Int
	takenBack  *big.Int // by a revert; nil when there was none
	revertedAt int64
}

// modelStep is what the model expects of one record.
type modelStep struct {
	outcome, first string
	quantity       *big.Int
	use            *modelUse // that the record made, or reverted
}

func newModel(partition int) *model {
	return &model{partition: partition, answers: make(map[modelID]*modelAnswer)}
}

// step decides the event of a record, which is nil or invalid when broken says so.
func (m *model) step(offset int64, key string, e *reckoner.Event, broken bool) modelStep {
	if broken {
		return modelStep{outcome: "undecodable", first: "undecodable", quantity: new(big.Int)}
	}
	if key != e.AccountID || bus.PartitionFor([]byte(e.AccountID), testPartitions) != m.partition {
		return modelStep{outcome: "misrouted", first: "misrouted", quantity: new(big.Int)}
	}
	id := modelID{e.AccountID, e.ID, e.Kind == reckoner.Revert}
	w := written(e)
	if was := m.answers[id]; was != nil && was.written != w {
		return modelStep{outcome: "conflict", first: "conflict", quantity: new(big.Int)}
	} else if was != nil {
		return modelStep{outcome: "duplicate", first: was.outcome, quantity: was.quantity}
	}
	s := m.usage(offset, e)
	if id.revert {
		s = m.revert(offset, e)
	}
	s.first = s.outcome
	m.answers[id] = &modelAnswer{written: w, outcome: s.outcome, quantity: s.quantity}
	if !id.revert {
		m.answers[id].use = s.use
	}
	return s
}

func written(e *reckoner.Event) modelWritten {
	w := modelWritten{
		revert: e.Kind == reckoner.Revert, typ: e.Written.Type, source: e.Written.Source, subscription: e.Written.Subscription,
		of: e.Written.UsageID, partial: e.Written.AcceptPartial, amount: "all", at: "receipt",
	}
	if q := e.Written.Quantity; q != nil {
		w.amount = q.Big().String()
	}
	if t := e.Written.UsageTime; !t.IsZero() {
		w.at = t.UTC().Format(time.RFC3339Nano)
	}
	return w
}

func (m *model) usage(offset int64, e *reckoner.Event) modelStep {
	if e.Kind == reckoner.Revert {
		return modelStep{}
	}
	q := e.Written.Quantity.Big()
	outcome := "applied"
	if e.Limit != nil {
		room := new(big.Int).Sub(e.Limit.Big(), m.used(e.AccountID, e.SubscriptionID, e.Meter.Name, e.Period))
		if q.Cmp(room) > 0 {
			if !e.Written.AcceptPartial || room.Sign() <= 0 {
				return modelStep{outcome: "limit_exceeded", quantity: new(big.Int)}
			}
			q, outcome = room, "clipped"
		}
	}
	u := &modelUse{e: *e, offset: offset, quantity: q}
	m.uses = append(m.uses, u)
	return modelStep{outcome: outcome, quantity: q, use: u}
}

func (m *model) revert(offset int64, e *reckoner.Event) modelStep {
	refused := func(outcome string) modelStep { return modelStep{outcome: outcome, quantity: new(big.Int)} }
	a := m.answers[modelID{e.AccountID, e.Written.UsageID, false}]
	switch {
	case a == nil:
		return refused("unknown_usage")
	case a.use == nil || a.use.e.Meter.Type != reckoner.Interval:
		return refused("not_revertable")
	case a.use.takenBack != nil:
		return refused("already_reverted")
	}
	q := a.use.quantity
	if e.Written.Quantity != nil {
		q = e.Written.Quantity.Big()
	}
	if q.Cmp(a.use.quantity) > 0 {
		return refused("exceeds_usage")
	}
	a.use.takenBack, a.use.revertedAt = q, offset
	return modelStep{outcome: "reverted", quantity: new(big.Int).Neg(q), use: a.use}
}

// used adds up what counts for a subscription's meter in a period, net of reverts.
func (m *model) used(account, subscription, meter string, p reckoner.Period) *big.Int {
	sum := new(big.Int)
	for _, u := range m.uses {
		if u.e.AccountID == account && u.e.SubscriptionID == subscription && u.e.Meter.Name == meter &&
			u.e.Meter.Type == reckoner.Interval && u.e.Period.Start.Equal(p.Start) && u.e.Period.End.Equal(p.End) {
			sum.Add(sum, u.net())
		}
	}
	return sum
}

func (u *modelUse) net() *big.Int {
	if u.takenBack == nil {
		return u.quantity
	}
	return new(big.Int).Sub(u.quantity, u.takenBack)
}

// bucket is the quarter of an hour, by arithmetic on the minutes.
func (u *modelUse) bucket() time.Time {
	t := u.e.UsageTime.UTC()
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute()/15*15, 0, 0, time.UTC)
}

// totals adds up every total there is.
func (m *model) totals() map[ledger.TotalKey]ledger.Total {
	groups := make(map[ledger.TotalKey][]*modelUse)
	for _, u := range m.uses {
		k := ledger.TotalKey{
			AccountID: u.e.AccountID, SubscriptionID: u.e.SubscriptionID, Meter: u.e.Meter.Name,
			MeterType: u.e.Meter.Type, Period: u.e.Period, Bucket: u.bucket(),
		}
		groups[k] = append(groups[k], u)
	}
	totals := make(map[ledger.TotalKey]ledger.Total)
	for k, uses := range groups {
		totals[k] = m.total(k, uses)
	}
	return totals
}

func (m *model) total(k ledger.TotalKey, uses []*modelUse) ledger.Total {
	t := ledger.Total{TotalKey: k, Events: uint64(len(uses)), FirstUse: uses[0].e.UsageTime, LastUse: uses[0].e.UsageTime}
	sum, peak, newest, last := new(big.Int), new(big.Int), uses[0], int64(0)
	for _, u := range uses { // in the order of the log
		sum.Add(sum, u.net())
		if u.quantity.Cmp(peak) > 0 {
			peak = u.quantity
		}
		if !u.e.UsageTime.Before(newest.e.UsageTime) {
			newest = u
		}
		if u.e.UsageTime.Before(t.FirstUse) {
			t.FirstUse = u.e.UsageTime
		}
		if u.e.UsageTime.After(t.LastUse) {
			t.LastUse = u.e.UsageTime
		}
		last = max(last, u.offset)
		if u.takenBack != nil {
			t.Reverts++
			last = max(last, u.revertedAt)
		}
	}
	t.Position = m.position(last)
	switch k.MeterType {
	case reckoner.Interval:
		t.Quantity = quantity(sum)
	case reckoner.Rate:
		t.Quantity = quantity(peak)
	case reckoner.Total:
		t.Quantity, t.Reading = quantity(newest.quantity), m.position(newest.offset)
	}
	return t
}

func (m *model) position(offset int64) reckoner.Position {
	return reckoner.Position{Log: 1, Partition: int32(m.partition), Offset: offset}
}

func quantity(n *big.Int) reckoner.Quantity {
	q, err := reckoner.QuantityFromBig(n)
	if err != nil {
		panic(err)
	}
	return q
}

// sum keeps counts and digests as the ledger's documentation describes them.
func (m *model) sum(offset int64, s modelStep, account, id string) {
	counts := s.outcome == "applied" || s.outcome == "clipped" || s.outcome == "reverted"
	q := new(big.Int)
	if counts {
		q = s.quantity
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%d.0:%s:%s:%s:%s", offset, s.outcome, decimal(q), account, id))
	d := binary.LittleEndian.Uint64(h[:8])
	if counts {
		m.sums.Entries++
		m.sums.EntriesDigest += d
	} else {
		m.sums.Refusals++
		m.sums.RefusalsDigest += d
	}
}

// decimal writes thousandths as the shortest decimal text.
func decimal(n *big.Int) string {
	s := new(big.Rat).SetFrac(n, big.NewInt(1000)).FloatString(3)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
