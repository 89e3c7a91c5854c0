package accounts

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

var update = flag.Bool("update", false, "write the golden files again")

const owner = "9c1e0000-0000-4000-8000-000000000001"

// total is a total of the account, as plain as can be: what was used at an instant, which is that of ledger.FiguresReader.
type total struct {
	subscription, meter string
	kind                reckoner.MeterType
	at                  time.Time
	quantity            reckoner.Quantity
	offset              int64
}

// world is a ledger that folds totals one by one, as ledger.FiguresReader says.
type world struct {
	totals []total
	asked  []ledger.FiguresQuery
}

func (w *world) UsedSubscriptions(_ context.Context, accountID string, limit int) ([]string, error) {
	var ids []string
	for _, t := range w.totals {
		if accountID == owner {
			ids = append(ids, t.subscription)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return ids[:min(len(ids), limit)], nil
}

func (w *world) Figures(_ context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	w.asked = append(w.asked, queries...)
	answers := make([]ledger.Figures, len(queries))
	for i, q := range queries {
		type key struct {
			subscription, meter string
			kind                reckoner.MeterType
			slice               int
		}
		last := make(map[key]total)
		for _, t := range w.totals {
			slice := sliceOf(q.Edges, t.at)
			if !slices.Contains(q.SubscriptionIDs, t.subscription) || slice == len(q.Edges)-1 || slice < 0 && t.kind != reckoner.Total {
				continue
			}
			if p := (reckoner.Position{Log: 1, Partition: 3, Offset: t.offset}); answers[i].AsOf == nil || p.Cmp(*answers[i].AsOf) > 0 {
				answers[i].AsOf = &p
			}
			k := key{t.subscription, t.meter, t.kind, slice}
			before, ok := last[k]
			switch {
			case !ok:
			case t.kind == reckoner.Interval:
				t.quantity = must(before.quantity.Add(t.quantity))
			case t.kind == reckoner.Total && t.at.Before(before.at), t.kind == reckoner.Rate && t.quantity.Cmp(before.quantity) < 0:
				t = before
			}
			last[k] = t
		}
		for k, t := range last {
			p := reckoner.Period{End: q.Edges[0]}
			if k.slice >= 0 {
				p = reckoner.Period{Start: q.Edges[k.slice], End: q.Edges[k.slice+1]}
			}
			answers[i].Rows = append(answers[i].Rows, ledger.Figure{SubscriptionID: k.subscription, Meter: k.meter, MeterType: k.kind, Slice: p, Quantity: t.quantity})
		}
	}
	return answers, nil
}

// sliceOf returns the slice that holds t: -1 before the first, and the number of slices after the last.
func sliceOf(edges []time.Time, t time.Time) int {
	i := 0
	for i < len(edges) && !edges[i].After(t) {
		i++
	}
	return i - 1
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// failer is a test, or a property under test.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func parse(t failer, text string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse("catalog.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-file +now; run with -update if it is meant):\n%s", path, diff)
	}
}
