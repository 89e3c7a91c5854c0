package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"reckoner"
)

// EncodeEvent returns the record value of an event. It fails only on text that is not UTF-8.
func EncodeEvent(e *reckoner.Event) ([]byte, error) {
	var buf [512]byte
	b, err := AppendEvent(buf[:0], e)
	if err != nil {
		return nil, err
	}
	return slices.Clone(b), nil
}

// AppendEvent appends the record value of an event to b, canonical: each field once, by its number, and none that is
// zero. Those are the bytes that protobuf's runtime writes too. On text that is not UTF-8 it fails and returns b as it
// was.
func AppendEvent(b []byte, e *reckoner.Event) ([]byte, error) {
	if !textsAreUTF8(e) {
		return b, fmt.Errorf("encode event %q: a text is not UTF-8", e.ID)
	}
	b = appendNumber(b, tagRules, uint64(e.Rules))
	b = appendNumber(b, tagKind, uint64(e.Kind))
	b = appendText(b, tagID, e.ID)
	b = appendText(b, tagAccountID, e.AccountID)
	b = appendWritten(b, &e.Written)
	b = appendText(b, tagDescription, e.Description)
	b = appendText(b, tagUserID, e.UserID)
	b = appendText(b, tagCustomerID, e.CustomerID)
	for i := range e.Metadata {
		b = appendLabel(b, &e.Metadata[i])
	}
	b = appendText(b, tagOrganizationID, e.OrganizationID)
	b = appendText(b, tagProjectID, e.ProjectID)
	b = appendText(b, tagType, e.Type)
	b = appendText(b, tagSubscriptionID, e.SubscriptionID)
	b = appendText(b, tagMeter, e.Meter.Name)
	b = appendNumber(b, tagMeterType, uint64(e.Meter.Type))
	b = appendTime(b, tagPeriodStart, e.Period.Start)
	b = appendTime(b, tagPeriodEnd, e.Period.End)
	b = appendQuantity(b, tagLimit, e.Limit)
	b = appendTime(b, tagUsageTime, e.UsageTime)
	b = appendTime(b, tagReceivedAt, e.ReceivedAt)
	b = appendOptionalTime(b, tagUpdatedAt, e.UpdatedAt)
	return appendText(b, tagReplyTo, e.ReplyTo), nil
}

// textsAreUTF8 looks at every text that AppendEvent writes: protobuf's strings hold nothing else.
func textsAreUTF8(e *reckoner.Event) bool {
	w := &e.Written
	for i := range e.Metadata {
		if l := &e.Metadata[i]; !utf8.ValidString(l.Key) || !utf8.ValidString(l.Value) {
			return false
		}
	}
	return utf8.ValidString(e.ID) && utf8.ValidString(e.AccountID) &&
		utf8.ValidString(w.Type) && utf8.ValidString(w.Source) && utf8.ValidString(w.Subscription) && utf8.ValidString(w.UsageID) &&
		utf8.ValidString(e.Description) && utf8.ValidString(e.UserID) && utf8.ValidString(e.CustomerID) &&
		utf8.ValidString(e.OrganizationID) && utf8.ValidString(e.ProjectID) && utf8.ValidString(e.Type) &&
		utf8.ValidString(e.SubscriptionID) && utf8.ValidString(e.Meter.Name) && utf8.ValidString(e.ReplyTo)
}

func appendWritten(b []byte, w *reckoner.Written) []byte {
	b, start := openMessage(b, tagWritten)
	b = appendText(b, tagWrittenType, w.Type)
	b = appendText(b, tagWrittenSource, w.Source)
	b = appendText(b, tagWrittenSubscription, w.Subscription)
	b = appendQuantity(b, tagWrittenQuantity, w.Quantity)
	b = appendText(b, tagWrittenUsageID, w.UsageID)
	b = appendFlag(b, tagWrittenAcceptPartial, w.AcceptPartial)
	b = appendOptionalTime(b, tagWrittenUsageTime, w.UsageTime)
	return closeMessage(b, start)
}

func appendLabel(b []byte, l *reckoner.Label) []byte {
	b, start := openMessage(b, tagMetadata)
	b = appendText(b, tagLabelKey, l.Key)
	b = appendText(b, tagLabelValue, l.Value)
	b = appendFlag(b, tagLabelJSON, l.JSON)
	return closeMessage(b, start)
}

func appendQuantity(b []byte, tag uint64, q *reckoner.Quantity) []byte {
	if q == nil {
		return b
	}
	hi, lo := q.Words()
	b, start := openMessage(b, tag)
	b = appendWord(b, tagQuantityHigh, uint64(hi))
	b = appendWord(b, tagQuantityLow, lo)
	return closeMessage(b, start)
}

func appendText(b []byte, tag uint64, s string) []byte {
	if s == "" {
		return b
	}
	return append(binary.AppendUvarint(appendTag(b, tag), uint64(len(s))), s...)
}

func appendNumber(b []byte, tag, n uint64) []byte {
	if n == 0 {
		return b
	}
	return binary.AppendUvarint(appendTag(b, tag), n)
}

func appendFlag(b []byte, tag uint64, on bool) []byte {
	if !on {
		return b
	}
	return append(appendTag(b, tag), 1)
}

func appendWord(b []byte, tag, n uint64) []byte {
	if n == 0 {
		return b
	}
	return binary.LittleEndian.AppendUint64(appendTag(b, tag), n)
}

// appendTime writes a time without presence: absent is 1970. time.Time.UnixNano is undefined for the zero time.
func appendTime(b []byte, tag uint64, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendWord(b, tag, uint64(t.UnixNano()))
}

// appendOptionalTime writes a time with presence: 1970 is not absent.
func appendOptionalTime(b []byte, tag uint64, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return binary.LittleEndian.AppendUint64(appendTag(b, tag), uint64(t.UnixNano()))
}

func appendTag(b []byte, tag uint64) []byte {
	if tag < 1<<7 {
		return append(b, byte(tag))
	}
	return append(b, byte(tag)|1<<7, byte(tag>>7)) // no field has a number above 2047
}

// openMessage begins a message within the message; start is what closeMessage needs. Nearly all are shorter than 128
// bytes, so one byte is kept free for the length, and closeMessage moves the rest where that is not enough.
func openMessage(b []byte, tag uint64) (_ []byte, start int) {
	b = append(appendTag(b, tag), 0)
	return b, len(b)
}

func closeMessage(b []byte, start int) []byte {
	n := len(b) - start
	if n < 1<<7 {
		b[start-1] = byte(n)
		return b
	}
	var length [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(length[:], uint64(n))
	b[start-1] = length[0]
	return slices.Insert(b, start, length[1:size]...)
}
