package app

import (
	"context"
	"fmt"
	"slices"
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
	slice  reckoner.Period
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
// figure.
func behind(ctx context.Context, l ledger.FiguresReader, q ledger.FiguresQuery, figures []ledger.Figure, day reckoner.Period, limit int) ([]shownFigure, error) {
	all := make([]shownFigure, len(figures))
	by := make(map[figureKey]*shownFigure, len(figures))
	for i, f := range figures {
		all[i] = shownFigure{
			Subscription: f.SubscriptionID, Meter: f.Meter, Type: f.MeterType.String(), When: when(f.Slice, day), From: f.Slice.Start, To: f.Slice.End,
			Quantity: f.Quantity, Entries: []shownEntry{}, kind: f.MeterType, slice: f.Slice,
		}
		by[figureKey{f.SubscriptionID, f.Meter, f.MeterType, f.Slice.End.UnixNano()}] = &all[i]
	}
	if q.AsOf == nil {
		return all, nil
	}
	for e, err := range l.Behind(ctx, q) {
		if err != nil {
			return nil, err
		}
		f := by[figureKey{e.SubscriptionID, e.Meter, e.MeterType, sliceEnd(q.Edges, &e).UnixNano()}]
		if f == nil {
			return nil, fmt.Errorf("entry %q at %s is behind no figure of the report", e.EventID, e.Position)
		}
		if err := f.take(&e, limit); err != nil {
			return nil, err
		}
	}
	for i := range all {
		if f := &all[i]; f.folded != f.Quantity {
			f.ComeTo = &f.folded
		}
	}
	return all, nil
}

// sliceEnd returns where the slice ends that an entry is in: the first edge, for what is carried over from before.
func sliceEnd(edges []time.Time, e *ledger.Entry) time.Time {
	at := e.Bucket
	if e.Period.Start.After(at) {
		at = e.Period.Start
	}
	i, _ := slices.BinarySearchFunc(edges, at, func(edge, at time.Time) int {
		if edge.After(at) {
			return 1
		}
		return -1
	})
	return edges[min(i, len(edges)-1)]
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
