package accounts

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// The bounds of one document. Who has more asks for one subscription at a time.
const (
	SubscriptionsMax = 10_000
	StatementsMax    = 1000
)

// Query says what a document is of.
type Query struct {
	Catalog        *catalog.Catalog
	AccountID      string
	SubscriptionID string // empty: all, and usage that names none
	When           When
	Now            time.Time // before the ledger is read: what has begun, and what a level is now
}

// Read makes the document of an account from one read of the ledger's figures. An *reckoner.Error says that there is no such
// account or subscription (NotFound), or what to ask for instead (Invalid, with its Field: period or subscription).
func Read(ctx context.Context, l ledger.StatementReader, q *Query) (*Document, error) {
	of := *q
	of.AccountID, of.SubscriptionID = reckoner.CanonicalID(q.AccountID), reckoner.CanonicalID(q.SubscriptionID)
	used, err := l.UsedSubscriptions(ctx, of.AccountID, SubscriptionsMax+1)
	if err != nil {
		return nil, err
	}
	members, err := of.members(used)
	if err != nil {
		return nil, err
	}
	sheets, err := of.sheets(members)
	if err != nil {
		return nil, err
	}
	queries := make([]ledger.FiguresQuery, len(sheets))
	for i, s := range sheets {
		queries[i] = ledger.FiguresQuery{AccountID: of.AccountID, Edges: of.edges(s)}
		for _, m := range s.members {
			queries[i].SubscriptionIDs = append(queries[i].SubscriptionIDs, m.id)
		}
	}
	figures, err := l.Figures(ctx, queries)
	if err != nil {
		return nil, err
	}
	if len(figures) != len(queries) {
		return nil, fmt.Errorf("statement of account %q: the ledger gave %d answers to %d queries", of.AccountID, len(figures), len(queries))
	}
	return of.document(sheets, figures)
}

// member is a subscription of the account, or its usage that names none.
type member struct {
	id           string
	subscription *catalog.Subscription // nil: the catalog has none
}

// row returns the row of its periods: without a subscription in the catalog, the calendar months in UTC.
func (m member) row() reckoner.Cycle {
	if m.subscription == nil {
		return reckoner.Cycle{}
	}
	return m.subscription.Cycle
}

// gone reports whether the catalog no longer has the subscription.
func (m member) gone() bool { return m.id != "" && m.subscription == nil }

// members returns, by id, whose usage the document holds: the subscriptions that the catalog has of the account, and those,
// "" included, that only the ledger has. An account without any has its usage that names none, which there is none of.
func (q *Query) members(used []string) ([]member, error) {
	if q.SubscriptionID != "" {
		return q.one(used)
	}
	if _, ok := q.Catalog.Account(q.AccountID); !ok && len(used) == 0 {
		return nil, reckoner.Errorf(reckoner.NotFound, "there is no account %q, and nothing was ever counted of it", clip(q.AccountID))
	}
	of := make(map[string]*catalog.Subscription, len(used))
	for s := range q.Catalog.SubscriptionsOf(q.AccountID) {
		of[s.ID] = s
		if len(of) > SubscriptionsMax {
			break
		}
	}
	for _, id := range used {
		if of[id] == nil {
			of[id] = nil
		}
	}
	switch {
	case len(of) > SubscriptionsMax:
		return nil, &reckoner.Error{Code: reckoner.Invalid, Field: "subscription", Message: fmt.Sprintf(
			"the account has more than %d subscriptions: ask for one at a time", SubscriptionsMax)}
	case len(of) == 0:
		of[""] = nil
	}
	members := make([]member, 0, len(of))
	for _, id := range slices.Sorted(maps.Keys(of)) {
		members = append(members, member{id, of[id]})
	}
	return members, nil
}

// one returns the subscription that is asked for.
func (q *Query) one(used []string) ([]member, error) {
	if s, ok := q.Catalog.Subscription(q.SubscriptionID); ok && s.AccountID == q.AccountID {
		return []member{{s.ID, s}}, nil
	}
	if !slices.Contains(used, q.SubscriptionID) && len(used) <= SubscriptionsMax {
		return nil, reckoner.Errorf(reckoner.NotFound, "account %q has no subscription %q, and nothing was ever counted of one",
			clip(q.AccountID), clip(q.SubscriptionID))
	}
	return []member{{q.SubscriptionID, nil}}, nil
}

// sheet is a statement that is to be made: of those who have one period.
type sheet struct {
	period  reckoner.Period
	members []member // by id
}

// sheets puts the members with one period together, in the order of the periods.
func (q *Query) sheets(members []member) ([]*sheet, error) {
	type key struct{ start, end int64 }
	all := make(map[key]*sheet)
	for _, m := range members {
		for _, p := range q.When.Periods(m.row(), q.Now) {
			k := key{p.Start.UnixNano(), p.End.UnixNano()}
			if all[k] == nil {
				all[k] = &sheet{period: p}
			}
			all[k].members = append(all[k].members, m)
		}
	}
	switch {
	case len(all) == 0:
		return nil, &reckoner.Error{Code: reckoner.Invalid, Field: "period", Message: "no billing period that it names has begun"}
	case len(all) > StatementsMax:
		return nil, &reckoner.Error{Code: reckoner.Invalid, Field: "subscription", Message: fmt.Sprintf(
			"the account's subscriptions have more than %d periods there: ask for one subscription at a time", StatementsMax)}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *sheet) int {
		return cmp.Or(a.period.Start.Compare(b.period.Start), a.period.End.Compare(b.period.End))
	}), nil
}

// clip keeps a text of a request out of an error's way.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
