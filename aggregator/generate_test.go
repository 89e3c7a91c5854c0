package aggregator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/wire"
)

// generator makes records that meet each other: few accounts, ids, subscriptions and meters, so that repetitions,
// conflicts, reverts and limits happen all the time. All chance comes from pick, which returns 0 to n-1.
type generator struct {
	t         testing.TB
	pick      func(n int) int
	partition int
	ids       int // how many were made up
	before    []*reckoner.Event
}

// generated is a record, and what it is meant to be.
type generated struct {
	rec    Record
	e      *reckoner.Event // as it was encoded; of a broken record nil when nothing can be read of it
	broken bool
}

func (g *generator) next(offset int64) generated {
	switch n := g.pick(24); {
	case n == 0:
		return g.garbage(offset)
	case n == 1:
		return g.invalid(offset)
	case n == 2:
		return g.misrouted(offset)
	case n <= 6 && len(g.before) > 0:
		return g.record(offset, g.again())
	case n <= 11:
		return g.record(offset, g.made(g.revert()))
	default:
		return g.record(offset, g.made(g.usage()))
	}
}

func (g *generator) made(e *reckoner.Event) *reckoner.Event {
	g.before = append(g.before, e)
	return e
}

func (g *generator) record(offset int64, e *reckoner.Event) generated {
	rec := recordOf(g.t, offset, e)
	rec.Partition = g.partition
	return generated{rec: rec, e: e}
}

func (g *generator) usage() *reckoner.Event {
	e := usage(g.account(), g.id(), g.amount())
	types := []reckoner.MeterType{reckoner.Interval, reckoner.Interval, reckoner.Interval, reckoner.Interval, reckoner.Total, reckoner.Rate}
	e.Meter = reckoner.Meter{Name: []string{"calls", "storage"}[g.pick(2)], Type: types[g.pick(len(types))]}
	e.SubscriptionID = []string{"", "s1", "s1", "s2"}[g.pick(4)]
	e.UsageTime = g.time()
	e.Period = periodOf(e.UsageTime)
	if g.pick(4) > 0 && e.SubscriptionID != "" && e.Meter.Type == reckoner.Interval {
		e.Limit = milli(int64(g.pick(12)) * 1000)
	}
	if g.pick(3) == 0 {
		e.Written.UsageTime = e.UsageTime
	}
	e.Written.AcceptPartial = g.pick(2) == 0
	e.Type = []string{"credit", "feature"}[g.pick(2)]
	if g.pick(4) == 0 {
		e.Metadata = []reckoner.Label{{Key: "region", Value: "eu"}, {Key: "size", Value: "5", JSON: true}}
	}
	return g.stamped(e)
}

func (g *generator) revert() *reckoner.Event {
	e := revert(g.account(), g.id(), g.id())
	if len(g.before) > 0 && g.pick(4) > 0 { // most reverts find something
		u := g.before[g.pick(len(g.before))]
		e.AccountID, e.Written.UsageID = u.AccountID, u.ID
		if q := u.Written.Quantity; q != nil && u.Kind == reckoner.Usage && g.pick(3) == 0 {
			e.Written.Quantity = q
		}
	}
	if g.pick(3) == 0 {
		e.Written.Quantity = milli(1 + int64(g.pick(5000)))
	}
	return g.stamped(e)
}

func (g *generator) stamped(e *reckoner.Event) *reckoner.Event {
	e.OrganizationID, e.ProjectID = "org", []string{"", "site"}[g.pick(2)]
	e.Written.Source = []string{"test", "test", "other"}[g.pick(3)]
	if g.pick(3) == 0 {
		waits(e)
	}
	return e
}

// again is an event that was there before: as it was, or as ingest resolves it after the catalog changed, or with
// other content under the same id.
func (g *generator) again() *reckoner.Event {
	e := *g.before[g.pick(len(g.before))]
	switch g.pick(4) {
	case 0: // resolved anew
		e.ReceivedAt = e.ReceivedAt.Add(time.Hour)
		if e.Kind == reckoner.Usage {
			e.SubscriptionID, e.Meter, e.Limit = "s9", reckoner.Meter{Name: "renamed", Type: reckoner.Interval}, milli(0)
		}
	case 1: // other content
		e.Written.Source += "!"
	}
	return &e
}

