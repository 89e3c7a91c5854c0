package receiver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// base is a report that breaks no rule at now: two resources with roll-ups of each type, items and a discount.
const base = `{"timestamp":"2026-03-15T08:00:00.001Z","eod":"2026-03-16T00:00:00.000Z",` +
	`"period":{"start":"2026-03-01T00:00:00.000Z","end":"2026-04-01T00:00:00.000Z"},` +
	`"billing":{"items":[` +
	`{"billingPlanId":"pro","resourceId":"res_1","start":"2026-03-02T00:00:00.000Z","end":"2026-03-09T00:00:00.000Z","name":"calls","details":"","price":"0.015","quantity":1,"units":"n","total":"0.02"},` +
	`{"billingPlanId":"pro","name":"level","price":"2","quantity":0.50,"units":"GB","total":"1"}],` +
	`"discounts":[{"billingPlanId":"pro","resourceId":"res_1","start":"2026-03-02T00:00:00.000Z","end":"2026-03-02T00:00:00.000Z","name":"launch","details":"x","amount":"5.00"}]},` +
	`"usage":[` +
	`{"name":"calls","type":"interval","units":"n","dayValue":0.3,"periodValue":3.3,"planValue":10},` +
	`{"resourceId":"res_1","name":"calls","type":"interval","units":"n","dayValue":0.1,"periodValue":1.1},` +
	`{"resourceId":"res_2","name":"calls","type":"interval","units":"n","dayValue":0.2,"periodValue":2.2},` +
	`{"name":"level","type":"total","units":"GB","dayValue":7,"periodValue":7},` +
	`{"resourceId":"res_1","name":"level","type":"total","units":"GB","dayValue":3,"periodValue":3},` +
	`{"resourceId":"res_2","name":"level","type":"total","units":"GB","dayValue":4,"periodValue":4},` +
	`{"name":"peak","type":"rate","units":"1/s","dayValue":8,"periodValue":9},` +
	`{"resourceId":"res_1","name":"peak","type":"rate","units":"1/s","dayValue":8,"periodValue":8},` +
	`{"resourceId":"res_2","name":"peak","type":"rate","units":"1/s","dayValue":1,"periodValue":9}]}`

var now = time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC)

// change is one replacement in base.
type change struct{ old, new string }

func (c change) in(t *testing.T, body string) string {
	t.Helper()
	if strings.Count(body, c.old) == 0 {
		t.Fatalf("%q is not in the body", c.old)
	}
	return strings.Replace(body, c.old, c.new, 1)
}

