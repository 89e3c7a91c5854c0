package verify

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// field is one column of a row, as text.
type field struct{ name, text string }

func entryFields(e *ledger.Entry) []field {
	return []field{
		{"account_id", e.AccountID}, {"organization_id", e.OrganizationID}, {"project_id", e.ProjectID},
		{"subscription_id", e.SubscriptionID}, {"meter", e.Meter}, {"meter_type", e.MeterType.String()},
		{"event_id", e.EventID}, {"kind", e.Kind.String()}, {"type", e.Type}, {"usage_id", e.UsageID},
		{"quantity", e.Quantity.String()}, {"requested", optional(e.Requested)}, {"outcome", e.Outcome.String()},
		{"period_start", instant(e.Period.Start)}, {"period_end", instant(e.Period.End)}, {"bucket", instant(e.Bucket)},
		{"usage_time", instant(e.UsageTime)}, {"received_at", instant(e.ReceivedAt)}, {"updated_at", instant(e.UpdatedAt)},
		{"source", e.Source}, {"description", e.Description}, {"user_id", e.UserID}, {"customer_id", e.CustomerID},
		{"metadata", labels(e.Metadata)}, {"limit", optional(e.Limit)}, {"fingerprint", fmt.Sprintf("%x", e.Fingerprint)},
		{"rules", fmt.Sprint(e.Rules)},
	}
}

func refusalFields(r *ledger.Refusal) []field {
	return []field{
		{"account_id", r.AccountID}, {"organization_id", r.OrganizationID}, {"project_id", r.ProjectID},
		{"subscription_id", r.SubscriptionID}, {"meter", r.Meter}, {"meter_type", r.MeterType.String()},
		{"event_id", r.EventID}, {"kind", r.Kind.String()}, {"type", r.Type}, {"usage_id", r.UsageID},
		{"requested", optional(r.Requested)}, {"outcome", r.Outcome.String()}, {"reason", r.Reason},
		{"usage_time", instant(r.UsageTime)}, {"received_at", instant(r.ReceivedAt)}, {"source", r.Source},
		{"fingerprint", fmt.Sprintf("%x", r.Fingerprint)}, {"rules", fmt.Sprint(r.Rules)},
	}
}

func totalFields(t *ledger.Total) []field {
	return []field{
		{"quantity", t.Quantity.String()}, {"events", fmt.Sprint(t.Events)}, {"reverts", fmt.Sprint(t.Reverts)},
		{"first_use", instant(t.FirstUse)}, {"last_use", instant(t.LastUse)}, {"reading", t.Reading.String()},
		{"position", t.Position.String()},
	}
}

func totalName(k *ledger.TotalKey) string {
	return fmt.Sprintf("account %s, subscription %q, meter %q (%s), period %s to %s, bucket %s",
		k.AccountID, k.SubscriptionID, k.Meter, k.MeterType, instant(k.Period.Start), instant(k.Period.End), instant(k.Bucket))
}

// optional keeps an absent quantity apart from every text that a quantity has.
func optional(q *reckoner.Quantity) string {
	if q == nil {
		return "absent"
	}
	return q.String()
}

func instant(t time.Time) string {
	if t.IsZero() {
		return "absent"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func labels(all []reckoner.Label) string {
	var b strings.Builder
	for _, l := range all {
		fmt.Fprintf(&b, "%q:%q:%t ", l.Key, l.Value, l.JSON)
	}
	return b.String()
}

// pack writes the texts of fields, each with its length, so that equal bytes mean equal fields.
func pack(b []byte, fields []field) []byte {
	for _, f := range fields {
		b = append(binary.AppendUvarint(b, uint64(len(f.text))), f.text...)
	}
	return b
}

// unpack is the inverse of pack; it takes the names from fields of the same kind.
func unpack(b []byte, like []field) []field {
	fields := make([]field, len(like))
	for i := range like {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return fields[:i]
		}
		fields[i] = field{like[i].name, string(b[size : size+int(n)])}
		b = b[size+int(n):]
	}
	return fields
}

// differ says in which columns two rows differ.
func differ(want, got []field) string {
	var parts []string
	for i := range min(len(want), len(got)) {
		if want[i].text != got[i].text {
			parts = append(parts, fmt.Sprintf("%s is %q, the log gives %q", want[i].name, got[i].text, want[i].text))
		}
	}
	if len(parts) == 0 {
		return "differs in its stored form"
	}
	return strings.Join(parts, "; ")
}
