package runner_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner/vercel"
	"reckoner/ledger/report/runner"
)

// What a subscription used stays with the partner when the catalog has the subscription no more: the account is reported whole.
func TestSubscriptionsThatAreGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const whole = `
organizations: [{id: 6f0d0000-0000-4000-8000-000000000001}]
accounts: [{id: ` + accountA + `, organization: 6f0d0000-0000-4000-8000-000000000001}]
meters: [{name: calls, unit: calls, type: interval}]
installations: [{id: icfg_1, target: vercel, account: ` + accountA + `, base_url: "https://partner.test/api", token_env: TOKEN_1}]
subscriptions:
  - {id: s1, account: ` + accountA + `}
`
		b := newBench(t, whole+"  - {id: s2, account: "+accountA+"}\n", nil)
		for i, id := range []string{"s1", "s2", ""} {
			b.add(event{account: accountA, subscription: id, meter: "calls", at: time.Now(), quantity: reckoner.Units(int64(1 + i))}, reckoner.Cycle{})
		}
		b.run(t, runner.Request{})
		b.catalog = parse(t, whole)
		b.run(t, runner.Request{})
		for _, c := range b.partner.all {
			if c.EOD.After(time.Now()) && !bytes.Contains(c.body, []byte(`"dayValue":6,"periodValue":6`)) {
				t.Errorf("not all of 6: %s", c.body)
			}
		}
		rows := b.reports("icfg_1")
		last := rows[len(rows)-1]
		back, err := report.DecodeTerms(last.Inputs)
		if err != nil || fmt.Sprint(back.Gone) != "[s2]" || len(last.Scope) != 3 || last.Scope[2].SubscriptionID != "s2" {
			t.Errorf("kept as %+v with scope %+v, %v", back, last.Scope, err)
		}
		figures, err := b.memory.FiguresAt(t.Context(), []ledger.FiguresQuery{{
			AccountID: accountA, SubscriptionIDs: back.SubscriptionIDs(), AsOf: last.AsOf, Edges: back.Edges(report.Part{Period: last.Period, Day: last.Day}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		again, err := vercel.New(vercel.Options{}).Redraft(&last, readings(figures[0]))
		if err != nil || !bytes.Equal(again.Payload, last.Payload) {
			t.Errorf("made again as\n%s, and it was\n%s, %v", again.Payload, last.Payload, err)
		}
	})
}
