package clickhouse

import (
	"fmt"
	"math"
	"math/big"
	"time"

	"pgregory.net/rapid"

	"reckoner"
	"reckoner/ledger"
)

var accounts = []string{
	"00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", "00000000-0000-4000-8000-000000000003",
}

// drawQuantity draws from the whole range of Decimal(38, 3), its edges included.
func drawQuantity() *rapid.Generator[reckoner.Quantity] {
	edge := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
	greatest, err := reckoner.QuantityFromBig(edge.Sub(edge, big.NewInt(1)))
	if err != nil {
		panic(err)
	}
	return rapid.OneOf(
		rapid.Map(rapid.Int64(), reckoner.Thousandths),
		rapid.Map(rapid.Int64(), reckoner.Units),
		rapid.Map(rapid.Int64Range(-5000, 5000), reckoner.Thousandths),
		rapid.SampledFrom([]reckoner.Quantity{greatest, greatest.Neg(), {}, reckoner.Units(math.MaxInt64)}),
	)
}

func drawOptional() *rapid.Generator[*reckoner.Quantity] {
	return rapid.Custom(func(t *rapid.T) *reckoner.Quantity {
		if rapid.Bool().Draw(t, "absent") {
			return nil
		}
		q := drawQuantity().Draw(t, "q")
		return &q
	})
}

// drawTime draws from 1970 to 2199 to the nanosecond, both ends included.
func drawTime() *rapid.Generator[time.Time] {
	last := reckoner.MaxTime.UnixNano() - 1
	return rapid.Map(rapid.OneOf(rapid.Int64Range(0, last), rapid.SampledFrom([]int64{0, 1, last, 999_999_999})),
		func(ns int64) time.Time { return time.Unix(0, ns).UTC() })
}

func drawText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "x", "tab\tnewline\nnul\x00quote'\"\\", "Ünïcødé 😀", "NULL", "\\N"}))
}

func drawLabels() *rapid.Generator[[]reckoner.Label] {
	return rapid.Custom(func(t *rapid.T) []reckoner.Label {
		var labels []reckoner.Label
		for i := range rapid.IntRange(0, 3).Draw(t, "labels") {
			labels = append(labels, reckoner.Label{
				Key: fmt.Sprintf("%d%s", i, drawText().Draw(t, "key")), Value: drawText().Draw(t, "value"), JSON: rapid.Bool().Draw(t, "json"),
			})
		}
		return labels
	})
}

func drawFingerprint() *rapid.Generator[reckoner.Fingerprint] {
	return rapid.Custom(func(t *rapid.T) (f reckoner.Fingerprint) {
		for i := range f {
			f[i] = rapid.SampledFrom([]byte{0, 1, '\n', 0xff}).Draw(t, "byte")
		}
		return f
	})
}

func drawEntry(p reckoner.Position) *rapid.Generator[ledger.Entry] {
	return rapid.Custom(func(t *rapid.T) ledger.Entry {
		text := func(name string) string { return drawText().Draw(t, name) }
		e := ledger.Entry{
			Position: p, AccountID: rapid.SampledFrom(accounts).Draw(t, "account"), OrganizationID: text("org"),
			ProjectID: text("project"), SubscriptionID: text("subscription"), Meter: text("meter"),
			MeterType: rapid.SampledFrom([]reckoner.MeterType{reckoner.Interval, reckoner.Total, reckoner.Rate}).Draw(t, "meter type"),
			EventID:   text("id"), Kind: rapid.SampledFrom([]reckoner.Kind{reckoner.Usage, reckoner.Revert}).Draw(t, "kind"),
			Type: text("type"), UsageID: text("usage"), Quantity: drawQuantity().Draw(t, "quantity"),
			Requested: drawOptional().Draw(t, "requested"), Outcome: rapid.SampledFrom(reckoner.Outcomes()).Draw(t, "outcome"),
			Period:    reckoner.Period{Start: drawTime().Draw(t, "start"), End: drawTime().Draw(t, "end")},
			UsageTime: drawTime().Draw(t, "use"), ReceivedAt: drawTime().Draw(t, "received"), Source: text("source"),
			Description: text("description"), UserID: text("user"), CustomerID: text("customer"),
			Metadata: drawLabels().Draw(t, "metadata"), Limit: drawOptional().Draw(t, "limit"),
			Fingerprint: drawFingerprint().Draw(t, "fingerprint"), Rules: rapid.Uint32().Draw(t, "rules"),
		}
		e.Bucket = reckoner.BucketOf(e.UsageTime)
		if rapid.Bool().Draw(t, "updated") {
			e.UpdatedAt = drawTime().Draw(t, "updated at")
		}
		return e
	})
}

func drawRefusal(p reckoner.Position) *rapid.Generator[ledger.Refusal] {
	return rapid.Custom(func(t *rapid.T) ledger.Refusal {
		text := func(name string) string { return drawText().Draw(t, name) }
		r := ledger.Refusal{
			Position: p, AccountID: rapid.SampledFrom(append(accounts, "", "a\x00", "a\x00b", "\xff\xfe", `\N'`+"\t\n", "é")).Draw(t, "account"), OrganizationID: text("org"),
			ProjectID: text("project"), SubscriptionID: text("subscription"), Meter: text("meter"),
			MeterType: reckoner.MeterType(rapid.IntRange(0, 3).Draw(t, "meter type")), EventID: text("id"),
			Kind: reckoner.Kind(rapid.IntRange(0, 2).Draw(t, "kind")), Type: text("type"), UsageID: text("usage"),
			Requested: drawOptional().Draw(t, "requested"), Outcome: rapid.SampledFrom(reckoner.Outcomes()).Draw(t, "outcome"),
			Reason: text("reason"), ReceivedAt: drawTime().Draw(t, "received"), Source: text("source"),
			Fingerprint: drawFingerprint().Draw(t, "fingerprint"), Rules: rapid.Uint32().Draw(t, "rules"),
		}
		if rapid.Bool().Draw(t, "time known") {
			r.UsageTime = drawTime().Draw(t, "use")
		}
		return r
	})
}
