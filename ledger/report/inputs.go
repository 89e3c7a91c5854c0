package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// SubscriptionIDs returns whose usage the installation reports, in order: "", usage that names none, is among them where it has
// no resources.
func (t *Terms) SubscriptionIDs() []string {
	ids := t.reported()
	maps.DeleteFunc(ids, func(_ string, reported bool) bool { return !reported })
	return slices.Sorted(maps.Keys(ids))
}

// Scope returns which usage of the part's period a report of that moment holds: a time for each subscription and resource
// that has begun, by subscription and start. Of one subscription they never overlap.
func (t *Terms) Scope(part Part, moment time.Time) []ledger.ReportScope {
	all := t.stretches(part.Period, within(moment, part.Period))
	var scope []ledger.ReportScope
	for _, id := range slices.Sorted(maps.Keys(all)) {
		for _, s := range all[id] {
			scope = append(scope, ledger.ReportScope{SubscriptionID: id, Period: s.Period})
		}
	}
	return scope
}

// stored is how terms are kept beside the reports that were made from them: entities as the catalog writes them.
type stored struct {
	Installation  json.RawMessage   `json:"installation"`
	Subscriptions []json.RawMessage `json:"subscriptions"`
	Plans         []json.RawMessage `json:"plans"`
	Meters        []json.RawMessage `json:"meters"`
	Gone          []string          `json:"gone,omitempty"`
}

// Encode returns the terms as they are stored with a report: the installation, its subscriptions, their plans, the meters that
// those and the readings name, and the subscriptions that are gone, each in a fixed order. Where a token is to be found is in it; a token never is.
func (t *Terms) Encode(readings []Reading) ([]byte, error) {
	s := stored{
		Installation: catalog.JSON(t.Installation), Subscriptions: make([]json.RawMessage, 0, len(t.Subscriptions)),
		Plans: make([]json.RawMessage, 0, len(t.Plans)), Meters: []json.RawMessage{}, Gone: t.Gone,
	}
	meters := make(map[string]bool)
	for _, sub := range t.Subscriptions {
		s.Subscriptions = append(s.Subscriptions, catalog.JSON(sub))
		meters[sub.Meter] = true
	}
	for _, id := range slices.Sorted(maps.Keys(t.Plans)) {
		s.Plans = append(s.Plans, catalog.JSON(t.Plans[id]))
		for i := range t.Plans[id].Prices {
			meters[t.Plans[id].Prices[i].Meter] = true
		}
	}
	for i := range readings {
		meters[readings[i].Meter] = true
	}
	for _, name := range slices.Sorted(maps.Keys(meters)) {
		if m, ok := t.Meters[name]; ok {
			s.Meters = append(s.Meters, catalog.JSON(&catalog.Meter{Meter: m}))
		}
	}
	b, err := encode(s)
	if err != nil {
		return nil, fmt.Errorf("terms of installation %q: %w", t.Installation.ID, err)
	}
	return b, nil
}

// DecodeTerms reads what Encode gave. Its statements are those of the terms that were encoded, for the same readings.
func DecodeTerms(b []byte) (*Terms, error) {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("stored terms: %w", err)
	}
	t := &Terms{Plans: make(map[string]*catalog.Plan), Meters: make(map[string]reckoner.Meter), Gone: s.Gone}
	var err error
	if t.Installation, err = entity[*catalog.Installation](catalog.InstallationKind, s.Installation); err != nil {
		return nil, err
	}
	for _, raw := range s.Subscriptions {
		sub, err := entity[*catalog.Subscription](catalog.SubscriptionKind, raw)
		if err != nil {
			return nil, err
		}
		t.Subscriptions = append(t.Subscriptions, sub)
	}
	for _, raw := range s.Plans {
		p, err := entity[*catalog.Plan](catalog.PlanKind, raw)
		if err != nil {
			return nil, err
		}
		t.Plans[p.ID] = p
	}
	for _, raw := range s.Meters {
		m, err := entity[*catalog.Meter](catalog.MeterKind, raw)
		if err != nil {
			return nil, err
		}
		t.Meters[m.Name] = m.Meter
	}
	return t, nil
}

// entity reads one entity with the catalog's own reader. Whom it is of stands in it.
func entity[E catalog.Entity](kind catalog.Kind, raw []byte) (none E, err error) {
	var named struct{ ID, Name string }
	if err := json.Unmarshal(raw, &named); err != nil {
		return none, fmt.Errorf("stored terms: %s: %w", kind, err)
	}
	id := named.ID
	if kind == catalog.MeterKind {
		id = named.Name
	}
	e, faults := catalog.DecodeEntity(kind, id, raw, nil)
	if e == nil {
		why := make([]string, 0, len(faults))
		for i := range faults {
			why = append(why, strings.TrimSpace(faults[i].Path+" "+faults[i].Message))
		}
		return none, fmt.Errorf("stored terms: %s %q: %s", kind, id, strings.Join(why, "; "))
	}
	return e.(E), nil
}
