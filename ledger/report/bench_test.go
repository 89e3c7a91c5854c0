package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"reckoner"
)

// BenchmarkReport makes the report of an installation with five meters, from its readings to its bytes.
func BenchmarkReport(b *testing.B) {
	terms := termsOf(b, strings.Replace(plain, "  - {id: all, prices: [", `  - {id: all, prices: [{meter: egress, unit_price: "0.09"}, {meter: seats, unit_price: "12"}, `, 1)+`
subscriptions: [{id: sub_1, account: ACCOUNT, plan: all, meter: api_calls, limit: "100000"}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [{subscription: sub_1, resource_id: res_1}]}]`)
	var u usage
	for _, meter := range []string{"api_calls", "egress", "storage", "seats", "connections"} {
		for d := 1; d <= 15; d++ {
			u = append(u, use{"sub_1", meter, instant(b, fmt.Sprintf("2026-03-%02dT07:00:00Z", d)), reckoner.Thousandths(int64(d) * 1234567)})
		}
	}
	moment := instant(b, "2026-03-15T08:00:00Z")
	part := terms.Calendar().At(moment)
	in := Input{Terms: terms, Part: part, Readings: u.readings(b, terms, part), Moment: moment}
	b.ReportAllocs()
	for b.Loop() {
		s, err := Make(in)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Payload().Encode(); err != nil {
			b.Fatal(err)
		}
		in.Moment = in.Moment.Add(time.Millisecond)
	}
}
