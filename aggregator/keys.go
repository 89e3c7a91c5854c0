package aggregator

import (
	"encoding/binary"
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

// keys builds store keys in its own buffers: the key of an id is valid until the next of an id is built, any other until
// the next other. Every variable part but the last carries its length, so that no two keys of different parts are equal.
//
// What an event needs more than once is kept: its id's key is looked up and then written, and all of its keys hold its
// account.
type keys struct {
	buf []byte

	idKey     []byte // of (idAccount, idKind, idText), when it is not empty
	idAccount string
	idKind    reckoner.Kind
	idText    string

	account     string // accountForm is its form, when that is not empty
	accountForm []byte
}

// id is the key of what is known about an ID, in the scope of (account, kind).
func (k *keys) id(account string, kind reckoner.Kind, id string) []byte {
	if len(k.idKey) > 0 && k.idText == id && k.idAccount == account && k.idKind == kind {
		return k.idKey
	}
	b := k.appendAccount(append(k.idKey[:0], prefixMemory), account)
	b = append(b, byte(kind))
	if uuid, ok := reckoner.ParseUUID(id); ok {
		b = append(append(b, formUUID), uuid[:]...)
	} else {
		b = append(append(b, formText), id...)
	}
	k.idKey, k.idAccount, k.idKind, k.idText = b, account, kind, id
	return b
}

// total is the key of a total.
func (k *keys) total(t *ledger.TotalKey) []byte {
	b := k.appendAccount(append(k.buf[:0], prefixTotal), t.AccountID)
	b = appendText(appendText(b, t.SubscriptionID), t.Meter)
	b = appendPeriod(append(b, byte(t.MeterType)), t.Period)
	b = appendTime(b, t.Bucket)
	k.buf = b
	return b
}

// used is the key of what counts against a limit.
func (k *keys) used(account, subscription, meter string, p reckoner.Period) []byte {
	b := k.appendAccount(append(k.buf[:0], prefixUsed), account)
	b = appendPeriod(appendText(appendText(b, subscription), meter), p)
	k.buf = b
	return b
}

// appendAccount appends an account id. Accounts are valid UUIDs wherever a key is built of one; should that ever
// break, the text form keeps keys apart all the same.
func (k *keys) appendAccount(b []byte, account string) []byte {
	if len(k.accountForm) == 0 || k.account != account {
		form := k.accountForm[:0]
		if uuid, ok := reckoner.ParseUUID(account); ok {
			form = append(append(form, formUUID), uuid[:]...)
		} else {
			form = appendText(append(form, formText), account)
		}
		k.account, k.accountForm = account, form
	}
	return append(b, k.accountForm...)
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
