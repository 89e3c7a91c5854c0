package verify

import (
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// What is packed as bytes is shown as text, and what is absent is told from what is there.
func TestDifferencesAreShownAsText(t *testing.T) {
	log := ledger.Entry{
		UsageTime: time.Date(2026, 3, 1, 12, 0, 0, 5, time.FixedZone("", 3600)), Fingerprint: reckoner.Fingerprint{1, 0xab},
		Metadata: []reckoner.Label{{Key: "a", Value: "b\n"}, {Key: "c", Value: "1", JSON: true}},
	}
	held := ledger.Entry{UpdatedAt: time.Unix(0, 0), Metadata: []reckoner.Label{{Key: "a", Value: "b"}}}
	want := `usage_time is "absent", the log gives "2026-03-01T11:00:00.000000005Z"; ` +
		`updated_at is "1970-01-01T00:00:00Z", the log gives "absent"; ` +
		`metadata is "\"a\":\"b\" ", the log gives "\"a\":\"b\\n\" \"c\":\"1\" (JSON) "; ` +
		`fingerprint is "00000000000000000000000000000000", the log gives "01ab0000000000000000000000000000"`
	if got := differ(columns((*packer).entry), packed((*packer).entry, &log), packed((*packer).entry, &held)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
