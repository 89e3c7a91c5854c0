package clickhouse

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// Story implements ledger.AccountReader.
func (l *Ledger) Story(ctx context.Context, q ledger.StoryQuery) ([]ledger.StoryEvent, error) {
	var entry entryRow
	entries, err := storyRows(ctx, l, "v1_event_entries", q, entry.scan)
	if err != nil {
		return nil, err
	}
	var refusal refusalRow
	refusals, err := storyRows(ctx, l, "v1_event_refusals", q, refusal.scan)
	if err != nil {
		return nil, err
	}
	story := make([]ledger.StoryEvent, 0, len(entries)+len(refusals))
	for i := range entries {
		story = append(story, ledger.StoryEvent{Entry: &entries[i]})
	}
	for i := range refusals {
		story = append(story, ledger.StoryEvent{Refusal: &refusals[i]})
	}
	slices.SortFunc(story, func(a, b ledger.StoryEvent) int {
		p, q := a.Position(), b.Position()
		return cmp.Or(p.Cmp(q), cmp.Compare(p.Partition, q.Partition)) // a misrouted event stands in another partition
	})
	story = story[:min(len(story), q.Limit)]
	return story, l.addRelated(ctx, q, story)
}

func storyRows[T any](ctx context.Context, l *Ledger, name string, q ledger.StoryQuery, scan func(driver.Rows) (T, error)) ([]T, error) {
	text, err := v1Query(name, q)
	if err != nil {
		return nil, err
	}
	args := []any{ch.Named("account_id", q.AccountID), ch.Named("event_id", q.EventID), ch.Named("limit", uint64(q.Limit))}
	if a := q.After; a != nil {
		args = append(args, ch.Named("after_log", a.Log), ch.Named("after_offset", a.Offset), ch.Named("after_index", a.Index),
			ch.Named("after_partition", a.Partition))
	}
	var all []T
	for row, err := range stream(ctx, l, text, scan, args...) {
		if err != nil {
			return nil, fmt.Errorf("read the events %q of %s: %w", q.EventID, q.AccountID, err)
		}
		all = append(all, row)
	}
	return all, nil
}

// addRelated looks up what took a usage back, and which usages reverts name: each in one query, where there is one.
func (l *Ledger) addRelated(ctx context.Context, q ledger.StoryQuery, story []ledger.StoryEvent) error {
	var usageIDs []string
	var usage *ledger.StoryEvent // an id has one usage that counts
	for i := range story {
		e := &story[i]
		if e.Entry != nil && e.Entry.Kind == reckoner.Usage {
			usage = e
		}
		if id := namedUsage(e); id != "" && !slices.Contains(usageIDs, id) {
			usageIDs = append(usageIDs, id)
		}
	}
	if usage != nil {
		reverts, err := l.related(ctx, q, nil)
		if err != nil {
			return err
		}
		for i := range reverts {
			usage.Revert = &reverts[i] // and a usage one revert
		}
	}
	if len(usageIDs) == 0 {
		return nil
	}
	usages, err := l.related(ctx, q, usageIDs)
	if err != nil {
		return err
	}
	for i := range story {
		id := namedUsage(&story[i])
		at := slices.IndexFunc(usages, func(u ledger.Entry) bool { return u.EventID == id })
		if id != "" && at >= 0 {
			story[i].Usage = &usages[at]
		}
	}
	return nil
}

// namedUsage is the usage that a revert names; empty of anything else.
func namedUsage(e *ledger.StoryEvent) string {
	if e.Entry != nil {
		return e.Entry.UsageID
	}
	return e.Refusal.UsageID
}

// related reads the usages of some ids, or, without ids, the reverts of the query's.
func (l *Ledger) related(ctx context.Context, q ledger.StoryQuery, usageIDs []string) ([]ledger.Entry, error) {
	text, err := v1Query("v1_event_related", struct{ Reverts bool }{usageIDs == nil})
	if err != nil {
		return nil, err
	}
	var row entryRow
	var all []ledger.Entry
	for e, err := range stream(ctx, l, text, row.scan,
		ch.Named("account_id", q.AccountID), ch.Named("event_id", q.EventID), ch.Named("usage_ids", usageIDs)) {
		if err != nil {
			return nil, fmt.Errorf("read what belongs to the events %q of %s: %w", q.EventID, q.AccountID, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// Decided implements ledger.AccountReader.
func (l *Ledger) Decided(ctx context.Context, accountID string) (reckoner.Position, bool, error) {
	text, err := v1Query("v1_decided", nil)
	if err != nil {
		return reckoner.Position{}, false, err
	}
	var p reckoner.Position
	var next uint64
	err = l.conn.QueryRow(ctx, text, ch.Named("account_id", accountID)).Scan(&p.Log, &p.Partition, &next)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return reckoner.Position{}, false, nil
	case err != nil:
		return reckoner.Position{}, false, fmt.Errorf("read what is decided of %s: %w", accountID, explain(err))
	}
	p.Offset = int64(next)
	return p, true, nil
}
