package ingest

import (
	"context"
	"slices"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// fakeAccounts is what a ledger knows of accounts, and what it was asked.
type fakeAccounts struct {
	page    ledger.UsagePage
	used    ledger.PeriodsUsed
	story   []ledger.StoryEvent
	decided reckoner.Position
	members []string        // subscriptions that have totals
	figures []ledger.Figure // of the first slice of every query that asks for their subscription
	carried []ledger.ReportCarrier
	err     error

	windows []ledger.WindowQuery
	periods []ledger.PeriodQuery
	asked   []string // subscriptions whose use was asked for
	stories []ledger.StoryQuery
	sheets  []ledger.FiguresQuery
	entries []reckoner.Position // of which carriers were asked for
}

func (f *fakeAccounts) Windows(_ context.Context, q ledger.WindowQuery) (ledger.UsagePage, error) {
	f.windows = append(f.windows, q)
	return f.cut(q.Limit), f.err
}

func (f *fakeAccounts) Periods(_ context.Context, q ledger.PeriodQuery) (ledger.UsagePage, error) {
	f.periods = append(f.periods, q)
	return f.cut(q.Limit), f.err
}

func (f *fakeAccounts) cut(limit int) ledger.UsagePage {
	page := f.page
	page.Rows = page.Rows[:min(len(page.Rows), limit)]
	return page
}

func (f *fakeAccounts) Used(_ context.Context, _ string, subscriptionIDs []string, _ time.Time) (ledger.PeriodsUsed, error) {
	f.asked = append(f.asked, subscriptionIDs...)
	return f.used, f.err
}

func (f *fakeAccounts) Story(_ context.Context, q ledger.StoryQuery) ([]ledger.StoryEvent, error) {
	f.stories = append(f.stories, q)
	return f.story[:min(len(f.story), q.Limit)], f.err
}

func (f *fakeAccounts) Decided(context.Context, string) (reckoner.Position, bool, error) {
	return f.decided, f.decided.Log > 0, f.err
}

func (f *fakeAccounts) UsedSubscriptions(_ context.Context, _ string, limit int) ([]string, error) {
	return f.members[:min(len(f.members), limit)], f.err
}

func (f *fakeAccounts) Figures(_ context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	f.sheets = append(f.sheets, queries...)
	answers := make([]ledger.Figures, len(queries))
	for i, q := range queries {
		for _, r := range f.figures {
			if slices.Contains(q.SubscriptionIDs, r.SubscriptionID) {
				r.Slice = reckoner.Period{Start: q.Edges[0], End: q.Edges[1]}
				answers[i].Rows, answers[i].AsOf = append(answers[i].Rows, r), &reckoner.Position{Log: 1, Partition: 3, Offset: int64(40 + i)}
			}
		}
	}
	return answers, f.err
}

func (f *fakeAccounts) Carriers(_ context.Context, e *ledger.Entry) ([]ledger.ReportCarrier, error) {
	f.entries = append(f.entries, e.Position)
	return f.carried, f.err
}