// broken are bodies that each break one rule, and what is said of it.
var broken = []struct {
	name string
	change
	want string
	more []change
}{
	// The schema: required keys, no others, none twice.
	{"timestamp missing", change{`"timestamp":"2026-03-15T08:00:00.001Z",`, ``}, "timestamp: is missing", nil},
	{"eod missing", change{`"eod":"2026-03-16T00:00:00.000Z",`, ``}, "eod: is missing", nil},
	{"period missing", change{`"period":{"start":"2026-03-01T00:00:00.000Z","end":"2026-04-01T00:00:00.000Z"},`, ``}, "period: is missing", nil},
	{"period start missing", change{`"start":"2026-03-01T00:00:00.000Z",`, ``}, "period.start: is missing", nil},
	{"period end missing", change{`,"end":"2026-04-01T00:00:00.000Z"`, ``}, "period.end: is missing", nil},
	{"plan of an item missing", change{`{"billingPlanId":"pro","name":"level"`, `{"name":"level"`}, "billing.items[1].billingPlanId: is missing", nil},
	{"name of an item missing", change{`"pro","name":"level",`, `"pro",`}, "billing.items[1].name: is missing", nil},
	{"price missing", change{`"price":"0.015",`, ``}, "billing.items[0].price: is missing", nil},
	{"quantity missing", change{`"quantity":1,`, ``}, "billing.items[0].quantity: is missing", nil},
	{"units of an item missing", change{`"quantity":1,"units":"n",`, `"quantity":1,`}, "billing.items[0].units: is missing", nil},
	{"total missing", change{`,"total":"0.02"`, ``}, "billing.items[0].total: is missing", nil},
	{"plan of a discount missing", change{`"discounts":[{"billingPlanId":"pro",`, `"discounts":[{`}, "billing.discounts[0].billingPlanId: is missing", nil},
	{"name of a discount missing", change{`"name":"launch",`, ``}, "billing.discounts[0].name: is missing", nil},
	{"amount missing", change{`,"amount":"5.00"`, ``}, "billing.discounts[0].amount: is missing", nil},
	{"name of usage missing", change{`{"name":"peak",`, `{`}, "usage[6].name: is missing", nil},
	{"type missing", change{`"type":"rate",`, ``}, "usage[6].type: is missing", nil},
	{"units of usage missing", change{`"units":"1/s",`, ``}, "usage[6].units: is missing", nil},
	{"dayValue missing", change{`"dayValue":0.3,`, ``}, "usage[0].dayValue: is missing", nil},
	{"periodValue missing", change{`"periodValue":3.3,`, ``}, "usage[0].periodValue: is missing", nil},
	{"a key more", change{`{"timestamp"`, `{"asOf":{"a":[1,{}]},"timestamp"`}, "asOf: is no key of the schema", nil},
	{"a key more in the period", change{`"period":{`, `"period":{"days":31,`}, "period.days: is no key of the schema", nil},
	{"a key more in billing", change{`"billing":{`, `"billing":{"total":"1",`}, "billing.total: is no key of the schema", nil},
	{"a key more in an item", change{`"price":"2"`, `"price":"2","currency":"USD"`}, "billing.items[1].currency: is no key of the schema", nil},
	{"a key more in a discount", change{`"amount"`, `"rate":1,"amount"`}, "billing.discounts[0].rate: is no key of the schema", nil},
	{"a key more in usage", change{`"planValue":10`, `"planValue":10,"a b":1`}, `usage[0]."a b": is no key of the schema`, nil},
	{"a key in the wrong case", change{`"usage":[`, `"Usage":[],"usage":[`}, "Usage: is no key of the schema", nil},
	{"a key twice", change{`"eod":`, `"eod":"2026-03-15T09:00:00.000Z","eod":`}, "eod: the key is given twice", nil},
	{"a key twice, the second escaped", change{`"units":"n","total"`, `"units":"n","unit\u0073":"m","total"`}, "billing.items[0].units: the key is given twice", nil},
	// Types, and nothing null.
	{"a null", change{`"planValue":10`, `"planValue":null`}, "usage[0].planValue: is null, and nothing may be", nil},
	{"a null in the place of an object", change{`{"start":"2026-03-01T00:00:00.000Z","end":"2026-04-01T00:00:00.000Z"}`, `null`}, "period: is null, and nothing may be", nil},
	{"a number for a string", change{`"price":"2"`, `"price":2`}, "billing.items[1].price: is a number: want an amount", nil},
	{"a string for a number", change{`"dayValue":0.3`, `"dayValue":"0.3"`}, "usage[0].dayValue: is a string: want a number", nil},
	{"a number for a time", change{`"2026-03-16T00:00:00.000Z"`, `1773619200000`}, "eod: is a number: want a time", nil},
	{"a boolean", change{`"name":"launch"`, `"name":true`}, "billing.discounts[0].name: is a boolean: want a string", nil},
	{"an object for a list", change{`"discounts":[`, `"discounts":{"a":[`}, "billing.discounts: is an object: want an array", []change{{`"amount":"5.00"}]}`, `"amount":"5.00"}]}}`}}},
	{"an array for a string", change{`"details":"x"`, `"details":["x"]`}, "billing.discounts[0].details: is an array: want a string", nil},
	{"a string for billing", change{base[strings.Index(base, `{"items"`):strings.Index(base, `,"usage"`)], `"x"`}, "billing: is a string: want an array of items", nil},
	{"an empty text", change{`"name":"launch"`, `"name":""`}, "billing.discounts[0].name: is empty", nil},
	{"an empty resource", change{`"resourceId":"res_1","start"`, `"resourceId":"","start"`}, "billing.items[0].resourceId: is empty", nil},
	{"an unknown type", change{`"type":"rate"`, `"type":"gauge"`}, `usage[6].type: is "gauge": want interval, total or rate`, nil},
	// Times.
	{"an offset", change{`"2026-03-16T00:00:00.000Z"`, `"2026-03-16T00:00:00.000+00:00"`}, "eod: is", nil},
	{"no milliseconds", change{`"2026-03-16T00:00:00.000Z"`, `"2026-03-16T00:00:00Z"`}, "eod: is", nil},
	{"microseconds", change{`"2026-03-16T00:00:00.000Z"`, `"2026-03-16T00:00:00.000000Z"`}, "eod: is", nil},
	{"a comma", change{`"2026-03-16T00:00:00.000Z"`, `"2026-03-16T00:00:00,000Z"`}, "eod: is", nil},
	{"a day that there is not", change{`"2026-03-02T00:00:00.000Z"`, `"2026-02-30T00:00:00.000Z"`}, "billing.items[0].start: is", nil},
	{"hour 24", change{`"2026-03-16T00:00:00.000Z"`, `"2026-03-15T24:00:00.000Z"`}, "eod: is", nil},
	{"a small z", change{`"2026-03-16T00:00:00.000Z"`, `"2026-03-16T00:00:00.000z"`}, "eod: is", nil},
	{"a period of no time", change{`"start":"2026-03-01`, `"start":"2026-03-16`}, "period: it ends at 2026-03-16T00:00:00.000Z, not after its start", []change{{`"end":"2026-04-01`, `"end":"2026-03-16`}}},
	{"eod before the period", change{`"start":"2026-03-01`, `"start":"2026-03-17`}, "eod: 2026-03-16T00:00:00.000Z is before the period's start", nil},
	{"eod after the period", change{`"end":"2026-04-01`, `"end":"2026-03-15`}, "eod: 2026-03-16T00:00:00.000Z is after the period's end", nil},
	{"eod too old", change{`"eod":"2026-03-16T00:00:00.000Z"`, `"eod":"2026-03-14T07:59:59.999Z"`}, "eod: 2026-03-14T07:59:59.999Z is older than 24 hours", nil},
	{"an item that ends before its start", change{`"end":"2026-03-09`, `"end":"2026-03-01`}, "billing.items[0]: it ends at 2026-03-01T00:00:00.000Z, before its start", nil},
	{"a discount that ends before its start", change{`"end":"2026-03-02T00:00:00.000Z"`, `"end":"2026-03-01T00:00:00.000Z"`}, "billing.discounts[0]: it ends", nil},
	// Money and numbers.
	{"a sign", change{`"price":"2"`, `"price":"+2"`}, `billing.items[1].price: is "+2"`, nil},
	{"a negative amount", change{`"amount":"5.00"`, `"amount":"-5.00"`}, `billing.discounts[0].amount: is "-5.00"`, nil},
	{"an exponent", change{`"price":"2"`, `"price":"2e0"`}, `billing.items[1].price: is "2e0"`, nil},
	{"no digit before the dot", change{`"price":"0.015"`, `"price":".015"`}, `billing.items[0].price: is ".015"`, nil},
	{"no digit after the dot", change{`"price":"2"`, `"price":"2."`}, `billing.items[1].price: is "2."`, nil},
	{"a currency", change{`"total":"1"`, `"total":"$1"`}, `billing.items[1].total: is "$1"`, nil},
	{"other digits", change{`"total":"1"`, `"total":"١"`}, "billing.items[1].total: is", nil},
	{"an amount without end", change{`"amount":"5.00"`, `"amount":"` + strings.Repeat("9", 101) + `"`}, "billing.discounts[0].amount: is", nil},
	{"a negative figure", change{`"planValue":10`, `"planValue":-10`}, "usage[0].planValue: is -10: no figure is negative", nil},
	{"minus zero", change{`"planValue":10`, `"planValue":-0`}, "usage[0].planValue: is -0: no figure is negative", nil},
	{"a number without end", change{`"planValue":10`, `"planValue":1e999999999`}, "usage[0].planValue: is 1e999999999: that is out of range", nil},
	{"a number beside the range of exponents", change{`"planValue":10`, `"planValue":1e99999999999999999999`}, "that is out of range", nil},
	// What the values say.
	{"an item of no metric", change{`"name":"calls","details"`, `"name":"Calls","details"`}, `billing.items[0]: "Calls" is the name of no metric in usage`, nil},
	{"a total rounded up", change{`"price":"0.015"`, `"price":"0.025"`}, "billing.items[0]: total is 0.03, and price × quantity is 0.02", []change{{`"total":"0.02"`, `"total":"0.03"`}}},
	{"a total that is none", change{`"total":"0.02"`, `"total":"0.01"`}, "billing.items[0]: total is 0.01, and price × quantity is 0.02", nil},
	{"a total that is not rounded", change{`"total":"0.02"`, `"total":"0.015"`}, "billing.items[0]: total is 0.015, and price × quantity is 0.02", nil},
	{"a sum that is none", change{`"dayValue":0.3`, `"dayValue":0.30000000000000004`}, "usage[0]: the roll-up of calls has dayValue 0.30000000000000004", nil},
	{"a level that is no sum", change{`"periodValue":7`, `"periodValue":4`}, "usage[3]: the roll-up of level has dayValue 7 and periodValue 4, and its resources come to 7 and 7", nil},
	{"a peak that is a sum", change{`"dayValue":8,"periodValue":9}`, `"dayValue":9,"periodValue":9}`}, "usage[6]: the roll-up of peak has dayValue 9 and periodValue 9, and its resources come to 8 and 9", nil},
	{"no roll-up", change{`{"name":"peak","type":"rate","units":"1/s","dayValue":8,"periodValue":9},`, ``}, "usage: peak (rate) has rows of resources and no roll-up beside them", nil},
	{"a row twice", change{`"resourceId":"res_2","name":"peak"`, `"resourceId":"res_1","name":"peak"`}, "usage[8]: peak (rate) of resource res_1 is given twice", nil},
	{"a roll-up twice", change{`"usage":[`, `"usage":[{"name":"calls","type":"interval","units":"n","dayValue":0.3,"periodValue":3.3},`}, "usage[1]: calls (interval) of the whole installation is given twice", nil},
	{"two units", change{`"units":"GB","dayValue":4`, `"units":"MB","dayValue":4`}, `usage[5]: level (total) of resource res_2 is in "MB", and in "GB" before`, nil},
	// JSON.
	{"nothing", change{base, ``}, "the body is empty", nil},
	{"white space", change{base, " \n"}, "the body is empty", nil},
	{"no object", change{base, `[]`}, "is an array: want an object", nil},
	{"null", change{base, `null`}, "is null, and nothing may be: want an object", nil},
	{"two values", change{base, base + base}, "more follows the JSON value", nil},
	{"a comma too many", change{`"periodValue":9}]`, `"periodValue":9},]`}, "invalid JSON at byte", nil},
	{"cut", change{`"periodValue":9}]}`, `"periodValue":9}]`}, "invalid JSON at byte", nil},
	{"no UTF-8", change{`"launch"`, "\"\xff\""}, "invalid JSON at byte", nil},
	{"half a surrogate", change{`"launch"`, `"\ud800"`}, "invalid JSON at byte", nil},
	{"a leading zero", change{`"planValue":10`, `"planValue":010`}, "invalid JSON at byte", nil},
	{"NaN", change{`"planValue":10`, `"planValue":NaN`}, "invalid JSON at byte", nil},
}

