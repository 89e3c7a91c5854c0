package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"reckoner"
)

// EntryDigest is the hash that the view account_digests sums modulo 2^64, so that two parties can compare what they
// hold without exchanging it: the first 8 bytes, little-endian, of the SHA-256 of
//
//	<kind> ":" <quantity> ":" <event id>
//
// with kind `usage` or `revert` and the quantity signed and canonical (`-12.5`). Neither holds a colon and the id
// comes last, so no two different entries share a text.
func EntryDigest(kind reckoner.Kind, q reckoner.Quantity, eventID string) uint64 {
	var buf [128]byte
	b := append(buf[:0], kind.String()...)
	b = append(b, ':')
	b = q.Append(b)
	b = append(b, ':')
	return digest(append(b, eventID...))
}

// RowDigest is the hash that a checkpoint sums over the entries and over the refusals of its partition: the first 8
// bytes, little-endian, of the SHA-256 of
//
//	<offset> "." <index> ":" <outcome> ":" <quantity> ":" <account id> ":" <event id>
//
// with the quantity of a refusal 0.
func RowDigest(p reckoner.Position, o reckoner.Outcome, q reckoner.Quantity, accountID, eventID string) uint64 {
	var buf [192]byte
	b := strconv.AppendInt(buf[:0], p.Offset, 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(p.Index), 10)
	b = append(b, ':')
	b = append(b, o.String()...)
	b = append(b, ':')
	b = q.Append(b)
	b = append(b, ':')
	b = append(b, accountID...)
	b = append(b, ':')
	return digest(append(b, eventID...))
}

// RecordHash identifies a record of the log by its key and value, length-prefixed. It is how a topic that was deleted
// and created again is noticed.
func RecordHash(key, value []byte) uint64 {
	b := make([]byte, 0, len(key)+len(value)+16)
	b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	b = append(binary.AppendUvarint(b, uint64(len(value))), value...)
	return digest(b)
}

func digest(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:8])
}
