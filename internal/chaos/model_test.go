package chaos_test

import (
	"fmt"
	"math/big"

	"google.golang.org/protobuf/proto"

	pb "reckoner/internal/wire/usagev1"
)

// model decides the log once more, by the rules of the design alone: it reads records as their schema says and shares
// no decision with the product. Quantities are thousandths; those of these tests are small.
type model struct {
	partitions uint32
	answers    map[key]*modelAnswer
	used       map[bucket]int64     // what counts against a limit
	totals     map[string]*modelSum // by account
	periods    map[bucket]*modelSum
}

// bucket is what a limit holds for.
type bucket struct {
	account, subscription string
	start, end            int64
}

type modelSum struct{ quantity, events, reverts int64 }

type modelAnswer struct {
	written  *pb.Written
	outcome  string
	quantity int64
	at       bucket
	reverted bool
}

// decision is what the model expects of one record.
type decision struct {
	key      key
	outcome  string
	quantity int64 // signed; 0 of what does not count
	first    bool  // the id was not decided before
	at       bucket
	limit    *int64
}

func newModel(partitions int) *model {
	return &model{
		partitions: uint32(partitions), answers: make(map[key]*modelAnswer), used: make(map[bucket]int64),
		totals: make(map[string]*modelSum), periods: make(map[bucket]*modelSum),
	}
}

// decide decides the record that comes next in its partition.
func (m *model) decide(partition int, recordKey, value []byte) (decision, error) {
	var e pb.Event
	if proto.Unmarshal(value, &e) != nil {
		return decision{outcome: "undecodable"}, nil
	}
	kind := map[pb.Kind]string{pb.Kind_KIND_USAGE: "usage", pb.Kind_KIND_REVERT: "revert"}[e.Kind]
	d := decision{key: key{e.AccountId, kind, e.Id}}
	if kind == "" || e.Rules != 1 || (e.Kind == pb.Kind_KIND_USAGE && e.MeterType != pb.MeterType_METER_TYPE_INTERVAL) {
		return d, fmt.Errorf("nobody wrote such an event: %v", &e)
	}
	if string(recordKey) != e.AccountId || murmur2(recordKey)&0x7fffffff%m.partitions != uint32(partition) {
		d.outcome = "misrouted"
		return d, nil
	}
	if was := m.answers[d.key]; was != nil {
		d.outcome = "conflict"
		if proto.Equal(was.written, e.Written) {
			d.outcome = "duplicate"
		}
		return d, nil
	}
	d.first = true
	a := &modelAnswer{written: e.Written}
	m.answers[d.key] = a
	var err error
	if e.Kind == pb.Kind_KIND_USAGE {
		err = m.usage(&d, &e)
		a.at = d.at
	} else {
		err = m.revert(&d, &e)
	}
	a.outcome, a.quantity = d.outcome, d.quantity
	return d, err
}

func (m *model) usage(d *decision, e *pb.Event) error {
	q, err := thousandths(e.Written.Quantity)
	if err != nil {
		return err
	}
	d.at = bucket{e.AccountId, e.SubscriptionId, e.PeriodStart, e.PeriodEnd}
	d.outcome = "applied"
	if e.Limit != nil {
		limit, err := thousandths(e.Limit)
		if err != nil {
			return err
		}
		d.limit = &limit
		if room := limit - m.used[d.at]; q > room {
			if !e.Written.AcceptPartial || room <= 0 {
				d.outcome = "limit_exceeded"
				return nil
			}
			q, d.outcome = room, "clipped"
		}
	}
	d.quantity = q
	m.used[d.at] += q
	for _, s := range m.sums(d.at) {
		s.quantity += q
		s.events++
	}
	return nil
}

func (m *model) revert(d *decision, e *pb.Event) error {
	was := m.answers[key{e.AccountId, "usage", e.Written.UsageId}]
	switch {
	case was == nil:
		d.outcome = "unknown_usage"
		return nil
	case was.outcome == "limit_exceeded":
		d.outcome = "not_revertable"
		return nil
	case was.reverted:
		d.outcome = "already_reverted"
		return nil
	}
	q := was.quantity
	if e.Written.Quantity != nil {
		var err error
		if q, err = thousandths(e.Written.Quantity); err != nil {
			return err
		}
	}
	if q > was.quantity {
		d.outcome = "exceeds_usage"
		return nil
	}
	was.reverted = true
	d.outcome, d.quantity, d.at = "reverted", -q, was.at
	m.used[d.at] -= q
	for _, s := range m.sums(d.at) {
		s.quantity -= q
		s.reverts++
	}
	return nil
}

func (m *model) sums(at bucket) []*modelSum {
	if m.totals[at.account] == nil {
		m.totals[at.account] = &modelSum{}
	}
	if m.periods[at] == nil {
		m.periods[at] = &modelSum{}
	}
	return []*modelSum{m.totals[at.account], m.periods[at]}
}

// thousandths reads a quantity of the schema, which here always fits an int64.
func thousandths(q *pb.Quantity) (int64, error) {
	n := new(big.Int).Lsh(big.NewInt(q.GetHigh()), 64)
	n.Add(n, new(big.Int).SetUint64(q.GetLow()))
	if !n.IsInt64() {
		return 0, fmt.Errorf("quantity %s", n)
	}
	return n.Int64(), nil
}

// murmur2 is Kafka's hash of a key (org.apache.kafka.common.utils.Utils).
func murmur2(data []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> 24
		k *= m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
