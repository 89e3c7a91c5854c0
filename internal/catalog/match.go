package catalog

import (
	"cmp"
	"slices"

	"reckoner"
)

// The built-in meters, which take the usages that no meter matches. A catalog that lists a meter of the name replaces
// it.
const (
	creditMeter  = "credit"
	featureMeter = "feature"
)

// builtin returns the built-in meter of that name.
func builtin(name string) (reckoner.Meter, bool) {
	switch name {
	case creditMeter:
		return reckoner.Meter{Name: creditMeter, Unit: "credits", Type: reckoner.Interval}, true
	case featureMeter:
		return reckoner.Meter{Name: featureMeter, Unit: "units", Type: reckoner.Interval}, true
	default:
		return reckoner.Meter{}, false
	}
}

// Meter returns the meter with that name, a built-in one included.
func (c *Catalog) Meter(name string) (reckoner.Meter, bool) {
	return c.meter(name)
}

func (t *tables) meter(name string) (reckoner.Meter, bool) {
	if r := t.row(MeterKind, name); r != nil {
		return r.entity.(*Meter).Meter, true
	}
	return builtin(name)
}

// MatchMeter returns the meter that a usage of the Frontier dialect counts for: of the meters whose match agrees with it
// the one with the greatest priority, of equals the one with the lesser name; without any, the meter credit for the
// type "credit" (or none), and the meter feature for every other.
func (c *Catalog) MatchMeter(typ, source string, metadata []reckoner.Label) reckoner.Meter {
	if typ == "" {
		typ = creditMeter
	}
	for _, m := range c.rules {
		if m.Match.fits(typ, source, metadata) {
			return m.Meter
		}
	}
	name := featureMeter
	if typ == creditMeter {
		name = creditMeter
	}
	m, _ := c.meter(name)
	return m
}

func (m *Match) fits(typ, source string, metadata []reckoner.Label) bool {
	if m.Type != "" && m.Type != typ || m.Source != "" && m.Source != source {
		return false
	}
	for _, want := range m.Metadata {
		if !slices.Contains(metadata, want) {
			return false
		}
	}
	return true
}

func compareRules(a, b *Meter) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Name, b.Name))
}
