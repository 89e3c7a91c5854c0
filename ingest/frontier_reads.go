package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// transactionsMax is how many transactions one answer holds at most, and when no limit is given.
const transactionsMax = 10_000

// The JSON of the reads: names in snake case, zero values present, numbers as strings, as proto JSON has it.
type (
	transactionsJSON struct {
		Transactions  []transactionJSON `json:"transactions"`
		NextPageToken string            `json:"next_page_token,omitempty"`
	}
	transactionJSON struct {
		ID          string          `json:"id"`
		CustomerID  string          `json:"customer_id"`
		Source      string          `json:"source"`
		Amount      string          `json:"amount"`
		Type        string          `json:"type"`
		Description string          `json:"description"`
		UserID      string          `json:"user_id"`
		Metadata    json.RawMessage `json:"metadata"`
		CreatedAt   time.Time       `json:"created_at"`
		UpdatedAt   time.Time       `json:"updated_at"`
	}
	debitedJSON struct {
		Debited balanceJSON `json:"debited"`
	}
	balanceJSON struct {
		Amount    string     `json:"amount"`
		Currency  string     `json:"currency"`
		UpdatedAt *time.Time `json:"updated_at"`
	}
)

// transactions lists the entries of an account, newest first.
func (f *frontier) transactions(c *call) error {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return invalid("invalid query: %s", clip(err.Error()))
	}
	q, err := transactionQuery(query)
	if err != nil {
		return err
	}
	t, err := f.readTarget(c, query, "ListBillingTransactionsRequest")
	if err != nil {
		return err
	}
	q.AccountID = t.account.ID
	limit := q.Limit
	q.Limit++ // one more tells whether there are more
	ctx, cancel := context.WithTimeout(c.r.Context(), f.limits.QueryTimeout)
	defer cancel()
	rows, err := f.ledger.Transactions(ctx, q)
	if err != nil {
		return unread(err)
	}
	answer := transactionsJSON{Transactions: make([]transactionJSON, min(len(rows), limit))}
	for i := range answer.Transactions {
		answer.Transactions[i] = transactionOf(&rows[i])
	}
	if len(rows) > limit {
		last := &rows[limit-1]
		answer.NextPageToken = pageToken(ledger.TransactionCursor{UsageTime: last.UsageTime, Position: last.Position})
	}
	return f.answerJSON(c, http.StatusOK, answer)
}

// debited answers with the net usage of an account's credits. It may have decimals, where a limit with decimals clipped.
func (f *frontier) debited(c *call) error {
	t, err := f.readTarget(c, nil, "TotalDebitedTransactionsRequest")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), f.limits.QueryTimeout)
	defer cancel()
	total, err := f.ledger.Debited(ctx, t.account.ID, types()[0])
	if err != nil {
		return unread(err)
	}
	return f.answerJSON(c, http.StatusOK, debitedJSON{balanceJSON{Amount: total.String(), Currency: "VC"}})
}

// readTarget resolves whose ledger is read. Only the short route takes the account from the query.
func (f *frontier) readTarget(c *call, query url.Values, message string) (target, error) {
	var n names
	var err error
	if n.billing, err = parameter(query, "billing_id", "billingId"); err != nil {
		return target{}, err
	}
	n.fromPath(c.params)
	if err := n.check(message); err != nil {
		return target{}, err
	}
	return c.resolve(n)
}

// transactionOf shows a usage as a debit and a revert as a credit; both amounts are positive. created_at is the time of
// use, of a revert that of its usage, for that is what transactions are ordered and selected by; updated_at is what the
// producer said, else the time of receipt.
func transactionOf(t *ledger.Transaction) transactionJSON {
	out := transactionJSON{
		ID: t.EventID, CustomerID: t.AccountID, Source: t.Source, Amount: t.Quantity.String(), Type: "debit",
		Description: t.Description, UserID: t.UserID, Metadata: metadataJSON(t.Metadata),
		CreatedAt: t.UsageTime.UTC(), UpdatedAt: t.UpdatedAt.UTC(),
	}
	if t.UpdatedAt.IsZero() {
		out.UpdatedAt = t.ReceivedAt.UTC()
	}
	if t.Kind == reckoner.Revert {
		out.Type, out.Amount, out.Source = "credit", t.Quantity.Neg().String(), "system.revert."+t.UsageSource
	}
	return out
}

// unread tells a ledger that cannot be reached from one that fails.
func unread(err error) error {
	_, network := errors.AsType[net.Error](err)
	if network || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &reckoner.Error{Code: reckoner.Unavailable, Err: err, Message: "the ledger does not answer; try again in a moment"}
	}
	return fmt.Errorf("read the ledger: %w", err)
}

func transactionQuery(query url.Values) (ledger.TransactionQuery, error) {
	q := ledger.TransactionQuery{Limit: transactionsMax}
	var err error
	if q.From, err = timeParameter(query, "since"); err != nil {
		return q, err
	}
	start, err := timeParameter(query, "start_range", "startRange")
	if err != nil {
		return q, err
	}
	if !start.IsZero() { // as the original has it, the more exact name wins
		q.From = start
	}
	if q.To, err = timeParameter(query, "end_range", "endRange"); err != nil {
		return q, err
	}
	limit, err := parameter(query, "limit")
	if err != nil {
		return q, err
	}
	if limit != "" {
		n, err := strconv.ParseUint(limit, 10, 31)
		if err != nil {
			return q, invalid("invalid limit: want a number from 1 to %d", transactionsMax)
		}
		if n > 0 { // 0 is absent in proto JSON
			q.Limit = min(int(n), transactionsMax)
		}
	}
	token, err := parameter(query, "page_token", "pageToken")
	if err != nil || token == "" {
		return q, err
	}
	cursor, ok := parsePageToken(token)
	if !ok {
		return q, invalid("invalid page_token: it is not one that an answer gave")
	}
	q.After = &cursor
	return q, nil
}

// parameter returns the one value of a query parameter, under any of its names.
func parameter(query url.Values, names ...string) (string, error) {
	var values []string
	for _, name := range names {
		values = append(values, query[name]...)
	}
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", invalid("invalid %s: given more than once", names[0])
	}
}

func timeParameter(query url.Values, names ...string) (time.Time, error) {
	text, err := parameter(query, names...)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	t, ok := parseTime(text)
	if !ok {
		return time.Time{}, invalid("invalid %s: want a time as RFC 3339 writes it", names[0])
	}
	// No entry lies outside of these bounds, and the ledger has no number for times far outside.
	switch {
	case t.IsZero():
	case t.Before(reckoner.MinTime):
		t = reckoner.MinTime
	case t.After(reckoner.MaxTime):
		t = reckoner.MaxTime
	}
	return t, nil
}
