package aggregator

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// errCorrupt says that a value in the store is not what was written there. The state is then restored, never guessed.
var errCorrupt = errors.New("corrupt value")

const (
	flagCounted  = 1 << 0
	flagReverted = 1 << 1
)

// appendMemory appends the stored form of a memory. The account is not in it: the key holds it.
func appendMemory(b []byte, m *memory) []byte {
	var flags byte
	if m.counted != nil {
		flags |= flagCounted
		if m.counted.reverted {
			flags |= flagReverted
		}
	}
	b = append(b, byte(m.outcome), flags)
	b = append(b, m.fingerprint[:]...)
	b = appendQuantity(b, m.quantity)
	if c := m.counted; c != nil {
		b = appendText(appendText(appendText(b, c.total.SubscriptionID), c.total.Meter), c.typ)
		b = appendPeriod(append(b, byte(c.total.MeterType)), c.total.Period)
		b = appendTime(b, c.time)
	}
	return b
}

// parseMemory reads what appendMemory wrote under a key.
func parseMemory(key, b []byte) (memory, error) {
	k := cursor{rest: key}
	k.byte()
	account := k.account()
	r := cursor{rest: b, bad: k.bad}
	m := memory{outcome: reckoner.Outcome(r.byte())}
	flags := r.byte()
	copy(m.fingerprint[:], r.take(len(m.fingerprint)))
	m.quantity = r.quantity()
	if flags&flagCounted != 0 {
		c := &counted{reverted: flags&flagReverted != 0}
		c.total.AccountID = account
		c.total.SubscriptionID, c.total.Meter, c.typ = r.text(), r.text(), r.text()
		c.total.MeterType = reckoner.MeterType(r.byte())
		c.total.Period = reckoner.Period{Start: r.time(), End: r.time()}
		c.time = r.time()
		c.total.Bucket = reckoner.BucketOf(c.time)
		m.counted = c
	}
	return m, r.end()
}

// appendTotal appends the stored form of a total's values. Its key is in the key.
func appendTotal(b []byte, t *ledger.Total) []byte {
	b = appendQuantity(b, t.Quantity)
	b = binary.AppendUvarint(b, t.Events)
	b = binary.AppendUvarint(b, t.Reverts)
	b = appendTime(appendTime(b, t.FirstUse), t.LastUse)
	return appendPosition(appendPosition(b, t.Reading), t.Position)
}

func parseTotal(key, b []byte) (ledger.Total, error) {
	k, err := parseTotalKey(key)
	if err != nil {
		return ledger.Total{}, err
	}
	r := cursor{rest: b}
	t := ledger.Total{TotalKey: k, Quantity: r.quantity(), Events: r.uvarint(), Reverts: r.uvarint()}
	t.FirstUse, t.LastUse = r.time(), r.time()
	t.Reading, t.Position = r.position(), r.position()
	return t, r.end()
}

func parseTotalKey(b []byte) (ledger.TotalKey, error) {
	r := cursor{rest: b}
	r.byte()
	k := ledger.TotalKey{AccountID: r.account(), SubscriptionID: r.text(), Meter: r.text()}
	k.MeterType = reckoner.MeterType(r.byte())
	k.Period = reckoner.Period{Start: r.time(), End: r.time()}
	k.Bucket = r.time()
	return k, r.end()
}

// appendQuantity appends the length of the two's complement and its bytes without leading sign bytes: small
// quantities are short.
func appendQuantity(b []byte, q reckoner.Quantity) []byte {
	hi, lo := q.Words()
	var full [16]byte
	binary.BigEndian.PutUint64(full[:8], uint64(hi))
	binary.BigEndian.PutUint64(full[8:], lo)
	sign := byte(hi >> 63) // 0x00 or 0xff
	i := 0
	for i < 15 && full[i] == sign && (full[i+1]^sign)&0x80 == 0 {
		i++
	}
	return append(append(b, byte(16-i)), full[i:]...)
}

func appendPosition(b []byte, p reckoner.Position) []byte {
	b = binary.AppendUvarint(b, uint64(p.Log))
	b = binary.AppendUvarint(b, uint64(uint32(p.Partition)))
	b = binary.AppendUvarint(b, uint64(p.Offset))
	return binary.AppendUvarint(b, uint64(uint32(p.Index)))
}

// cursor reads stored forms. After the first thing that does not fit it returns zeros and end reports errCorrupt.
type cursor struct {
	rest []byte
	bad  bool
}

func (r *cursor) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *cursor) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *cursor) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return ""
	}
	return string(r.take(int(n)))
}

func (r *cursor) time() time.Time {
	b := r.take(8)
	if b == nil {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()
}

func (r *cursor) quantity() reckoner.Quantity {
	b := r.take(int(r.byte()))
	if len(b) == 0 || len(b) > 16 {
		r.bad = true
		return reckoner.Quantity{}
	}
	var full [16]byte
	if b[0]&0x80 != 0 {
		for i := range full {
			full[i] = 0xff
		}
	}
	copy(full[16-len(b):], b)
	q, err := reckoner.QuantityFromWords(int64(binary.BigEndian.Uint64(full[:8])), binary.BigEndian.Uint64(full[8:]))
	if err != nil {
		r.bad = true
	}
	return q
}

func (r *cursor) position() reckoner.Position {
	return reckoner.Position{
		Log: uint32(r.uvarint()), Partition: int32(r.uvarint()), Offset: int64(r.uvarint()), Index: int32(r.uvarint()),
	}
}

func (r *cursor) account() string {
	if r.byte() == formText {
		return r.text()
	}
	b := r.take(16)
	if b == nil {
		return ""
	}
	return uuidText(b)
}

// uuidText is the canonical text of 16 bytes.
func uuidText(b []byte) string {
	var text [36]byte
	at := 0
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			text[at] = '-'
			at++
		}
		at += hex.Encode(text[at:], b[:n])
		b = b[n:]
	}
	return string(text[:])
}

// end returns errCorrupt unless everything was read and fitted.
func (r *cursor) end() error {
	if r.bad || len(r.rest) > 0 {
		return errCorrupt
	}
	return nil
}
