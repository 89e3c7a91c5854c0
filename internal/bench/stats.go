package bench

import (
	"slices"
	"time"
)

// median returns the middle one; of an even number the mean of the two. It returns 0 of nothing.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}

// quantile returns the value that so many of a hundred do not exceed, in milliseconds.
func quantile(took []time.Duration, percent int) float64 {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return millis(sorted[min((len(sorted)*percent+99)/100, len(sorted))-1])
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// spread sets the quantiles of a row.
func (r *Result) spread(took []time.Duration) {
	if len(took) > 0 {
		r.P50, r.P99 = new(quantile(took, 50)), new(quantile(took, 99))
	}
}

// rate is how many a second.
func rate(n int64, took time.Duration) float64 { return float64(n) / took.Seconds() }
