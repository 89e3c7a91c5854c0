package wire

import (
	"unicode/utf8"

	"reckoner"
)

// decodeCanonical reads a record value as AppendEvent writes it: fields in the order of their numbers, each at most
// once, in the fewest bytes. It says false of every other one, and of all that is not a well-formed event: unknown
// fields, rules that this build does not know, quantities out of range, text that is not UTF-8. Those are left to
// protobuf's runtime (decodeMessage), so that what a record means never depends on this file. Like that it does not
// validate the event.
//
// The texts of the event share one copy of the record, so whoever keeps one text for long copies it.
func decodeCanonical(b []byte, newest uint32) (*reckoner.Event, bool) {
	// One allocation for all that the event points to, apart from texts and labels.
	d := new(struct {
		event    reckoner.Event
		quantity reckoner.Quantity
		limit    reckoner.Quantity
	})
	e, r := &d.event, reader{rest: string(b)}
	e.Rules = uint32(r.number(tagRules))
	e.Kind = reckoner.Kind(r.number(tagKind))
	e.ID = r.text(tagID)
	e.AccountID = r.text(tagAccountID)
	if !r.written(&e.Written, &d.quantity) || e.Rules > newest {
		return nil, false
	}
	e.Description = r.text(tagDescription)
	e.UserID = r.text(tagUserID)
	e.CustomerID = r.text(tagCustomerID)
	e.Metadata = r.labels()
	e.OrganizationID = r.text(tagOrganizationID)
	e.ProjectID = r.text(tagProjectID)
	e.Type = r.text(tagType)
	e.SubscriptionID = r.text(tagSubscriptionID)
	e.Meter.Name = r.text(tagMeter)
	e.Meter.Type = reckoner.MeterType(r.number(tagMeterType))
	start, _ := r.word(tagPeriodStart)
	end, _ := r.word(tagPeriodEnd)
	e.Limit = r.quantity(tagLimit, &d.limit)
	used, _ := r.word(tagUsageTime)
	if e.Kind == reckoner.Usage {
		e.UsageTime = fromNanos(int64(used))
		e.Period = reckoner.Period{Start: fromNanos(int64(start)), End: fromNanos(int64(end))}
	}
	received, _ := r.word(tagReceivedAt)
	e.ReceivedAt = fromNanos(int64(received))
	if updated, ok := r.word(tagUpdatedAt); ok {
		e.UpdatedAt = fromNanos(int64(updated))
	}
	e.ReplyTo = r.text(tagReplyTo)
	return e, r.ended()
}

// reader reads fields from the front of a message: a field that is not next is absent. What it does not know stays in
// rest, which is how a record that is not canonical is noticed.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) ended() bool { return !r.bad && r.rest == "" }

// written reports whether there is one. An event that lacks it is not valid.
func (r *reader) written(v *reckoner.Written, q *reckoner.Quantity) bool {
	if !r.next(tagWritten) {
		return false
	}
	m := reader{rest: r.take()}
	v.Type = m.text(tagWrittenType)
	v.Source = m.text(tagWrittenSource)
	v.Subscription = m.text(tagWrittenSubscription)
	v.Quantity = m.quantity(tagWrittenQuantity, q)
	v.UsageID = m.text(tagWrittenUsageID)
	v.AcceptPartial = m.number(tagWrittenAcceptPartial) != 0
	if used, ok := m.word(tagWrittenUsageTime); ok {
		v.UsageTime = fromNanos(int64(used))
	}
	return m.ended()
}

// labels reads all that stand here, and returns nil when there is none.
func (r *reader) labels() []reckoner.Label {
	n := 0
	for ahead := *r; ahead.next(tagMetadata); n++ {
		ahead.take()
	}
	if n == 0 {
		return nil
	}
	labels := make([]reckoner.Label, n)
	for i := range labels {
		r.next(tagMetadata)
		m := reader{rest: r.take()}
		labels[i].Key = m.text(tagLabelKey)
		labels[i].Value = m.text(tagLabelValue)
		labels[i].JSON = m.number(tagLabelJSON) != 0
		r.bad = r.bad || !m.ended()
	}
	return labels
}

// quantity reads into q and returns it, or nil when there is none.
func (r *reader) quantity(tag uint64, q *reckoner.Quantity) *reckoner.Quantity {
	if !r.next(tag) {
		return nil
	}
	m := reader{rest: r.take()}
	hi, _ := m.word(tagQuantityHigh)
	lo, _ := m.word(tagQuantityLow)
	var err error
	*q, err = reckoner.QuantityFromWords(int64(hi), lo)
	r.bad = r.bad || err != nil || !m.ended()
	return q
}

func (r *reader) text(tag uint64) string {
	if !r.next(tag) {
		return ""
	}
	s := r.take()
	r.bad = r.bad || !utf8.ValidString(s)
	return s
}

// number reads a varint of one byte. All that are valid in an event are that short.
func (r *reader) number(tag uint64) byte {
	if !r.next(tag) {
		return 0
	}
	if r.rest == "" || r.rest[0] >= 1<<7 {
		r.bad = true
		return 0
	}
	n := r.rest[0]
	r.rest = r.rest[1:]
	return n
}

// word reads 8 bytes, and reports whether they are there.
func (r *reader) word(tag uint64) (uint64, bool) {
	if !r.next(tag) {
		return 0, false
	}
	if len(r.rest) < 8 {
		r.bad = true
		return 0, false
	}
	s := r.rest
	r.rest = s[8:]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56, true
}

// next reports whether the field of this tag is the next one, and passes its tag.
func (r *reader) next(tag uint64) bool {
	s := r.rest
	if tag < 1<<7 {
		if s == "" || s[0] != byte(tag) {
			return false
		}
		r.rest = s[1:]
		return true
	}
	if len(s) < 2 || s[0] != byte(tag)|1<<7 || s[1] != byte(tag>>7) {
		return false
	}
	r.rest = s[2:]
	return true
}

// take returns the bytes of a text or of a message: up to 2 MiB of them, which no valid record reaches.
func (r *reader) take() string {
	if s := r.rest; s != "" && int(s[0]) < len(s) && s[0] < 1<<7 {
		end := 1 + int(s[0])
		r.rest = s[end:]
		return s[1:end]
	}
	return r.takeLong()
}

// takeLong takes what has a length of two or three bytes.
func (r *reader) takeLong() string {
	for n, i := 0, 0; i < 3 && i < len(r.rest); i++ {
		c := r.rest[i]
		n |= int(c&0x7f) << (7 * i)
		if c >= 1<<7 {
			continue
		}
		if s := r.rest[i+1:]; n <= len(s) {
			r.rest = s[n:]
			return s[:n]
		}
		break
	}
	r.bad = true
	return ""
}
