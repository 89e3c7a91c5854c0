package verify

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// packer writes the columns of a row, each with its length, so that equal bytes mean equal rows: texts as they are, what is
// dear to print as bytes. What shows them is collected only when somebody needs it.
type packer struct {
	b, scratch []byte
	columns    *[]column
}

// column is how a packed column is shown.
type column struct {
	name string
	show func(string) string // nil: it is a text
}

func (c *column) text(packed string) string {
	if c.show == nil {
		return packed
	}
	return c.show(packed)
}

func (p *packer) text(name, v string) {
	p.named(name, nil)
	p.b = append(binary.AppendUvarint(p.b, uint64(len(v))), v...)
}

// put adds what was built in scratch.
func (p *packer) put(name string, v []byte, show func(string) string) {
	p.named(name, show)
	p.b = append(binary.AppendUvarint(p.b, uint64(len(v))), v...)
	p.scratch = v[:0]
}

func (p *packer) named(name string, show func(string) string) {
	if p.columns != nil {
		*p.columns = append(*p.columns, column{name, show})
	}
}

// absent keeps what is not there apart from every text of a quantity or a time.
const absent = "absent"

func (p *packer) quantity(name string, q *reckoner.Quantity) {
	if q == nil {
		p.text(name, absent)
		return
	}
	p.put(name, q.Append(p.scratch), nil)
}

// time packs seconds and nanoseconds, so that every time has bytes of its own; none has none.
func (p *packer) time(name string, t time.Time) {
	b := p.scratch
	if !t.IsZero() {
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, uint64(t.Unix())), uint32(t.Nanosecond()))
	}
	p.put(name, b, showTime)
}

func showTime(packed string) string {
	if len(packed) != 12 {
		return absent
	}
	b := []byte(packed)
	t := time.Unix(int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint32(b[8:])))
	return t.UTC().Format(time.RFC3339Nano)
}

func (p *packer) number(name string, n uint64) {
	p.put(name, strconv.AppendUint(p.scratch, n, 10), nil)
}

func (p *packer) hash(name string, f reckoner.Fingerprint) {
	p.put(name, append(p.scratch, f[:]...), showHash)
}

func showHash(packed string) string { return hex.EncodeToString([]byte(packed)) }

// labels are three texts each: key, value, and what marks JSON.
func (p *packer) labels(name string, all []reckoner.Label) {
	b := p.scratch
	for _, l := range all {
		b = append(binary.AppendUvarint(b, uint64(len(l.Key))), l.Key...)
		b = append(binary.AppendUvarint(b, uint64(len(l.Value))), l.Value...)
		mark := ""
		if l.JSON {
			mark = " (JSON)"
		}
		b = append(binary.AppendUvarint(b, uint64(len(mark))), mark...)
	}
	p.put(name, b, showLabels)
}

func showLabels(packed string) string {
	var b strings.Builder
	for label := range slices.Chunk(unpack([]byte(packed)), 3) {
		fmt.Fprintf(&b, "%q:%q%s ", textAt(label, 0), textAt(label, 1), textAt(label, 2))
	}
	return b.String()
}

func (p *packer) position(name string, at reckoner.Position) { p.text(name, at.String()) }

func (p *packer) entry(e *ledger.Entry) {
	p.text("account_id", e.AccountID)
	p.text("organization_id", e.OrganizationID)
	p.text("project_id", e.ProjectID)
	p.text("subscription_id", e.SubscriptionID)
	p.text("meter", e.Meter)
	p.text("meter_type", e.MeterType.String())
	p.text("event_id", e.EventID)
	p.text("kind", e.Kind.String())
	p.text("type", e.Type)
	p.text("usage_id", e.UsageID)
	p.quantity("quantity", &e.Quantity)
	p.quantity("requested", e.Requested)
	p.text("outcome", e.Outcome.String())
	p.time("period_start", e.Period.Start)
	p.time("period_end", e.Period.End)
	p.time("bucket", e.Bucket)
	p.time("usage_time", e.UsageTime)
	p.time("received_at", e.ReceivedAt)
	p.time("updated_at", e.UpdatedAt)
	p.text("source", e.Source)
	p.text("description", e.Description)
	p.text("user_id", e.UserID)
	p.text("customer_id", e.CustomerID)
	p.labels("metadata", e.Metadata)
	p.quantity("limit", e.Limit)
	p.hash("fingerprint", e.Fingerprint)
	p.number("rules", uint64(e.Rules))
}

func (p *packer) refusal(r *ledger.Refusal) {
	p.text("account_id", r.AccountID)
	p.text("organization_id", r.OrganizationID)
	p.text("project_id", r.ProjectID)
	p.text("subscription_id", r.SubscriptionID)
	p.text("meter", r.Meter)
	p.text("meter_type", r.MeterType.String())
	p.text("event_id", r.EventID)
	p.text("kind", r.Kind.String())
	p.text("type", r.Type)
	p.text("usage_id", r.UsageID)
	p.quantity("requested", r.Requested)
	p.text("outcome", r.Outcome.String())
	p.text("reason", r.Reason)
	p.time("usage_time", r.UsageTime)
	p.time("received_at", r.ReceivedAt)
	p.text("source", r.Source)
	p.hash("fingerprint", r.Fingerprint)
	p.number("rules", uint64(r.Rules))
}

func (p *packer) total(t *ledger.Total) { p.totalAs(t, "that of its position") }

// totalAs packs a total with what is known of its version, which the ledger makes from its position.
func (p *packer) totalAs(t *ledger.Total, version string) {
	p.quantity("quantity", &t.Quantity)
	p.number("events", t.Events)
	p.number("reverts", t.Reverts)
	p.time("first_use", t.FirstUse)
	p.time("last_use", t.LastUse)
	p.position("reading", t.Reading)
	p.position("position", t.Position)
	p.text("version", version)
}

func (p *packer) checkpoint(c *ledger.Checkpoint) {
	p.number("next_offset", uint64(c.Next))
	p.number("entries", c.Entries)
	p.number("refusals", c.Refusals)
	p.number("entries_digest", c.EntriesDigest)
	p.number("refusals_digest", c.RefusalsDigest)
	p.number("rules", uint64(c.Rules))
	p.number("record_hash", c.RecordHash)
}

// packed returns a row as write packs it.
func packed[T any](write func(*packer, *T), row *T) []byte {
	p := packer{b: make([]byte, 0, 256), scratch: make([]byte, 0, 64)}
	write(&p, row)
	return p.b
}

// again is packed in the memory of the row before, which it overwrites.
func again[T any](p *packer, write func(*packer, *T), row *T) []byte {
	p.b = p.b[:0]
	write(p, row)
	return p.b
}

// columns returns the columns that write packs.
func columns[T any](write func(*packer, *T)) []column {
	var all []column
	write(&packer{columns: &all}, new(T))
	return all
}

// unpack is the inverse of packing.
func unpack(b []byte) (texts []string) {
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return texts
		}
		texts = append(texts, string(b[size:size+int(n)]))
		b = b[size+int(n):]
	}
	return texts
}

// differ says in which columns a row of the ledger differs from the one that the log gives.
func differ(all []column, want, got []byte) string {
	wants, gots := unpack(want), unpack(got)
	var parts []string
	for i, c := range all {
		if w, g := textAt(wants, i), textAt(gots, i); w != g {
			parts = append(parts, fmt.Sprintf("%s is %q, the log gives %q", c.name, c.text(g), c.text(w)))
		}
	}
	return strings.Join(parts, "; ")
}

func textAt(texts []string, i int) string {
	if i >= len(texts) {
		return ""
	}
	return texts[i]
}
