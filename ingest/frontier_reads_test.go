package ingest

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/ledger"
)

func transactions() []ledger.Transaction {
	used := time.Date(2026, 6, 1, 10, 0, 0, 5e8, time.UTC)
	usage := ledger.Entry{
		Position: reckoner.Position{Log: 1, Partition: 3, Offset: 40}, AccountID: account, EventID: usageID, Kind: reckoner.Usage,
		Type: "credit", Source: "model <x>", Quantity: reckoner.Thousandths(2500), UsageTime: used, ReceivedAt: noon(), CustomerID: "c-1",
		UpdatedAt: used.Add(time.Hour), Description: `a "call"`, UserID: "u-1",
		Metadata: []reckoner.Label{{Key: "big", Value: "12345678901234567890.10", JSON: true}, {Key: "s", Value: "5"}},
	}
	revert := ledger.Entry{
		Position: reckoner.Position{Log: 1, Partition: 3, Offset: 41}, AccountID: account, EventID: "retry-1", Kind: reckoner.Revert,
		Type: "credit", UsageID: usageID, Quantity: reckoner.Thousandths(-500), UsageTime: used, ReceivedAt: noon(),
	}
	return []ledger.Transaction{{Entry: revert, UsageSource: "model <x>"}, {Entry: usage}}
}

func TestTransactions(t *testing.T) {
	w := newWorld(t)
	w.reader.rows = transactions()
	want := `{"transactions":[` +
		`{"id":"retry-1","customer_id":"` + account + `","source":"system.revert.model <x>","amount":"0.5","type":"credit","description":"","user_id":"",` +
		`"metadata":{},"created_at":"2026-06-01T10:00:00.5Z","updated_at":"2026-06-15T12:00:00.123456789Z"},` +
		`{"id":"` + usageID + `","customer_id":"` + account + `","source":"model <x>","amount":"2.5","type":"debit","description":"a \"call\"","user_id":"u-1",` +
		`"metadata":{"big":12345678901234567890.10,"s":"5"},"created_at":"2026-06-01T10:00:00.5Z","updated_at":"2026-06-01T11:00:00.5Z"}]}`
	for _, path := range []string{
		readPath, "/v1beta1/organizations/acme/billing/transactions",
		"/v1beta1/organizations/acme/billing/transactions?billing_id=" + strings.ToUpper(account),
		"/v1beta1/organizations/acme/billing/transactions?billingId=" + account + "&expand=user&limit=0",
	} {
		a := w.request("GET", path, "", as("reader"))
		if diff := cmp.Diff(want, a.body); a.status != 200 || diff != "" {
			t.Errorf("%s: %d %s", path, a.status, diff)
		}
	}
	for _, q := range w.reader.queries {
		if diff := cmp.Diff(ledger.TransactionQuery{AccountID: account, Limit: transactionsMax + 1}, q); diff != "" {
			t.Error(diff)
		}
	}
	w.reader.rows = nil
	if a := w.request("GET", readPath, ""); a.body != `{"transactions":[]}` {
		t.Errorf("of nothing: %s", a.body)
	}
}

func TestTransactionPages(t *testing.T) {
	w := newWorld(t)
	w.reader.rows = transactions()
	a := w.request("GET", readPath+"?limit=1", "")
	_, token, found := strings.Cut(strings.TrimSuffix(a.body, `"}`), `"next_page_token":"`)
	if !found || strings.Count(a.body, `"id"`) != 1 {
		t.Fatal(a.body)
	}
	w.request("GET", readPath+"?limit=99999&pageToken="+token+"&since=2026-01-01T00:00:00Z&endRange=2027-01-01T00:00:00%2B01:00", "")
	last := w.reader.rows[0]
	want := ledger.TransactionQuery{
		AccountID: account, Limit: transactionsMax + 1, From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		To: time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), After: &ledger.TransactionCursor{UsageTime: last.UsageTime, Position: last.Position},
	}
	if diff := cmp.Diff(want, w.reader.queries[1]); diff != "" {
		t.Error(diff)
	}
	w.request("GET", readPath+"?since=2026-01-01T00:00:00Z&start_range=0002-01-01T00:00:00Z&end_range=9999-01-01T00:00:00Z", "")
	want = ledger.TransactionQuery{AccountID: account, Limit: transactionsMax + 1, From: reckoner.MinTime, To: reckoner.MaxTime}
	if diff := cmp.Diff(want, w.reader.queries[2]); diff != "" {
		t.Error(diff)
	}
}

func TestPageTokensRoundTrip(t *testing.T) {
	for _, c := range []ledger.TransactionCursor{
		{UsageTime: reckoner.MinTime},
		{UsageTime: reckoner.MaxTime.Add(-1), Position: reckoner.Position{Log: 1<<32 - 1, Partition: 1<<31 - 1, Offset: 1<<63 - 1, Index: 1<<31 - 1}},
	} {
		back, ok := parsePageToken(pageToken(c))
		if diff := cmp.Diff(c, back); !ok || diff != "" {
			t.Error(ok, diff)
		}
	}
	good := pageToken(ledger.TransactionCursor{UsageTime: reckoner.MinTime})
	for _, bad := range []string{"", good[1:], good + "A", "B" + good[1:], strings.Repeat("_", len(good)), good[:len(good)-1] + "!"} {
		if c, ok := parsePageToken(bad); ok {
			t.Errorf("%q is %v", bad, c)
		}
	}
}

func TestDebited(t *testing.T) {
	for _, c := range []struct {
		total reckoner.Quantity
		want  string
	}{
		{reckoner.Quantity{}, "0"}, {reckoner.Units(12), "12"}, {reckoner.Thousandths(12345), "12.345"}, {reckoner.Units(-7), "-7"},
		{must(reckoner.ParseQuantity("9223372036854775807000")), "9223372036854775807000"},
	} {
		w := newWorld(t)
		w.reader.total = c.total
		if a := w.request("GET", debitedPath, ""); a.status != 200 || a.body != `{"debited":{"amount":"`+c.want+`","currency":"VC","updated_at":null}}` {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func must(q reckoner.Quantity, err error) reckoner.Quantity {
	if err != nil {
		panic(err)
	}
	return q
}

func TestLedgerFailures(t *testing.T) {
	for _, c := range []struct {
		err          error
		status, code int
	}{
		{errors.New("Code: 241. secret table"), 500, 13},
		{&net.OpError{Op: "dial", Err: errors.New("secret refused")}, 503, 14},
		{context.DeadlineExceeded, 503, 14},
	} {
		for _, path := range []string{readPath, debitedPath} {
			w := newWorld(t)
			w.reader.err = c.err
			a := w.request("GET", path, "")
			if code, _ := a.errorBody(t); a.status != c.status || code != c.code || strings.Contains(a.body, "secret") {
				t.Errorf("%v: %d %s", c.err, a.status, a.body)
			}
		}
	}
}