func TestEveryRule(t *testing.T) {
	if got := Check([]byte(base), now); len(got) > 0 {
		t.Fatalf("nothing is wrong, and it says %q", got)
	}
	for _, tt := range broken {
		t.Run(tt.name, func(t *testing.T) {
			body := tt.in(t, base)
			for _, c := range tt.more {
				body = c.in(t, body)
			}
			got := Check([]byte(body), now)
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q, want only %q", got, tt.want)
			}
		})
	}
}

// Everything that is wrong is named, not the first only, within a bound.
func TestAllRulesAreNamed(t *testing.T) {
	body := base
	for _, c := range []change{
		{`"price":"2"`, `"price":"-2"`}, {`"planValue":10`, `"planValue":null`}, {`"name":"launch"`, `"nam":"launch"`}, {`"total":"0.02"`, `"total":"7"`},
	} {
		body = c.in(t, body)
	}
	want := []string{
		`billing.items[1].price: is "-2": want an amount as digits, with a dot and digits if need be`,
		"billing.discounts[0].nam: is no key of the schema", "billing.discounts[0].name: is missing",
		"usage[0].planValue: is null, and nothing may be: want a number",
		"eod: 2026-03-16T00:00:00.000Z is older than 24 hours: it is 2026-04-30T00:00:00.000Z",
		"period.end: 2026-04-01T00:00:00.000Z is older than 24 hours: it is 2026-04-30T00:00:00.000Z",
		"billing.items[0]: total is 7, and price × quantity is 0.02",
	}
	got := Check([]byte(body), time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC))
	slices.Sort(got)
	slices.Sort(want)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	many := Check([]byte(change{`"usage":[`, `"usage":[` + strings.Repeat("{},", 100)}.in(t, base)), now)
	if len(many) != faultsMax+1 || many[faultsMax] != "and 400 more" {
		t.Errorf("%d faults, the last %q", len(many), many[len(many)-1])
	}
}

