package catalog

import (
	"strings"
	"testing"
	"time"
)

// What AWS was told stays there, so a dimension that it was told of never begins at another time. One that comes anew may, and so may
// all of another installation.
func TestBeginningAtAWSStays(t *testing.T) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	at := func(from time.Time, dimensions ...Dimension) *Installation {
		return &Installation{ID: "icfg_1", Target: TargetAWSMarketplace, AWS: &Marketplace{From: from, Dimensions: dimensions}}
	}
	calls, own := Dimension{Meter: "calls", Dimension: "calls"}, Dimension{Meter: "calls", Dimension: "calls", From: noon}
	for _, tt := range []struct {
		name          string
		before, after Entity
		refused       bool
	}{
		{"the same", at(noon, calls), at(noon, calls), false},
		{"later", at(noon, calls), at(noon.Add(time.Hour), calls), true},
		{"earlier", at(noon, calls), at(noon.Add(-time.Hour), calls), true},
		{"by itself as it was by all", at(noon, calls), at(noon.Add(time.Hour), own), false},
		{"by itself at another time", at(noon.Add(time.Hour), calls), at(noon.Add(time.Hour), own), true},
		{"another dimension", at(noon, calls), at(noon.Add(time.Hour), Dimension{Meter: "calls", Dimension: "other"}), false},
		{"of another target before", &Installation{ID: "icfg_1", Target: TargetVercel}, at(noon, calls), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Moved(tt.before, tt.after)
			if (f != nil) != tt.refused || f != nil && (f.Path != "aws" || !strings.Contains(f.Message, `begins at 2026-11-20T1`)) {
				t.Errorf("%+v", f)
			}
		})
	}
}
