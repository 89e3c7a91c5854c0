package catalog

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"

	"reckoner"
)

// accountLog hands over the records that `catalog apply` writes for accounts with a subscription each: the account, the
// subscription, and the account again with its default subscription.
func accountLog(n int, each func(Record)) {
	offset := int64(0)
	put := func(e Entity, expect Version) Version {
		ch := Change{ID: uuid.NewString(), Kind: e.Kind(), Key: e.Key(), Expect: expect, By: "catalog apply", Entity: e}
		key, value, err := ch.Encode()
		if err != nil {
			panic(err)
		}
		each(Record{Offset: offset, Key: key, Value: value, Time: time.UnixMilli(1_800_000_000_000)})
		offset++
		return Version(offset)
	}
	put(&Organization{ID: "6f0d0000-0000-4000-8000-000000000001", Name: "acme"}, 0)
	put(&Plan{ID: "pro", Name: "pro"}, 0)
	put(&Meter{Meter: reckoner.Meter{Name: "api_calls", Unit: "calls", Type: reckoner.Interval}}, 0)
	limit := reckoner.Units(1000)
	for i := range n {
		a := &Account{ID: accountID(i), OrganizationID: "6f0d0000-0000-4000-8000-000000000001", CreatedAt: time.Unix(1_700_000_000+int64(i%1000), 0).UTC()}
		v := put(a, 0)
		s := &Subscription{ID: fmt.Sprintf("sub_%d", i), AccountID: a.ID, Plan: "pro", Meter: "api_calls", Limit: &limit,
			Cycle: reckoner.Cycle{Anchor: a.CreatedAt}}
		put(s, 0)
		a.DefaultSubscription = s.ID
		put(a, v)
	}
}

// accountID spreads ids as random ones are spread.
func accountID(i int) string {
	x := uint64(i) * 0x9e3779b97f4a7c15
	return fmt.Sprintf("%08x-%04x-4000-8000-%012x", uint32(x>>32), uint16(x>>16), i)
}

// BenchmarkLoad reads the records of many accounts. It shows what a start costs, and what the catalog then holds.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			for b.Loop() {
				m := load(b, n)
				lookups(b, m, n)
				changes(b, m, n)
			}
		})
	}
}

func load(b *testing.B, n int) *Machine {
	before := heap()
	m := NewMachine()
	var took time.Duration
	accountLog(n, func(r Record) {
		started := time.Now()
		d, err := m.Apply(r)
		took += time.Since(started)
		if err != nil || d.Result != Applied {
			b.Fatal(err, d.Err())
		}
	})
	b.ReportMetric(took.Seconds(), "load-s")
	b.ReportMetric(float64(took.Nanoseconds())/float64(m.Next()), "ns/record")
	b.ReportMetric(float64(heap()-before)/float64(n), "heldB/account")
	return m
}

func heap() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func lookups(b *testing.B, m *Machine, n int) {
	c := m.Snapshot()
	const times = 1_000_000
	ids := make([]string, times)
	for i := range ids {
		ids[i] = accountID(i * 7919 % n)
	}
	started := time.Now()
	for _, id := range ids {
		a, ok := c.Account(id)
		if !ok {
			b.Fatal(id)
		}
		if _, ok = c.Subscription(a.DefaultSubscription); !ok {
			b.Fatal(a)
		}
	}
	b.ReportMetric(float64(time.Since(started).Nanoseconds())/times/2, "ns/lookup")
}

// changes changes accounts here and there, with a snapshot after each batch, as a process that follows does.
func changes(b *testing.B, m *Machine, n int) {
	for _, batch := range []int{1, 1000} {
		const times = 20_000
		var took time.Duration
		for i := range times {
			a := *m.row(AccountKind, accountID(i*7919%n)).entity.(*Account)
			a.State = State((int(a.State) + 1) % 3)
			ch := Put(&a, Version(m.row(AccountKind, a.ID).made), "test")
			key, value, _ := ch.Encode()
			started := time.Now()
			d, err := m.Apply(Record{Offset: m.Next(), Key: key, Value: value})
			if err != nil || d.Result != Applied {
				b.Fatal(err, d.Err())
			}
			if i%batch == 0 {
				m.Snapshot()
			}
			took += time.Since(started)
		}
		b.ReportMetric(float64(took.Nanoseconds())/times, fmt.Sprintf("ns/change-by-%d", batch))
	}
}
