package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Every subscription that has a total of an account is listed, once, in order, and none of another account.
func TestUsedSubscriptionsAreThoseOfTheEntries(t *testing.T) {
	l := openLedger(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		h := drawHistory(rt, fmt.Sprintf("%08d-s", run), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
		h.write(rt, l)
		var want []string
		for _, e := range h.entries {
			want = append(want, e.SubscriptionID)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		for _, limit := range []int{1, 100} {
			got, err := l.UsedSubscriptions(context.Background(), h.prefix, limit)
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(want[:min(len(want), limit)], got); diff != "" {
				rt.Fatalf("subscriptions (-of the entries +listed):\n%s", diff)
			}
		}
	})
	if got, err := l.UsedSubscriptions(t.Context(), "nobody", 10); err != nil || len(got) > 0 {
		t.Errorf("of an account without totals: %v, %v", got, err)
	}
}
