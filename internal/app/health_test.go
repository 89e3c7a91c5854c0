package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"reckoner/aggregator"
	"reckoner/internal/bus"
)

// aggregatorAt is an aggregator that stands as a case says.
type aggregatorAt struct {
	partitions []aggregator.PartitionStatus
	outside    *aggregator.Outside
}

func (a aggregatorAt) Status() ([]aggregator.PartitionStatus, bool) {
	return a.partitions, a.outside == nil
}
func (a aggregatorAt) Outside() *aggregator.Outside { return a.outside }

// TestHealthOfAnAggregator: health and readiness, and what they say.
func TestHealthOfAnAggregator(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	one := func(s aggregator.PartitionStatus) aggregatorAt {
		return aggregatorAt{partitions: []aggregator.PartitionStatus{s}}
	}
	down := errors.New("ClickHouse is down")
	taken := &bus.GroupTakenError{Group: "g", Err: errors.New("no")}
	for _, c := range []struct {
		name             string
		a                aggregatorAt
		unhealthy, ready string // a part of what is said; empty: it is well
	}{
		{"joining", aggregatorAt{outside: &aggregator.Outside{Since: ago(59 * time.Second)}}, "", "not a member of the group yet"},
		{"joining, and it failed", aggregatorAt{outside: &aggregator.Outside{Since: ago(time.Second), Err: taken}}, "", "another program uses the consumer group g"},
		{"never taken", aggregatorAt{outside: &aggregator.Outside{Since: ago(61 * time.Second)}}, "for 1m1s: no error was seen", "not a member"},
		{"never taken, with a reason", aggregatorAt{outside: &aggregator.Outside{Since: ago(time.Hour), Err: taken}}, "another program uses the consumer group g", "kafka.group"},
		{"a member without partitions", aggregatorAt{}, "", ""},
		{"all done", one(aggregator.PartitionStatus{Open: true, Next: 5, LogNext: 5, Moved: ago(time.Hour)}), "", ""},
		{"at work", one(aggregator.PartitionStatus{Open: true, Next: 5, LogNext: 9, Moved: ago(time.Second)}), "", ""},
		{"stuck", one(aggregator.PartitionStatus{Open: true, Next: 5, LogNext: 9, Moved: ago(time.Hour)}), "stands at offset 5 of 9 for 1h0m0s", ""},
		{"opening", one(aggregator.PartitionStatus{Next: -1, LogNext: -1, Moved: ago(time.Second)}), "", "being opened"},
		{"opening again", one(aggregator.PartitionStatus{Next: 5, LogNext: 5, Moved: ago(time.Second)}), "", "being opened"},
		{"failing", one(aggregator.PartitionStatus{Open: true, Next: 5, LogNext: 5, Moved: ago(time.Second), Err: down}), "", "ClickHouse is down"},
		{"failing for long", one(aggregator.PartitionStatus{Open: true, Next: 5, LogNext: 5, Moved: ago(time.Hour), Err: down}), "ClickHouse is down", "ClickHouse is down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for what, got := range map[string]struct {
				err  error
				want string
			}{"health": {progressing(c.a, time.Minute, now), c.unhealthy}, "readiness": {assigned(c.a), c.ready}} {
				if (got.err != nil) != (got.want != "") || got.err != nil && !strings.Contains(got.err.Error(), got.want) {
					t.Errorf("%s: %v, want %q", what, got.err, got.want)
				}
			}
		})
	}
}
