package report

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"reckoner"
)

// The bytes are canonical: no escapes for HTML, prices without exponent or idle zeros, times cut to
// milliseconds, whatever zone they are written in.
func TestEncodeIsCanonical(t *testing.T) {
	kathmandu := time.FixedZone("", 20700)
	limit := reckoner.Thousandths(1)
	s := &Statement{
		Part: Part{
			Period: reckoner.Period{Start: instant(t, "2026-03-01T05:45:00+05:45"), End: instant(t, "2026-04-01T00:00:00Z")},
			Day:    reckoner.Period{End: instant(t, "2026-03-02T00:00:00.999999999Z")},
		},
		Timestamp: time.Date(2026, 3, 1, 5, 45, 59, 999_999_999, kathmandu),
		Rows:      []Row{{Meter: reckoner.Meter{Name: `<a & "b">`, Unit: "café\u2028", Type: reckoner.Rate}, Day: reckoner.Thousandths(500), Limit: &limit}},
		Items: []Item{{
			PlanID: "p", Meter: reckoner.Meter{Name: "m", Unit: "u"}, Price: decimal.New(2, 3), Quantity: reckoner.Thousandths(1500),
			End: instant(t, "2026-03-01T08:00:00.0019+05:45"),
		}, {PlanID: "p", Meter: reckoner.Meter{Name: "n", Unit: "u"}, Price: decimal.New(100, -12)}},
		Discounts: []Discount{{PlanID: "p", Name: "d", Amount: decimal.New(5125, -3)}},
	}
	const want = `{"timestamp":"2026-03-01T00:00:59.999Z","eod":"2026-03-02T00:00:00.999Z","period":{"start":"2026-03-01T00:00:00.000Z","end":"2026-04-01T00:00:00.000Z"},` +
		`"billing":{"items":[{"billingPlanId":"p","end":"2026-03-01T02:15:00.001Z","name":"m","price":"2000","quantity":1.5,"units":"u","total":"3000.00"},` +
		`{"billingPlanId":"p","name":"n","price":"0.0000000001","quantity":0,"units":"u","total":"0.00"}],"discounts":[{"billingPlanId":"p","name":"d","amount":"5.12"}]},` +
		`"usage":[{"name":"<a & \"b\">","type":"rate","units":"café\u2028","dayValue":0.5,"periodValue":0,"planValue":0.001}]}`
	got, err := s.Payload().Encode()
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s, want\n%s", err, got, want)
	}
	strict(t, got)
}