// What the rules allow, up to their bounds.
func TestWhatIsTaken(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes []change
		now     time.Time
	}{
		{"eod of exactly 24 hours ago", []change{{`"eod":"2026-03-16T00:00:00.000Z"`, `"eod":"2026-03-14T08:00:00.000Z"`}}, now},
		{"eod at the period's start", []change{{`"eod":"2026-03-16`, `"eod":"2026-03-01`}}, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		{"eod at the period's end", []change{{`"eod":"2026-03-16`, `"eod":"2026-04-01`}}, time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC)},
		{"a timestamp ahead", []change{{`"timestamp":"2026-03-15`, `"timestamp":"2027-03-15`}}, now},
		{"an exponent in a number", []change{{`"planValue":10`, `"planValue":1.0E+1`}}, now},
		{"no discounts in the object", []change{{base[strings.Index(base, `,"discounts"`):strings.Index(base, `},"usage"`)], ``}}, now},
		{"no items", []change{{base[strings.Index(base, `{"items"`):strings.Index(base, `,"usage"`)], `[]`}}, now},
		{"no usage", []change{
			{base[strings.Index(base, `{"items"`):strings.Index(base, `,"usage"`)], `[]`}, {base[strings.Index(base, `"usage":[`)+9 : len(base)-2], ``},
		}, now},
		{"white space", []change{{base, " \n" + base + "\r\n\t "}}, now},
		{"roll-ups without resources", []change{
			{`{"resourceId":"res_1","name":"peak","type":"rate","units":"1/s","dayValue":8,"periodValue":8},`, ``},
			{`,{"resourceId":"res_2","name":"peak","type":"rate","units":"1/s","dayValue":1,"periodValue":9}`, ``},
		}, now},
		{"one name, two types", []change{{`"usage":[`, `"usage":[{"name":"calls","type":"rate","units":"n","dayValue":1,"periodValue":1},`}}, now},
	} {
		body := base
		for _, c := range tt.changes {
			body = c.in(t, body)
		}
		if got := Check([]byte(body), tt.now); len(got) > 0 {
			t.Errorf("%s: %q\n%s", tt.name, got, body)
		}
	}
}

