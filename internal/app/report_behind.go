package app

import (
	"context"
	"fmt"
	"time"

	"reckoner"
	"reckoner/ledger"
)

// shownFigure is a figure of the ledger that a report was made from, and the entries behind it.
type shownFigure struct {
	Subscription string            `json:"subscription,omitzero"` // empty: usage that names none
	Meter        string            `json:"meter"`
	Type         string            `json:"type"`
	When         string            `json:"when"`
	From         time.Time         `json:"from,omitzero"`
	To           time.Time         `json:"to"`
	Quantity     reckoner.Quantity `json:"quantity"`
	Count        int               `json:"entries_count"`
	Entries      []shownEntry      `json:"entries"` // the first of them, by position
	// ComeTo is what the entries come to, where that is not the figure; it never happens.
	ComeTo *reckoner.Quantity `json:"entries_come_to,omitzero"`

	kind   reckoner.MeterType
	folded reckoner.Quantity
	newest time.Time
}

// shownEntry is an event that counts.
type shownEntry struct {
	EventID    string            `json:"event_id"`
	Kind       string            `json:"kind"`
	UsageID    string            `json:"usage_id,omitzero"` // of a revert
	UsageTime  time.Time         `json:"usage_time"`
	ReceivedAt time.Time         `json:"received_at"`
	Quantity   reckoner.Quantity `json:"quantity"`
	Outcome    string            `json:"outcome"`
	Position   string            `json:"position"`
}

// figureKey is whose figure an entry is behind.
type figureKey struct {
	subscription, meter string
	kind                reckoner.MeterType
	end                 int64 // of the slice
}

// behind returns the figures with the entries behind each, the first ones up to a limit, and holds their fold against the
// figure. Entries that come to nothing have a figure here, too.
func behind(ctx context.Context, l ledger.FiguresReader, q ledger.FiguresQuery, figures []ledger.Figure, day reckoner.Period, limit int) ([]*shownFigure, error) {
	all := make([]*shownFigure, 0, len(figures))
	by := make(map[figureKey]*shownFigure, len(figures))
	add := func(f ledger.Figure) *shownFigure {
		one := &shownFigure{
			Subscription: f.SubscriptionID, Meter: f.Meter, Type: f.MeterType.String(), When: when(f.Slice, day), From: f.Slice.Start, To: f.Slice.End,
			Quantity: f.Quantity, Entries: []shownEntry{}, kind: f.MeterType,
		}
		by[figureKey{f.SubscriptionID, f.Meter, f.MeterType, f.Slice.End.UnixNano()}] = one
		all = append(all, one)
		return one
	}
	for _, f := range figures {
		add(f)
	}
	if q.AsOf == nil {
		return all, nil
	}
	for e, err := range l.Behind(ctx, q) {
		if err != nil {
			return nil, err
		}
		slice := sliceOf(q.Edges, &e)
		f := by[figureKey{e.SubscriptionID, e.Meter, e.MeterType, slice.End.UnixNano()}]
		if f == nil {
			f = add(ledger.Figure{SubscriptionID: e.SubscriptionID, Meter: e.Meter, MeterType: e.MeterType, Slice: slice})
		}
		if err := f.take(&e, limit); err != nil {
			return nil, err
		}
	}
	for _, f := range all {
		if f.folded != f.Quantity {
			f.ComeTo = &f.folded
		}
	}
	return all, nil
}

// sliceOf returns the slice that an entry is in. What is carried over from before the first edge ends there and has no start.
func sliceOf(edges []time.Time, e *ledger.Entry) reckoner.Period {
	at := e.Bucket
	if e.Period.Start.After(at) {
		at = e.Period.Start
	}
	slice := reckoner.Period{End: edges[0]}
	for i := 1; i < len(edges) && !at.Before(slice.End); i++ {
		slice = reckoner.Period{Start: edges[i-1], End: edges[i]}
	}
	return slice
}

// when says where a slice lies, seen from the day.
func when(slice, day reckoner.Period) string {
	switch {
	case slice.Start.IsZero():
		return "before the period"
	case !slice.End.After(day.Start):
		return "before the day"
	case !slice.Start.Before(day.End):
		return "after the day"
	default:
		return "in the day"
	}
}

// take folds one more entry, in the order of positions.
func (f *shownFigure) take(e *ledger.Entry, limit int) (err error) {
	switch f.kind {
	case reckoner.Interval:
		if f.folded, err = f.folded.Add(e.Quantity); err != nil {
			return fmt.Errorf("entry %q at %s: %w", e.EventID, e.Position, err)
		}
	case reckoner.Total:
		if f.Count == 0 || !e.UsageTime.Before(f.newest) {
			f.folded, f.newest = e.Quantity, e.UsageTime
		}
	case reckoner.Rate:
		if f.Count == 0 || e.Quantity.Cmp(f.folded) > 0 {
			f.folded = e.Quantity
		}
	}
	if f.Count++; limit == 0 || len(f.Entries) < limit {
		f.Entries = append(f.Entries, shownEntry{
			EventID: e.EventID, Kind: e.Kind.String(), UsageID: e.UsageID, UsageTime: e.UsageTime, ReceivedAt: e.ReceivedAt,
			Quantity: e.Quantity, Outcome: e.Outcome.String(), Position: e.Position.String(),
		})
	}
	return nil
}
