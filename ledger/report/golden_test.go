package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the payloads again")

const plain = `
plans:
  - {id: pro, prices: [{meter: api_calls, unit_price: "0.002", included: "1000"}, {meter: storage, unit_price: "0.10"}], discounts: [{name: launch, amount: "5"}]}
  - {id: calls, prices: [{meter: api_calls, unit_price: "0.0125", included: "100"}]}
  - {id: all, prices: [{meter: api_calls, unit_price: "0.01", included: "10"}, {meter: storage, unit_price: "0.5", included: "1"}, {meter: connections, unit_price: "2", included: "5"}]}
`

const one = plain + `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: calls, meter: api_calls, limit: "1000.5"}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [{subscription: sub_1, resource_id: res_1}]}]
`

const moved = `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: all, meter: api_calls, limit: "500"}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [
  {subscription: sub_1, resource_id: res_old, to: 2026-03-15T12:00:00Z},
  {subscription: sub_1, resource_id: res_new, from: 2026-03-15T12:00:00Z}]}]
`

// goldens are the payloads that are due at a moment, a line each, older first. Each shape's file is its name.
var goldens = []struct{ name, document, moment, usage string }{
	{"month rollover", one, "2026-04-01T00:05:00Z", `
		sub_1 api_calls 2026-03-31T23:59:59.999Z 40
		sub_1 api_calls 2026-03-02T10:00:00Z 100
		sub_1 api_calls 2026-04-01T00:00:00Z 7`},
	{"31st anchor", plain + `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: calls, meter: api_calls, period: {anchor: 2026-01-31T00:00:00Z}}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [{subscription: sub_1, resource_id: res_1}]}]`, "2026-02-28T09:00:00Z", `
		sub_1 api_calls 2026-01-31T00:00:00Z 150
		sub_1 api_calls 2026-02-27T23:59:00Z 2.5
		sub_1 api_calls 2026-02-28T00:00:00Z 3`},
	{"offset +05:45", plain + `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: calls, meter: api_calls}]
installations: [{id: icfg_1, account: ACCOUNT, day_ends_at: "+05:45", resources: [{subscription: sub_1, resource_id: res_1}]}]`, "2026-04-01T12:00:00Z", `
		sub_1 api_calls 2026-03-31T18:14:59Z 1
		sub_1 api_calls 2026-03-31T18:15:00Z 10
		sub_1 api_calls 2026-03-31T23:59:59Z 100
		sub_1 api_calls 2026-04-01T00:00:00Z 1000`},
	{"revert across midnight", one, "2026-03-15T00:20:00Z", `
		sub_1 api_calls 2026-03-14T23:50:00Z 30
		sub_1 api_calls 2026-03-14T10:00:00Z 5
		sub_1 api_calls 2026-03-15T00:01:00Z 2
		sub_1 api_calls 2026-03-14T23:50:00Z -30`},
	{"level and peak", plain + `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: all}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [{subscription: sub_1, resource_id: res_1}]}]`, "2026-03-15T08:00:00Z", `
		sub_1 storage 2026-02-20T00:00:00Z 12.5
		sub_1 connections 2026-02-28T23:00:00Z 900
		sub_1 connections 2026-03-10T00:00:00Z 80
		sub_1 connections 2026-03-15T07:00:00Z 20
		sub_1 storage 2026-03-15T06:00:00Z 4.25
		sub_1 storage 2026-03-14T06:00:00Z 40`},
	{"carried over without a reading", plain + `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: pro}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [{subscription: sub_1, resource_id: res_1}]}]`, "2026-03-01T08:00:00Z", `
		sub_1 storage 2025-11-20T00:00:00Z 12.5`},
	{"no usage", one, "2026-03-15T08:00:00Z", ``},
	{"three resources", plain + `
subscriptions:
  - {id: sub_1, account: ACCOUNT, plan: all, meter: api_calls, limit: "100"}
  - {id: sub_2, account: ACCOUNT, plan: all, meter: api_calls, limit: "250.5"}
  - {id: sub_3, account: ACCOUNT, meter: api_calls, limit: "1"}
installations: [{id: icfg_1, account: ACCOUNT, resources: [
  {subscription: sub_1, resource_id: res_1}, {subscription: sub_2, resource_id: res_2}, {subscription: sub_3, resource_id: res_3}]}]`, "2026-03-15T08:00:00Z", `
		sub_1 api_calls 2026-03-15T07:00:00Z 11.125
		sub_2 api_calls 2026-03-15T07:30:00Z 21
		sub_3 api_calls 2026-03-14T07:30:00Z 0.5
		sub_1 storage 2026-03-10T00:00:00Z 3
		sub_2 storage 2026-03-15T00:00:00Z 4
		sub_1 connections 2026-03-15T00:00:00Z 6
		sub_2 connections 2026-03-14T00:00:00Z 9
		sub_3 connections 2026-03-15T01:00:00Z 8`},
	{"included crossed in mid-day", one, "2026-03-15T13:00:00Z", `
		sub_1 api_calls 2026-03-14T12:00:00Z 90
		sub_1 api_calls 2026-03-15T11:00:00Z 10
		sub_1 api_calls 2026-03-15T12:00:00Z 0.2`},
	{"resource changed in mid-period", plain + moved, "2026-03-15T18:00:00Z", `
		sub_1 api_calls 2026-03-03T12:00:00Z 8
		sub_1 api_calls 2026-03-15T11:59:59Z 4
		sub_1 api_calls 2026-03-15T12:00:00Z 16
		sub_1 storage 2026-03-03T00:00:00Z 7
		sub_1 connections 2026-03-03T00:00:00Z 9
		sub_1 connections 2026-03-15T13:00:00Z 12`},
	{"before the resource changes", plain + moved, "2026-03-15T11:00:00Z", `
		sub_1 api_calls 2026-03-03T12:00:00Z 8
		sub_1 storage 2026-03-03T00:00:00Z 7`},
	{"resource removed", plain + `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: pro, meter: api_calls}, {id: sub_2, account: ACCOUNT, plan: pro, meter: api_calls}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [
  {subscription: sub_1, resource_id: res_1, from: 2026-02-01T00:00:00Z, to: 2026-03-10T10:05:00Z}, {subscription: sub_2, resource_id: res_2}]}]`, "2026-03-15T08:00:00Z", `
		sub_1 api_calls 2026-03-10T10:14:00Z 1500
		sub_1 api_calls 2026-03-10T10:15:00Z 9000
		sub_1 storage 2026-03-01T00:00:00Z 7
		sub_2 storage 2026-03-02T00:00:00Z 0.125`},
	{"whole account", plain + `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: pro}, {id: sub_2, account: ACCOUNT, plan: pro}]
installations: [{id: icfg_1, account: ACCOUNT}]`, "2026-03-15T08:00:00Z", `
		sub_1 api_calls 2026-03-10T10:00:00Z 1500
		sub_2 api_calls 2026-03-10T10:00:00Z 1250.001
		- credit 2026-03-15T01:00:00Z 12
		- egress 2026-03-15T01:00:00Z 0.001`},
	{"nothing but the account", `
installations: [{id: icfg_1, account: ACCOUNT}]`, "2026-03-15T08:00:00Z", ``},
	{"period that ends inside a bucket", plain + `
subscriptions: [{id: sub_1, account: ACCOUNT, plan: calls, meter: api_calls, period: {anchor: 2026-01-10T12:07:30.1239Z, every: week}}]
installations: [{id: icfg_1, account: ACCOUNT, resources: [{subscription: sub_1, resource_id: res_1}]}]`, "2026-03-14T13:00:00Z", `
		sub_1 api_calls 2026-03-14T12:07:30.1238Z 101
		sub_1 api_calls 2026-03-14T12:07:30.1239Z 102`},
	{"beyond 64 bits", one, "2026-03-15T13:00:00Z", `
		sub_1 api_calls 2026-03-15T12:00:00Z 99999999999999999999999999999999999.999`},
}

