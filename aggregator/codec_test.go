package aggregator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
)

func drawText(t *rapid.T, name string) string {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "a", "a-b", "-", "\x00", "ab"}), rapid.String()).Draw(t, name)
}

func drawAccount(t *rapid.T) string {
	return rapid.SampledFrom([]string{accountIn(0, 0), accountIn(0, 1), "ffffffff-ffff-ffff-ffff-ffffffffffff", "no uuid", ""}).Draw(t, "account")
}

func drawID(t *rapid.T) string {
	return rapid.OneOf(rapid.Custom(drawAccount), rapid.StringN(0, 20, -1)).Draw(t, "id")
}

func drawTime(t *rapid.T, name string) time.Time {
	ns := rapid.Int64Range(0, reckoner.MaxTime.UnixNano()-1).Draw(t, name)
	return time.Unix(0, ns).UTC()
}

func drawQuantity(t *rapid.T) reckoner.Quantity {
	q := reckoner.Thousandths(rapid.Int64().Draw(t, "thousandths"))
	if rapid.Bool().Draw(t, "wide") {
		wide, err := reckoner.QuantityFromWords(rapid.Int64Range(-1<<62, 1<<62).Draw(t, "hi"), rapid.Uint64().Draw(t, "lo"))
		if err != nil {
			return q
		}
		return wide
	}
	return q
}

func drawPosition(t *rapid.T) reckoner.Position {
	return reckoner.Position{
		Log: rapid.Uint32().Draw(t, "log"), Partition: rapid.Int32Min(0).Draw(t, "partition"),
		Offset: rapid.Int64Min(0).Draw(t, "offset"), Index: rapid.Int32Min(0).Draw(t, "index"),
	}
}

func drawTotalKey(t *rapid.T) ledger.TotalKey {
	return ledger.TotalKey{
		AccountID: drawAccount(t), SubscriptionID: drawText(t, "subscription"), Meter: drawText(t, "meter"),
		MeterType: reckoner.MeterType(rapid.IntRange(1, 3).Draw(t, "type")),
		Period:    reckoner.Period{Start: drawTime(t, "start"), End: drawTime(t, "end")},
		Bucket:    reckoner.BucketOf(drawTime(t, "bucket")),
	}
}

func drawMemory(t *rapid.T, account string) memory {
	m := memory{outcome: reckoner.Outcome(rapid.IntRange(1, 12).Draw(t, "outcome")), quantity: drawQuantity(t)}
	copy(m.fingerprint[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "fingerprint"))
	if rapid.Bool().Draw(t, "counted") {
		c := &counted{total: drawTotalKey(t), typ: drawText(t, "typ"), time: drawTime(t, "time"), reverted: rapid.Bool().Draw(t, "reverted")}
		c.total.AccountID, c.total.Bucket = account, reckoner.BucketOf(c.time)
		m.counted = c
	}
	return m
}

func TestStoredFormsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k keys
		account := drawAccount(t)
		m := drawMemory(t, account)
		key := bytes.Clone(k.id(account, reckoner.Usage, drawID(t)))
		got, err := parseMemory(key, appendMemory(nil, &m))
		if err != nil || got.counted == nil != (m.counted == nil) || got.counted != nil && *got.counted != *m.counted {
			t.Fatalf("memory %+v became %+v, error %v", m, got, err)
		}
		m.counted, got.counted = nil, nil
		if m != got {
			t.Fatalf("memory %+v became %+v", m, got)
		}

		tot := ledger.Total{
			TotalKey: drawTotalKey(t), Quantity: drawQuantity(t), Events: rapid.Uint64().Draw(t, "events"),
			Reverts: rapid.Uint64().Draw(t, "reverts"), FirstUse: drawTime(t, "first"), LastUse: drawTime(t, "last"),
			Reading: drawPosition(t), Position: drawPosition(t),
		}
		key = bytes.Clone(k.total(&tot.TotalKey))
		if got, err := parseTotal(key, appendTotal(nil, &tot)); err != nil || got != tot {
			t.Fatalf("total %+v became %+v, error %v", tot, got, err)
		}
	})
}

func TestStoredQuantitiesAreShort(t *testing.T) {
	for n, want := range map[int64]int{0: 1, 127: 1, 128: 2, -128: 1, -129: 2, 1 << 31: 5, -1 << 63: 8} {
		b := appendQuantity(nil, reckoner.Thousandths(n))
		r := cursor{rest: b}
		if q := r.quantity(); q != reckoner.Thousandths(n) || r.end() != nil || len(b) != want+1 {
			t.Errorf("%d became %s in %d bytes, want %d", n, q, len(b), want+1)
		}
	}
}

// Whatever was cut off or added is noticed: a state is restored, never guessed.
func TestDamagedFormsAreNoticed(t *testing.T) {
	var k keys
	account := accountIn(0, 0)
	m := memory{outcome: reckoner.Applied, quantity: reckoner.Thousandths(5), counted: &counted{total: ledger.TotalKey{AccountID: account, Meter: "calls", MeterType: reckoner.Interval}, time: day()}}
	tot := ledger.Total{TotalKey: ledger.TotalKey{AccountID: account, Meter: "calls", Bucket: day()}, FirstUse: day(), LastUse: day()}
	memoryKey, totalKey := bytes.Clone(k.id(account, reckoner.Usage, "1")), bytes.Clone(k.total(&tot.TotalKey))
	for name, c := range map[string]struct {
		value []byte
		parse func(b []byte) error
	}{
		"memory":    {appendMemory(nil, &m), func(b []byte) error { _, err := parseMemory(memoryKey, b); return err }},
		"total":     {appendTotal(nil, &tot), func(b []byte) error { _, err := parseTotal(totalKey, b); return err }},
		"total key": {totalKey, func(b []byte) error { _, err := parseTotalKey(b); return err }},
	} {
		if err := c.parse(c.value); err != nil {
			t.Errorf("%s, whole: %v", name, err)
		}
		for n := range c.value {
			if err := c.parse(c.value[:n]); !errors.Is(err, errCorrupt) {
				t.Errorf("%s cut to %d of %d bytes: error %v", name, n, len(c.value), err)
			}
		}
		if err := c.parse(append(bytes.Clone(c.value), 0)); !errors.Is(err, errCorrupt) {
			t.Errorf("%s with a byte more: error %v", name, err)
		}
	}
}

