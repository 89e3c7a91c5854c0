package ingest

import (
	"fmt"
	"strings"
	"time"

	"reckoner"
	"reckoner/ledger"
)

const usageFieldList = "want id, subscriptionId, quantity, usageTime, createdTime or updatedTime"

// listField is a field that usages are filtered and sorted by.
func listField(name string) (ledger.UsageField, bool) {
	switch name {
	case "id":
		return ledger.UsageID, true
	case "subscriptionId":
		return ledger.UsageSubscription, true
	case "quantity":
		return ledger.UsageQuantity, true
	case "usageTime":
		return ledger.UsageTime, true
	case "createdTime":
		return ledger.UsageCreated, true
	case "updatedTime":
		return ledger.UsageUpdated, true
	}
	return 0, false
}

// usageFilter is `field:value,value…`: one of the values, or, with `!` before the first of them, none.
type usageFilter struct {
	field  ledger.UsageField
	name   string
	values []string
	not    bool
}

// parseUsageFilter reads `field:value,value;field:from..to`. All filters have to hold.
//
// Source: https://www.rebilly.com/docs/dev-docs/search-filters
func parseUsageFilter(text string, q *ledger.UsageList, wrong *fieldsError) {
	if text == "" {
		return
	}
	seen := map[ledger.UsageField]bool{}
	for part := range strings.SplitSeq(text, ";") {
		f, why := splitFilter(part)
		if why == "" && seen[f.field] {
			why = f.name + " is given more than once"
		}
		if why == "" {
			seen[f.field] = true
			why = f.into(q)
		}
		if why != "" {
			wrong.add("filter", why)
		}
	}
}

func splitFilter(part string) (usageFilter, string) {
	name, values, ok := strings.Cut(part, ":")
	if !ok {
		return usageFilter{}, fmt.Sprintf("%q is no filter: want field:value", clip(part))
	}
	field, ok := listField(name)
	if !ok {
		return usageFilter{}, fmt.Sprintf("unknown field %q: %s", clip(name), usageFieldList)
	}
	f := usageFilter{field: field, name: name}
	for i, value := range strings.Split(values, ",") {
		value, not := strings.CutPrefix(value, "!")
		switch {
		case i == 0:
			f.not = not
		case not && !f.not:
			return f, name + ": a filter takes values or excludes them; it cannot do both"
		}
		switch {
		case value == "":
			return f, name + ": a value is missing"
		case strings.HasPrefix(value, "@"):
			return f, name + ": there are no lists of values here"
		}
		f.values = append(f.values, value)
	}
	return f, ""
}

// into adds the filter to a list, or says what is wrong with its values.
func (f *usageFilter) into(q *ledger.UsageList) string {
	switch f.field {
	case ledger.UsageID:
		q.IDs = f.texts()
	case ledger.UsageSubscription:
		q.Subscriptions = f.texts()
	case ledger.UsageQuantity:
		ranges, why := filterRanges(f, quantityBound, reckoner.Quantity.Cmp)
		if why != "" {
			return why
		}
		q.Quantity = &ledger.QuantityFilter{Not: f.not}
		for _, r := range ranges {
			q.Quantity.Ranges = append(q.Quantity.Ranges, ledger.QuantityRange{From: r.from, To: r.to})
		}
	case ledger.UsageTime:
		return f.times(&q.UsageTime)
	case ledger.UsageCreated:
		return f.times(&q.CreatedTime)
	case ledger.UsageUpdated:
		return f.times(&q.UpdatedTime)
	}
	return ""
}

func (f *usageFilter) texts() *ledger.TextFilter {
	values := make([]string, len(f.values))
	for i, v := range f.values {
		values[i] = reckoner.CanonicalID(v)
	}
	return &ledger.TextFilter{Values: values, Not: f.not}
}

func (f *usageFilter) times(to **ledger.TimeFilter) string {
	ranges, why := filterRanges(f, timeBound, time.Time.Compare)
	if why != "" {
		return why
	}
	*to = &ledger.TimeFilter{Not: f.not}
	for _, r := range ranges {
		var bounds ledger.TimeRange
		if r.from != nil {
			bounds.From = *r.from
		}
		if r.to != nil {
			bounds.To = *r.to
		}
		(*to).Ranges = append((*to).Ranges, bounds)
	}
	return ""
}

// span has inclusive bounds; nil is none.
type span[T any] struct{ from, to *T }

// filterRanges reads each value as a range (`from..to`, where either may be missing) or as one that begins and ends with
// itself.
func filterRanges[T any](f *usageFilter, bound func(text string, last bool) (T, string), compare func(a, b T) int) ([]span[T], string) {
	ranges := make([]span[T], len(f.values))
	for i, value := range f.values {
		from, to, ranged := strings.Cut(value, "..")
		if !ranged {
			to = value
		}
		if from == "" && to == "" {
			return nil, f.name + ": a range needs a begin or an end"
		}
		r := &ranges[i]
		for _, side := range []struct {
			text string
			to   **T
			last bool
		}{{from, &r.from, false}, {to, &r.to, true}} {
			if side.text == "" {
				continue
			}
			v, why := bound(side.text, side.last)
			if why != "" {
				return nil, fmt.Sprintf("%s: %q: %s", f.name, clip(side.text), why)
			}
			*side.to = &v
		}
		if r.from != nil && r.to != nil && compare(*r.from, *r.to) > 0 {
			return nil, fmt.Sprintf("%s: the range %q ends before it begins", f.name, clip(value))
		}
	}
	return ranges, ""
}

func quantityBound(text string, _ bool) (reckoner.Quantity, string) {
	q, err := reckoner.ParseQuantity(text)
	if err != nil {
		return q, err.Error()
	}
	return q, ""
}

// timeBound reads a point in time, or a day in UTC: its first instant, or its last. A plus sign that a client wrote as it
// is came as a space.
func timeBound(text string, last bool) (time.Time, string) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		if last {
			day = day.AddDate(0, 0, 1).Add(-1)
		}
		return storable(day), ""
	}
	if i := strings.LastIndexByte(text, ' '); i > len("2026-06-15T") {
		text = text[:i] + "+" + text[i+1:]
	}
	t, why := parseISO(text)
	return storable(t), why
}

// storable moves a bound to where rows can be: none lies outside, and the ledger has no number for times far outside.
func storable(t time.Time) time.Time {
	switch {
	case t.Before(reckoner.MinTime):
		return reckoner.MinTime
	case t.After(reckoner.MaxTime):
		return reckoner.MaxTime
	}
	return t
}
