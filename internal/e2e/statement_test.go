package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// statementDocument is a statement as the API and the command give it, but for the time of the read.
type statementDocument struct {
	AccountID string `json:"account_id"`
	Period    string `json:"period"`
	AsOf      struct {
		Position m `json:"position"`
	} `json:"as_of"`
	Rules      int `json:"rules"`
	Statements []struct {
		Start, End     string
		Ended          bool
		Usage          []statementUsage
		BySubscription []statementUsage `json:"usage_by_subscription"`
		Subscriptions  []m
		Items          []m
		Discounts      []m
		ItemsTotal     string `json:"items_total"`
		DiscountsTotal string `json:"discounts_total"`
		Total          string
		AsOf           m `json:"as_of"`
	}
}

type statementUsage struct {
	SubscriptionID *string `json:"subscription_id"`
	Meter, Unit    string
	MeterType      string `json:"meter_type"`
	Quantity       string
	Limit          *string
}

func readStatement(t testing.TB, text string) (d statementDocument) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("%v: %s", err, tail(text, 2000))
	}
	return d
}

// statement runs the command.
func (i *installation) statement(t testing.TB, args ...string) (status int, out, log string) {
	t.Helper()
	status, p := run(t, i.env, append(append([]string{"statement"}, args...), i.at()...)...)
	return status, p.out.String(), p.log.String()
}

// TestStatement: the command and the route give the same statement, to the byte but for the time of the read, and its figures
// are those of /v1/accounts/{id}/usage by period.
func TestStatement(t *testing.T) {
	t.Parallel()
	account, automatic := uuid.NewString(), uuid.NewString()
	i := newInstallation(t, patient(), setting("catalog.auto_accounts", "demo"))
	i.dev(t, "--catalog", catalogFile(t, catalogWith(account, `meters: [{name: calls, unit: calls, match: {source: api}}]
plans: [{id: pro, prices: [{meter: calls, unit_price: "0.125", included: "100"}], discounts: [{name: launch, amount: "0.50"}]}]
subscriptions:
- {id: sub, account: `+account+`, plan: pro, meter: calls, limit: "1000", period: {anchor: 2026-01-31T10:07:30Z}}
- {id: free, account: `+account+`, meter: calls, period: {anchor: 2026-01-31T10:07:30Z}}
`)))
	a := i.producer()
	now := time.Now().UTC()
	wait := []string{"Prefer", "wait=30"}
	for days := range 70 { // several periods, whatever the date is
		got := a.post(t, createPath(account), usages(m{"id": uuid.NewString(), "amount": 7 + days, "source": "api", "created_at": now.AddDate(0, 0, -days).Format(time.RFC3339Nano)}), wait...)
		if got.status != http.StatusOK {
			t.Fatalf("%s", got)
		}
	}
	if got := a.post(t, "/usages", m{"subscriptionId": "free", "quantity": 12.345}); got.status != http.StatusCreated {
		t.Fatalf("%s", got)
	}
	if got := a.post(t, createPath(automatic), usages(m{"id": uuid.NewString(), "amount": 3}), wait...); got.status != http.StatusOK {
		t.Fatalf("%s", got)
	}

	month := now.AddDate(0, -1, 0).Format("2006-01")
	for _, period := range []string{"current", "previous", month, now.AddDate(0, 0, -40).Format(time.DateOnly)} {
		for _, subscription := range []string{"", "sub"} {
			query := url.Values{"period": {period}, "subscription": {subscription}}
			got := a.do(t, http.MethodGet, "/v1/accounts/"+account+"/statement?"+query.Encode(), "")
			if got.status != http.StatusOK {
				t.Fatalf("%s: %s", query, got)
			}
			args := []string{account, "--period", period, "--format", "json"}
			if subscription != "" {
				args = append(args, "--subscription", subscription)
			}
			status, out, log := i.statement(t, args...)
			if status != 0 {
				t.Fatalf("statement %v: status %d: %s", args, status, log)
			}
			served, printed := readStatement(t, got.body), readStatement(t, out)
			if diff := cmp.Diff(served, printed); diff != "" || served.Statements[0].AsOf == nil {
				t.Errorf("%s (-route +command):\n%s", query, diff)
			}
			if subscription == "" {
				i.wantSums(t, a, account, &served)
			}
		}
	}

	status, table, log := i.statement(t, account)
	if status != 0 || !strings.Contains(table, "12.345") || !strings.Contains(table, "so far") {
		t.Errorf("a table: status %d: %s%s", status, table, log)
	}
	for line := range strings.Lines(table) {
		if len(line) > 101 {
			t.Errorf("wider than 100: %s", line)
		}
	}
	// An account that was never in the catalog, but was counted.
	if status, out, log := i.statement(t, automatic, "--format", "csv"); status != 0 || !strings.Contains(out, ",usage,,,credit,interval,credits,3,") {
		t.Errorf("of an automatic account: status %d: %s%s", status, out, log)
	}
	if status, p := run(t, i.env, "statement", account, "--brokers", i.kafka, "--clickhouse", "http://"+freeAddress(t)); status != 1 || !strings.Contains(p.log.String(), "--clickhouse") {
		t.Errorf("without ClickHouse: status %d: %s", status, p.log.String())
	}
	for says, args := range map[string][]string{
		"catalog get accounts":      {uuid.NewString()},
		"catalog get subscriptions": {account, "--subscription", "nothing"},
		"want current, previous":    {account, "--period", "june"},
		"want table, json or csv":   {account, "--format", "xml"},
		"has begun":                 {account, "--period", "2199-01"},
		"accepts 1 arg":             {},
	} {
		if status, out, log := i.statement(t, args...); status != 1 || out != "" || !strings.Contains(log, says) {
			t.Errorf("%v: status %d, want 1 and %q: %s%s", args, status, says, out, log)
		}
	}
}

// wantSums holds the usage of statements against that of the account by period.
func (i *installation) wantSums(t testing.TB, a *api, account string, d *statementDocument) {
	t.Helper()
	for _, s := range d.Statements {
		got := a.do(t, http.MethodGet, "/v1/accounts/"+account+"/usage?window=period&from="+s.Start+"&to="+s.End, "")
		var usage struct {
			Usage []struct{ Start, End, Meter, Quantity string }
		}
		if err := json.Unmarshal([]byte(got.body), &usage); err != nil || got.status != http.StatusOK {
			t.Fatalf("%s: %v", got, err)
		}
		want := map[string]string{}
		for _, u := range usage.Usage {
			if u.Start == s.Start && u.End == s.End {
				want[u.Meter] = u.Quantity
			}
		}
		sums := map[string]string{}
		for _, u := range s.Usage {
			sums[u.Meter] = u.Quantity
		}
		if diff := cmp.Diff(want, sums); diff != "" || len(want) == 0 {
			t.Errorf("[%s, %s) (-usage by period +statement):\n%s", s.Start, s.End, diff)
		}
	}
}
