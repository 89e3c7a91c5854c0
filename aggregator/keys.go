package aggregator

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// The first byte of a key in a partition's store.
const (
	prefixMeta     = 'c' // the checkpoint and the store's identity
	prefixBuilding = 'b' // instead of it while the store is being built: how far it is
	prefixMemory   = 'm'
	prefixTotal    = 't'
	prefixUsed     = 'u'
)

// The form of an id within a key: a canonical UUID takes 16 bytes instead of 36.
const (
	formText = 0
	formUUID = 1
)

// keys builds store keys in one buffer: a key is valid until the next one is built. Every variable part but the last
// carries its length, so that no two keys of different parts are equal.
type keys struct{ buf []byte }

// id is the key of what is known about an ID, in the scope of (account, kind).
func (k *keys) id(account string, kind reckoner.Kind, id string) []byte {
	b := appendAccount(append(k.buf[:0], prefixMemory), account)
	b = append(b, byte(kind))
	if b2, ok := appendUUID(append(b, formUUID), id); ok {
		b = b2
	} else {
		b = append(append(b, formText), id...)
	}
	k.buf = b
	return b
}

// total is the key of a total.
func (k *keys) total(t *ledger.TotalKey) []byte {
	b := appendAccount(append(k.buf[:0], prefixTotal), t.AccountID)
	b = appendText(appendText(b, t.SubscriptionID), t.Meter)
	b = appendPeriod(append(b, byte(t.MeterType)), t.Period)
	b = appendTime(b, t.Bucket)
	k.buf = b
	return b
}

// used is the key of what counts against a limit.
func (k *keys) used(account, subscription, meter string, p reckoner.Period) []byte {
	b := appendAccount(append(k.buf[:0], prefixUsed), account)
	b = appendPeriod(appendText(appendText(b, subscription), meter), p)
	k.buf = b
	return b
}

// appendAccount appends an account id. Accounts are valid UUIDs wherever a key is built of one; should that ever
// break, the text form keeps keys apart all the same.
func appendAccount(b []byte, account string) []byte {
	if b2, ok := appendUUID(append(b, formUUID), account); ok {
		return b2
	}
	return appendText(append(b, formText), account)
}

// appendUUID appends the 16 bytes of a canonical lower-case UUID, and false when s is none.
func appendUUID(b []byte, s string) ([]byte, bool) {
	if !reckoner.IsUUID(s) {
		return nil, false
	}
	var digits [32]byte
	copy(digits[:], strings.ReplaceAll(s, "-", ""))
	n := len(b)
	b = append(b, make([]byte, 16)...)
	_, err := hex.Decode(b[n:], digits[:])
	return b, err == nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendPeriod(b []byte, p reckoner.Period) []byte {
	return appendTime(appendTime(b, p.Start), p.End)
}

// appendTime appends a time as big-endian nanoseconds, so that keys sort by time. Times in keys are never before 1970.
func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixNano()))
}