func TestGoldenPayloads(t *testing.T) {
	for _, tt := range goldens {
		t.Run(tt.name, func(t *testing.T) {
			terms, u := termsOf(t, tt.document), used(t, tt.usage)
			moment := instant(t, tt.moment)
			var got bytes.Buffer
			for _, part := range terms.Calendar().Due(moment, day) {
				b, err := u.statement(t, terms, part.Day.Start, moment).Payload().Encode()
				if err != nil {
					t.Fatal(err)
				}
				strict(t, b)
				got.Write(append(b, '\n'))
				moment = moment.Add(time.Millisecond)
			}
			file := filepath.Join("testdata", strings.NewReplacer(" ", "_", ":", "", "+", "").Replace(tt.name)+".jsonl")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("%s: %s", file, diff)
			}
		})
	}
}

// strict holds a payload against what the partner's schema says: these keys, these forms, nothing null.
func strict(t testing.TB, payload []byte) {
	t.Helper()
	const (
		when   = `"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`
		text   = `"(?:[^"\\]|\\.)+"`
		money  = `"\d+(?:\.\d+)?"`
		number = `(?:0|[1-9]\d*)(?:\.\d+)?`
		res    = `(?:"resourceId":` + text + `,)?`
		item   = `\{"billingPlanId":` + text + `,` + res + `(?:"start":` + when + `,)?(?:"end":` + when + `,)?"name":` + text + `,"price":` + money +
			`,"quantity":` + number + `,"units":` + text + `,"total":"\d+\.\d\d"\}`
		cut   = `\{"billingPlanId":` + text + `,` + res + `"name":` + text + `,"amount":"\d+\.\d\d"\}`
		row   = `\{` + res + `"name":` + text + `,"type":"(?:interval|total|rate)","units":` + text + `,"dayValue":` + number + `,"periodValue":` + number + `(?:,"planValue":` + number + `)?\}`
		items = `\[(?:` + item + `(?:,` + item + `)*)?\]`
		whole = `^\{"timestamp":` + when + `,"eod":` + when + `,"period":\{"start":` + when + `,"end":` + when + `\},"billing":(?:` + items +
			`|\{"items":` + items + `,"discounts":\[` + cut + `(?:,` + cut + `)*\]\}),"usage":\[(?:` + row + `(?:,` + row + `)*)?\]\}$`
	)
	if !json.Valid(payload) || !matches(whole, payload) {
		t.Fatalf("the partner does not take %s", payload)
	}
}
