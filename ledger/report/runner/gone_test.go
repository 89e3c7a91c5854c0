package runner_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"reckoner"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner/vercel"
	"reckoner/ledger/report/runner"
)

// What a subscription used, and what that costs, stays with the partner until its period is over, though the catalog has it no
// more: the account is reported whole. In later periods nothing is left of it, its level neither.
func TestSubscriptionsThatAreGone(t *testing.T) {
	const (
		party = `
organizations: [{id: 6f0d0000-0000-4000-8000-000000000001}]
accounts: [{id: ` + accountA + `, organization: 6f0d0000-0000-4000-8000-000000000001}]
meters: [{name: calls, unit: calls, type: interval}, {name: disk, unit: GB, type: total}]
installations: [{id: icfg_1, target: vercel, account: ` + accountA + `, base_url: "https://partner.test/api", token_env: TOKEN_1}]
`
		before = party + `
plans: [{id: pro, prices: [{meter: calls, unit_price: "0.5"}], discounts: [{name: launch, amount: "1.00"}]}]
subscriptions: [{id: s1, account: ` + accountA + `}, {id: s2, account: ` + accountA + `, plan: pro}]
`
		after = party + "subscriptions: [{id: s1, account: " + accountA + "}]\n"
	)
	bubble(t, func(t *testing.T) {
		b := newBench(t, before, nil)
		use := func(subscription, meter string, units int64) {
			b.add(event{account: accountA, subscription: subscription, meter: meter, at: time.Now(), quantity: reckoner.Units(units)}, reckoner.Cycle{})
		}
		use("s1", "calls", 1)
		use("s2", "calls", 2)
		use("", "calls", 3)
		use("s2", "disk", 7)
		use("never known", "calls", 4)
		last := func() []byte { return b.partner.all[len(b.partner.all)-1].body }
		b.run(t, runner.Request{})
		told := said(last())
		if !strings.Contains(told, `"dayValue":10,"periodValue":10`) || !strings.Contains(told, `"total":"1.00"`) || !strings.Contains(told, `"amount":"1.00"`) {
			t.Fatalf("before anything is gone: %s", told)
		}
		b.catalog = parse(t, after)
		for range 2 { // the second time what is gone is known only by the report in which it was gone already
			b.run(t, runner.Request{})
			if now := said(last()); now != told {
				t.Errorf("told\n%s\nafter\n%s", now, told)
			}
		}
		row := b.reports("icfg_1")[len(b.reports("icfg_1"))-1]
		proven(t, b.memory, &row)

		time.Sleep(31 * 24 * time.Hour)
		b.run(t, runner.Request{})
		if now := said(last()); now != `"billing":[],"usage":[]}` {
			t.Errorf("in the next period it is told %s", now)
		}
	})
}

// said is what a payload says but for its times.
func said(payload []byte) string { return string(payload[bytes.Index(payload, []byte(`"billing"`)):]) }

// proven makes a kept report again.
func proven(t *testing.T, m *memory, r *ledger.Report) {
	t.Helper()
	terms, err := report.DecodeTerms(r.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	figures, err := m.FiguresAt(t.Context(), []ledger.FiguresQuery{{
		AccountID: r.AccountID, SubscriptionIDs: terms.SubscriptionIDs(), AsOf: r.AsOf, Edges: terms.Edges(report.Part{Period: r.Period, Day: r.Day}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := vercel.New(vercel.Options{}).Redraft(r, readings(figures[0]))
	if err != nil || !bytes.Equal(again.Payload, r.Payload) || fmt.Sprint(again.Scope) != fmt.Sprint(r.Scope) {
		t.Errorf("made again as\n%s\nand it was\n%s, %v", again.Payload, r.Payload, err)
	}
}
