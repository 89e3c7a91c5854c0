package reckoner

import (
	"crypto/sha256"
	"encoding/binary"
)

// Fingerprint identifies what a producer wrote under an id: the first 16 bytes of a SHA-256. Two events of one id
// with the same fingerprint are a repetition, with different ones a conflict.
type Fingerprint [16]byte

// Fingerprint covers kind, type, source, subscription, quantity (normalised; none for all), usage id, partial
// acceptance and time of use, as the producer wrote them. It never covers what ingest resolved or stamped, so that a
// retry after a change of the catalog is still a duplicate; nor description, user and metadata, which count nothing.
func (e *Event) Fingerprint() Fingerprint {
	w := &e.Written
	b := make([]byte, 0, 256)
	b = append(b, 1, byte(e.Kind)) // 1 is the version of this layout
	b = appendText(b, w.Type)
	b = appendText(b, w.Source)
	b = appendText(b, w.Subscription)
	b = appendText(b, w.UsageID)
	b = append(b, flag(w.AcceptPartial), flag(w.Quantity != nil), flag(!w.UsageTime.IsZero()))
	if w.Quantity != nil {
		b = binary.BigEndian.AppendUint64(b, uint64(w.Quantity.hi))
		b = binary.BigEndian.AppendUint64(b, w.Quantity.lo)
	}
	if !w.UsageTime.IsZero() {
		b = binary.BigEndian.AppendUint64(b, uint64(w.UsageTime.UnixNano()))
	}
	sum := sha256.Sum256(b)
	return Fingerprint(sum[:16])
}

// appendText prefixes the length: joined texts would let "a-b" + "c" equal "a" + "b-c".
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}
