package ingest

import (
	"context"
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
	err     error

	windows []ledger.WindowQuery
	periods []ledger.PeriodQuery
	asked   []string // subscriptions whose use was asked for
	stories []ledger.StoryQuery
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