// Decimals stay what they are in the body, digit by digit.
func TestNumbersAreExact(t *testing.T) {
	const long = "99999999999999999999999999999999999.999"
	body := change{`"planValue":10`, `"planValue":` + long}.in(t, base)
	r, wrong := read([]byte(body), now)
	if len(wrong) > 0 || r.Usage[0].Plan.String() != long || r.Usage[1].Plan != nil || r.Items[1].Quantity.String() != "0.5" {
		t.Errorf("%q, %+v", wrong, r)
	}
}

func FuzzCheck(f *testing.F) {
	for _, body := range goldens(f) {
		f.Add(body)
	}
	for _, tt := range broken {
		f.Add([]byte(strings.Replace(base, tt.old, tt.new, 1)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, wrong := read(body, now)
		if len(wrong) > faultsMax+1 {
			t.Fatalf("%d faults", len(wrong))
		}
		for _, w := range wrong {
			if w == "" || len(w) > 1000 {
				t.Fatalf("%d bytes say what is wrong", len(w))
			}
		}
		if len(wrong) > 0 {
			return
		}
		// What is taken says everything: it was read whole, and is read the same once more.
		if r.Timestamp.IsZero() || r.EOD.Before(r.PeriodStart) || r.EOD.After(r.PeriodEnd) || now.Sub(r.EOD) > takes {
			t.Fatalf("taken: %+v", r)
		}
		for _, i := range r.Items {
			if i.Price.Sign() < 0 || i.Quantity.Sign() < 0 || i.Name == "" || i.BillingPlanID == "" {
				t.Fatalf("taken: %+v", i)
			}
		}
		again, _ := read(body, now)
		if fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", r) {
			t.Fatalf("%+v\n%+v", r, again)
		}
	})
}