func (g *generator) account() string { return accountIn(g.partition, g.pick(3)) }

// id is mostly one that was never there before; half of them are UUIDs.
func (g *generator) id() string {
	if len(g.before) > 0 && g.pick(8) == 0 {
		return g.before[g.pick(len(g.before))].ID
	}
	g.ids++
	if g.ids%2 == 0 {
		return fmt.Sprintf("id-%d", g.ids)
	}
	return fmt.Sprintf("6f0d0000-0000-4000-8000-%012x", g.ids)
}

func (g *generator) amount() int64 {
	if g.pick(40) == 0 {
		return math.MaxInt64
	}
	return 1 + int64(g.pick(5000))
}

// time returns times on both sides of a period's boundary, within one bucket and around it.
func (g *generator) time() time.Time {
	minutes := []int{-1500, -12, -7, -1, 0, 0, 1, 7, 8, 1500}
	return day().Add(time.Duration(minutes[g.pick(len(minutes))])*time.Minute - time.Duration(g.pick(2)))
}

func (g *generator) garbage(offset int64) generated {
	values := []string{"", "\xff", "no event", "\x0a\x05ab", "\x08\x01\x10\x01"}
	rec := Record{
		Partition: g.partition, Offset: offset, Key: []byte(g.account()), Value: []byte(values[g.pick(len(values))]), Time: day(),
	}
	return generated{rec: rec, broken: true}
}

// invalid is an event that breaks one rule of validity.
func (g *generator) invalid(offset int64) generated {
	e := g.usage()
	changes := []change{
		func(e *reckoner.Event) { e.Rules = 0 },
		func(e *reckoner.Event) { e.Kind = 3 },
		func(e *reckoner.Event) { e.ID = "" },
		func(e *reckoner.Event) { e.ID = "6F0D0000-0000-4000-8000-000000000000" },
		func(e *reckoner.Event) { e.Written.Quantity = milli(-1) },
		func(e *reckoner.Event) { e.Meter.Type = 9 },
		func(e *reckoner.Event) { e.Period.End = e.UsageTime },
		func(e *reckoner.Event) { e.ReceivedAt = reckoner.MaxTime },
	}
	changes[g.pick(len(changes))](e)
	rec := recordOf(g.t, offset, e)
	rec.Partition = g.partition
	return generated{rec: rec, e: e, broken: true}
}

// misrouted is a valid event in the wrong place.
func (g *generator) misrouted(offset int64) generated {
	e := g.usage()
	key := accountIn(g.partition, 7)
	if g.pick(2) == 0 {
		e.AccountID = accountIn((g.partition+1)%testPartitions, g.pick(3))
		key = e.AccountID
	}
	rec := recordOf(g.t, offset, e)
	rec.Key, rec.Partition = []byte(key), g.partition
	return generated{rec: rec, e: e}
}

// The generator's garbage must be what it claims to be, its events what they were encoded from, and every outcome must
// happen often: else the tests that draw from it would show little.
func TestGeneratedRecordsAreWhatTheyClaim(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := make(map[string]int)
	for range 20 {
		g := &generator{t: t, partition: testPartition, pick: rng.IntN}
		m := newModel(testPartition)
		for offset := range int64(100) {
			r := g.next(offset)
			e, err := wire.DecodeEvent(r.rec.Value)
			if (err != nil) != r.broken {
				t.Fatalf("offset %d: broken %v, decoded with error %v", offset, r.broken, err)
			}
			if err == nil {
				same(t, "event", r.e, e)
			}
			seen[m.step(offset, string(r.rec.Key), r.e, r.broken).outcome]++
		}
	}
	for _, o := range reckoner.Outcomes() {
		if seen[o.String()] < 10 {
			t.Errorf("%s happened %d times in 2,000 records: %v", o, seen[o.String()], seen)
		}
	}
}
