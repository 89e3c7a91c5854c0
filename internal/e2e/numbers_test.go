package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/uuid"
)

const (
	largest = "9223372036854775807"
	tooBig  = "9223372036854775808"
)

// TestNumbersAreExact sends every form that a number may have, and those it may not.
func TestNumbersAreExact(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.dev(t)
	a := i.producer()
	for _, c := range []struct {
		amount string // as JSON
		counts string // as a quantity; empty: refused
	}{
		{`5`, "5"}, {`"5"`, "5"}, {`5.0`, "5"}, {`"5.000"`, "5"}, {`5e2`, "500"}, {`"5e2"`, "500"}, {`"5E+2"`, "500"}, {`50e-1`, "5"},
		{largest, largest}, {`"` + largest + `"`, largest}, {`9223372036854775.807e3`, largest},
		{tooBig, ""}, {`"` + tooBig + `"`, ""}, {`9.3e18`, ""}, {`1e400`, ""}, {`5.5`, ""}, {`"5.5"`, ""}, {`" 5"`, ""}, {`"5 "`, ""},
		{`true`, ""}, {`0`, ""}, {`-1`, ""}, {`"-1"`, ""}, {`null`, ""}, {`""`, ""}, {`"NaN"`, ""}, {`"0x5"`, ""}, {`[5]`, ""}, {`{}`, ""}, {`05`, ""},
	} {
		t.Run(c.amount, func(t *testing.T) {
			id := uuid.NewString()
			got := a.post(t, createPath(uuid.NewString()), `{"usages":[{"id":"`+id+`","amount":`+c.amount+`}]}`, "Prefer", "wait=20")
			if c.counts == "" {
				wantError(t, got, 400, 3, "")
				return
			}
			wantOutcomes(t, got, outcome{id, "applied", c.counts, false})
		})
	}
	t.Run("1,000 of the largest", func(t *testing.T) {
		account := uuid.NewString()
		list, _ := manyUsages(1000, 0)
		for _, u := range list {
			u["amount"] = largest
		}
		wantOK(t, a.post(t, createPath(account), usages(list...)))
		i.drain(t)
		one, _ := new(big.Int).SetString(largest, 10)
		sum := new(big.Int).Mul(one, big.NewInt(1000)).String()
		i.want(t, "SELECT meter, quantity, events FROM account_totals WHERE account_id = '"+account+"'", "credit "+sum+" 1000")
		i.want(t, "SELECT sum(quantity), min(quantity), max(quantity) FROM usage_entries WHERE account_id = '"+account+"'", sum+" "+largest+" "+largest)
		reads := "/v1beta1/organizations/" + demoOrg + "/billing/" + account
		if got := a.do(t, "GET", reads+"/debited_transactions_total", ""); got.body != `{"debited":{"amount":"`+sum+`","currency":"VC","updated_at":null}}` {
			t.Errorf("debited: %s", got)
		}
		got := a.do(t, "GET", reads+"/transactions", "")
		if n := strings.Count(got.body, `"amount":"`+largest+`"`); got.status != 200 || n != 1000 {
			t.Errorf("%d transactions of the largest amount: %s", n, got)
		}
	})
}

// TestTheJSONOfOthers sends what the generated clients send, and what is no message.
func TestTheJSONOfOthers(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.dev(t)
	a := i.producer()
	account := uuid.NewString()
	id := uuid.NewString()
	camel := fmt.Sprintf(`{"orgId":"demo","billingId":"%s","projectId":null,"usages":[{"id":"%s","customerId":"c","userId":"u",
		"amount":"12","type":"credit","createdAt":"2024-02-29T12:00:00.123456789+05:45","updatedAt":null,"metadata":{"a":"5","b":5,"c":{"d":[true]}},"futureField":{"x":1}}]}`,
		strings.ToUpper(account), strings.ToUpper(id))
	const short = "/v1beta1/organizations/billing/usages"
	wantOutcomes(t, a.post(t, short, camel, "Prefer", "wait=20"), outcome{id, "applied", "12", false})
	i.want(t, "SELECT account_id, event_id, usage_time, customer_id, user_id, metadata['a'], metadata['b'], metadata['c'] FROM usage_entries",
		account+" "+id+` 2024-02-29 06:15:00.123456789 c u 5 5 {"d":[true]}`)
	// The same content in the other spelling is the same usage: what is no part of its content may even differ.
	snake := m{"org_id": "demo", "billing_id": account, "usages": []m{{"id": id, "amount": 12, "type": "credit", "created_at": "2024-02-29T06:15:00.123456789Z", "description": "again"}}}
	wantOutcomes(t, a.post(t, short, snake, "Prefer", "wait=20"), outcome{id, "applied", "12", true})

	for _, c := range []struct{ name, body, says string }{
		{"a repeated key", `{"usages":[{"amount":1,"amount":1}]}`, "repeated"},
		{"a repeated key at the top", `{"org_id":"demo","org_id":"demo","usages":[]}`, "repeated"},
		{"a repeated key in metadata", `{"usages":[{"amount":1,"metadata":{"a":1,"a":1}}]}`, "repeated"},
		{"both spellings", `{"org_id":"demo","usages":[{"amount":1,"user_id":"a","userId":"a"}]}`, "both of its names"},
		{"a number for a text", `{"org_id":5,"usages":[]}`, "want a string"},
		{"an object for a list", `{"usages":{}}`, "want an array"},
		{"two messages", `{} {}`, "more after the end"},
		{"a list", `[]`, "want an object"},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, a.post(t, createPath(account), c.body), 400, 3, c.says) })
	}
	for _, empty := range []string{"", " \n", "{}", `{"usages":[]}`, `{"usages":null}`} {
		wantOK(t, a.post(t, createPath(account), empty))
	}
	if n := i.drain(t); n != 2 {
		t.Errorf("the log holds %d records, want 2", n)
	}
	got := a.do(t, "GET", "/v1beta1/organizations/"+demoOrg+"/billing/"+account+"/transactions", "")
	var read struct{ Transactions []map[string]any }
	if err := json.Unmarshal([]byte(got.body), &read); err != nil || len(read.Transactions) != 1 {
		t.Fatalf("transactions: %s (%v)", got, err)
	}
	tx := read.Transactions[0]
	if tx["type"] != "debit" || tx["amount"] != "12" || tx["created_at"] != "2024-02-29T06:15:00.123456789Z" ||
		fmt.Sprint(tx["metadata"]) != "map[a:5 b:5 c:map[d:[true]]]" {
		t.Errorf("the transaction reads %v", tx)
	}
}