// Two keys are equal only when all of their parts are.
func TestKeysAreUnambiguous(t *testing.T) {
	type parts struct {
		prefix                byte
		account, a, b         string
		number                int
		start, end, bucket, _ time.Time
	}
	draw := func(t *rapid.T) (parts, []byte) {
		var k keys
		key := drawTotalKey(t)
		p := parts{account: key.AccountID, a: key.SubscriptionID, b: key.Meter, start: key.Period.Start, end: key.Period.End}
		switch rapid.IntRange(0, 2).Draw(t, "which") {
		case 0:
			kind := reckoner.Kind(rapid.IntRange(1, 2).Draw(t, "kind"))
			p = parts{prefix: 'm', account: p.account, a: drawID(t), number: int(kind)}
			return p, k.id(p.account, kind, p.a)
		case 1:
			p.prefix, p.number, p.bucket = 't', int(key.MeterType), key.Bucket
			return p, k.total(&key)
		default:
			p.prefix = 'u'
			return p, k.used(p.account, p.a, p.b, key.Period)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p1, k1 := draw(t)
		p2, k2 := draw(t)
		if (p1 == p2) != bytes.Equal(k1, k2) {
			t.Fatalf("parts %+v and %+v, keys %x and %x", p1, p2, k1, k2)
		}
	})
	var k keys
	p := reckoner.Period{Start: day(), End: day().Add(1)}
	for _, pair := range [][2][2]string{{{"a-b", "c"}, {"a", "b-c"}}, {{"", "ab"}, {"ab", ""}}, {{"a", "b"}, {"ab", ""}}} {
		one := bytes.Clone(k.used(accountIn(0, 0), pair[0][0], pair[0][1], p))
		if bytes.Equal(one, k.used(accountIn(0, 0), pair[1][0], pair[1][1], p)) {
			t.Errorf("%q and %q have one key", pair[0], pair[1])
		}
	}
}

// The layout on disk is that of every state that exists: it may only change with the number of its layout.
func TestStoredFormsAreThoseOnDisk(t *testing.T) {
	var k keys
	account := "00010203-0405-4607-8809-0a0b0c0d0e0f"
	p := reckoner.Period{Start: time.Unix(0, 1).UTC(), End: time.Unix(0, 2).UTC()}
	for want, got := range map[string][]byte{
		"m\x01\x00\x01\x02\x03\x04\x05\x46\x07\x88\x09\x0a\x0b\x0c\x0d\x0e\x0f\x02\x00id":                                                                 bytes.Clone(k.id(account, reckoner.Revert, "id")),
		"u\x01\x00\x01\x02\x03\x04\x05\x46\x07\x88\x09\x0a\x0b\x0c\x0d\x0e\x0f\x01s\x01m\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02": bytes.Clone(k.used(account, "s", "m", p)),
		"\x06\x00fingerprint 1234\x01\xff": appendMemory(nil, &memory{
			fingerprint: reckoner.Fingerprint([]byte("fingerprint 1234")), outcome: reckoner.Reverted, quantity: reckoner.Thousandths(-1),
		}),
	} {
		if string(got) != want {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
	}
}

func FuzzStoredForms(f *testing.F) {
	var k keys
	key := ledger.TotalKey{AccountID: accountIn(0, 0), SubscriptionID: "s", Meter: "calls", MeterType: reckoner.Interval, Bucket: day()}
	m := memory{outcome: reckoner.Applied, counted: &counted{total: key, typ: "credit", time: day()}}
	f.Add(bytes.Clone(k.id(key.AccountID, reckoner.Usage, "1")), appendMemory(nil, &m))
	f.Add(bytes.Clone(k.total(&key)), appendTotal(nil, &ledger.Total{TotalKey: key, FirstUse: day(), LastUse: day()}))
	f.Add([]byte{prefixMeta}, appendMeta(nil, testLog(), ledger.Checkpoint{Log: 1, Next: 7}))
	f.Add([]byte("m\x00"), binary.AppendUvarint(nil, 1<<63))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if m, err := parseMemory(key, value); err == nil {
			again, err := parseMemory(key, appendMemory(nil, &m))
			if err != nil {
				t.Fatalf("memory %+v cannot be read again: %v", m, err)
			}
			same(t, "quantity", m.quantity, again.quantity)
		}
		if tot, err := parseTotal(key, value); err == nil {
			again, err := parseTotal(key, appendTotal(nil, &tot))
			if err != nil || again != tot {
				t.Fatalf("total %+v became %+v, error %v", tot, again, err)
			}
		}
		if l, c, err := parseMeta(value); err == nil {
			al, ac, err := parseMeta(appendMeta(nil, l, c))
			if err != nil || !reflect.DeepEqual(al, l) || ac != c {
				t.Fatalf("meta %+v %+v became %+v %+v, error %v", l, c, al, ac, err)
			}
		}
	})
}
