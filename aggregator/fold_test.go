package aggregator

import (
	"testing"
	"time"

	"reckoner"
)

// total returns the only total of a meter in a batch.
func onlyTotal(t *testing.T, b *batch, meter string) *foldedTotal {
	t.Helper()
	var found *foldedTotal
	for _, tot := range b.layer.totals {
		if tot.Meter != meter {
			continue
		}
		if found != nil {
			t.Fatalf("more than one total of %s", meter)
		}
		found = &foldedTotal{tot.Quantity.String(), tot.Events, tot.Reverts, tot.Reading.Offset, tot.Position.Offset, tot.FirstUse, tot.LastUse}
	}
	if found == nil {
		t.Fatalf("no total of %s", meter)
	}
	return found
}

type foldedTotal struct {
	Quantity          string
	Events, Reverts   uint64
	Reading, Position int64
	FirstUse, LastUse time.Time
}

// A level is the newest reading by time of use, and of two at one time the one that stands later in the log.
func TestLevelIsTheNewestReading(t *testing.T) {
	a := accountIn(testPartition, 0)
	level := meter("disk", reckoner.Total)
	early, late := day().Add(time.Minute), day().Add(2*time.Minute)
	for _, tt := range []struct {
		name   string
		events []*reckoner.Event
		want   foldedTotal
	}{
		{"one", []*reckoner.Event{usage(a, "1", 5000, level, at(early))}, foldedTotal{"5", 1, 0, 0, 0, early, early}},
		{"newer and smaller", []*reckoner.Event{usage(a, "1", 5000, level, at(early)), usage(a, "2", 3000, level, at(late))}, foldedTotal{"3", 2, 0, 1, 1, early, late}},
		{"older, arriving late", []*reckoner.Event{usage(a, "1", 5000, level, at(late)), usage(a, "2", 9000, level, at(early))}, foldedTotal{"5", 2, 0, 0, 1, early, late}},
		{"tie", []*reckoner.Event{usage(a, "1", 5000, level, at(late)), usage(a, "2", 3000, level, at(late))}, foldedTotal{"3", 2, 0, 1, 1, late, late}},
		{"tie after a late arrival", []*reckoner.Event{usage(a, "1", 5000, level, at(late)), usage(a, "2", 9000, level, at(early)), usage(a, "3", 4000, level, at(late))}, foldedTotal{"4", 3, 0, 2, 2, early, late}},
		{"down to zero", []*reckoner.Event{usage(a, "1", 5000, level, at(early)), usage(a, "2", 0, level, at(late))}, foldedTotal{"0", 2, 0, 1, 1, early, late}},
		{"repeated", []*reckoner.Event{usage(a, "1", 5000, level, at(early)), usage(a, "1", 5000, level, at(late))}, foldedTotal{"5", 1, 0, 0, 0, early, early}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, b := decided(t, tt.events...)
			same(t, "total", &tt.want, onlyTotal(t, b, "disk"))
		})
	}
}

func TestPeakIsTheGreatestReading(t *testing.T) {
	a := accountIn(testPartition, 0)
	rate := meter("rps", reckoner.Rate)
	_, b := decided(t, usage(a, "1", 0, rate), usage(a, "2", 7000, rate, at(day().Add(time.Minute))), usage(a, "3", 5000, rate))
	want := foldedTotal{"7", 3, 0, 0, 2, day(), day().Add(time.Minute)}
	same(t, "total", &want, onlyTotal(t, b, "rps"))
}

// A revert counts where its usage counts, whatever the revert itself was stamped with.
func TestRevertCountsInTheUsagesPlace(t *testing.T) {
	a := accountIn(testPartition, 0)
	used := day().Add(-40 * 24 * time.Hour)
	elsewhere := func(e *reckoner.Event) {
		e.SubscriptionID, e.Meter, e.Type = "other", reckoner.Meter{Name: "other", Type: reckoner.Interval}, "feature"
	}
	_, b := decided(t, usage(a, "1", 5000, at(used), limited("s", 9000)), revert(a, "r", "1", amount(2000), elsewhere))
	want := foldedTotal{"3", 1, 1, 0, 1, used, used}
	same(t, "total", &want, onlyTotal(t, b, "calls"))
	entries := b.entries.appendTo(nil)
	u, r := entries[0], entries[1]
	if r.SubscriptionID != "s" || r.Meter != "calls" || r.Type != "credit" || r.Period != u.Period || r.Bucket != u.Bucket || !r.UsageTime.Equal(used) {
		t.Errorf("the revert stands elsewhere than its usage: %+v", r)
	}
	if r.Limit != nil || r.UsageID != "1" || r.EventID != "r" {
		t.Errorf("the revert's own fields: %+v", r)
	}
}

// Two events of one bucket on both sides of a period's boundary are two totals of that bucket.
func TestPeriodBoundaryInsideABucket(t *testing.T) {
	a := accountIn(testPartition, 0)
	_, b := decided(t, usage(a, "1", 1000, at(day().Add(-1))), usage(a, "2", 2000, at(day())))
	got := make(map[time.Time]string)
	for _, tot := range b.layer.totals {
		if want := day().Truncate(15 * time.Minute); !tot.Bucket.Equal(want) {
			t.Errorf("bucket %s, want %s", tot.Bucket, want)
		}
		got[tot.Period.Start] = tot.Quantity.String()
	}
	same(t, "totals by period", map[time.Time]string{day().Add(-24 * time.Hour): "1", day(): "2"}, got)
}

// The largest amounts add up exactly.
func TestLargestAmountsAddUp(t *testing.T) {
	a := accountIn(testPartition, 0)
	most := reckoner.MaxEvent()
	var events []*reckoner.Event
	for i := range 1000 {
		events = append(events, usage(a, string(rune('a'+i)), 0, func(e *reckoner.Event) { e.Written.Quantity = &most }))
	}
	_, b := decided(t, events...)
	if got := onlyTotal(t, b, "calls").Quantity; got != "9223372036854775807000" {
		t.Errorf("1000 × the maximum = %s", got)
	}
}
