package runner_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
)

const (
	accountA = "9c1e0000-0000-4000-8000-00000000000a"
	accountB = "9c1e0000-0000-4000-8000-00000000000b"
	accountC = "9c1e0000-0000-4000-8000-00000000000c"
)

// document is what the world's catalog begins with: an installation with resources whose days end in mid-morning, one of a
// whole account whose periods are days that cut its calendar days in two, and one without subscriptions.
const document = `
organizations: [{id: 6f0d0000-0000-4000-8000-000000000001}]
accounts:
  - {id: ` + accountA + `, organization: 6f0d0000-0000-4000-8000-000000000001}
  - {id: ` + accountB + `, organization: 6f0d0000-0000-4000-8000-000000000001}
  - {id: ` + accountC + `, organization: 6f0d0000-0000-4000-8000-000000000001}
meters:
  - {name: calls, unit: calls, type: interval}
  - {name: disk, unit: GB, type: total}
  - {name: peak, unit: seats, type: rate}
plans: [{id: pro, prices: [{meter: calls, unit_price: "0.0125", included: "3"}, {meter: disk, unit_price: "0.5"}], discounts: [{name: launch, amount: "1.00"}]}]
subscriptions:
  - {id: s1, account: ` + accountA + `, plan: pro, meter: calls, period: {anchor: 1999-12-31T10:20:00Z, every: month}}
  - {id: s2, account: ` + accountA + `, meter: calls, period: {anchor: 1999-12-31T10:20:00Z, every: month}}
  - {id: s3, account: ` + accountB + `, plan: pro, period: {anchor: 1999-12-31T18:00:00Z, every: day}}
installations:
  - {id: icfg_1, target: vercel, account: ` + accountA + `, base_url: "https://partner.test/api", token_env: TOKEN_1, day_ends_at: "05:45",
     resources: [{subscription: s1, resource_id: res_a}, {subscription: s2, resource_id: res_b, from: 2000-01-02T00:00:00Z}]}
  - {id: icfg_2, target: vercel, account: ` + accountB + `, base_url: "https://partner.test/api", token_env: TOKEN_2}
  - {id: icfg_3, target: vercel, account: ` + accountC + `, base_url: "https://partner.test/api", token_env: TOKEN_3}
`

func parse(t testing.TB, text string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

func kinds() map[string]reckoner.MeterType {
	return map[string]reckoner.MeterType{"calls": reckoner.Interval, "disk": reckoner.Total, "peak": reckoner.Rate}
}

// event is one entry that counts. Its offset in the log is its index.
type event struct {
	account, subscription, meter string
	at                           time.Time // of use; of a revert, that of what it reverts
	quantity                     reckoner.Quantity
	instant                      time.Time // the later one of its bucket and its period's start
}

// memory is a ledger by the letter of its contract: the events in the order of the log, and the reports.
type memory struct {
	mu     sync.Mutex
	events []event
	rows   map[rowKey]ledger.Report
	claims map[claimKey]time.Time
}

type rowKey struct {
	installation, reporter string
	timestamp              int64
}

type claimKey struct{ installation, reporter string }

func newMemory() *memory {
	return &memory{rows: make(map[rowKey]ledger.Report), claims: make(map[claimKey]time.Time)}
}

func (m *memory) add(e event, cycle reckoner.Cycle) {
	e.instant = reckoner.BucketOf(e.at)
	if start := cycle.At(e.at).Start; e.instant.Before(start) {
		e.instant = start
	}
	m.put(e)
}

// put adds an event whose instant is known.
func (m *memory) put(e event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}

func (m *memory) Figures(_ context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]ledger.Figures, len(queries))
	for i := range queries {
		out[i] = fold(m.events, &queries[i])
	}
	return out, nil
}

func (m *memory) FiguresAt(_ context.Context, queries []ledger.FiguresQuery) ([]ledger.Figures, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]ledger.Figures, len(queries))
	for i := range queries {
		if at := queries[i].AsOf; at != nil {
			out[i] = fold(m.events[:at.Offset+1], &queries[i])
		}
	}
	return out, nil
}

func (m *memory) Behind(context.Context, ledger.FiguresQuery) iter.Seq2[ledger.Entry, error] {
	panic("a runner never asks what is behind a figure")
}

func (m *memory) SubscriptionsUsed(_ context.Context, accounts []string) (map[string]map[string]time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	used := make(map[string]map[string]time.Time)
	for _, e := range m.events {
		if !slices.Contains(accounts, e.account) {
			continue
		}
		if used[e.account] == nil {
			used[e.account] = make(map[string]time.Time)
		}
		if at := reckoner.BucketOf(e.at); at.After(used[e.account][e.subscription]) {
			used[e.account][e.subscription] = at
		}
	}
	return used, nil
}

// fold folds events one by one into the slices of a query.
func fold(events []event, q *ledger.FiguresQuery) ledger.Figures {
	type line struct {
		subscription, meter string
		slice               int
	}
	var out ledger.Figures
	at := make(map[line]int)
	newest := make(map[line]time.Time)
	for offset, e := range events {
		kind := kinds()[e.meter]
		slice := 0
		for slice < len(q.Edges) && !e.instant.Before(q.Edges[slice]) {
			slice++
		}
		if e.account != q.AccountID || !slices.Contains(q.SubscriptionIDs, e.subscription) || slice == len(q.Edges) || slice == 0 && kind != reckoner.Total {
			continue
		}
		out.AsOf = &reckoner.Position{Log: 1, Offset: int64(offset)}
		l := line{e.subscription, e.meter, slice}
		i, ok := at[l]
		if !ok {
			f := ledger.Figure{SubscriptionID: e.subscription, Meter: e.meter, MeterType: kind, Quantity: e.quantity, Slice: reckoner.Period{End: q.Edges[slice]}}
			if slice > 0 {
				f.Slice.Start = q.Edges[slice-1]
			}
			at[l], newest[l] = len(out.Rows), e.at
			out.Rows = append(out.Rows, f)
			continue
		}
		switch f := &out.Rows[i]; kind {
		case reckoner.Interval:
			f.Quantity, _ = f.Quantity.Add(e.quantity)
		case reckoner.Total:
			if !e.at.Before(newest[l]) {
				f.Quantity, newest[l] = e.quantity, e.at
			}
		default:
			if e.quantity.Cmp(f.Quantity) > 0 {
				f.Quantity = e.quantity
			}
		}
	}
	return out
}

func (m *memory) LastTimestamps(_ context.Context, ids []string) (map[string]time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := make(map[string]time.Time)
	for k, t := range m.claims {
		if slices.Contains(ids, k.installation) && t.After(last[k.installation]) {
			last[k.installation] = t
		}
	}
	for _, r := range m.rows {
		if slices.Contains(ids, r.InstallationID) && r.Timestamp.After(last[r.InstallationID]) {
			last[r.InstallationID] = r.Timestamp
		}
	}
	return last, nil
}

func (m *memory) Claim(_ context.Context, claims []ledger.ReportClaim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range claims {
		if k := (claimKey{c.InstallationID, c.Reporter}); c.Timestamp.After(m.claims[k]) {
			m.claims[k] = c.Timestamp
		}
	}
	return nil
}

func (m *memory) Claimed(_ context.Context, ids []string, reporter string) (map[string]time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	greatest := make(map[string]time.Time)
	for k, t := range m.claims {
		if slices.Contains(ids, k.installation) && k.reporter != reporter && t.After(greatest[k.installation]) {
			greatest[k.installation] = t
		}
	}
	return greatest, nil
}

func (m *memory) History(_ context.Context, ids []string, since time.Time) ([]ledger.Report, error) {
	type part struct{ period, start, end int64 }
	keep := make(map[rowKey]ledger.Report)
	for _, id := range ids {
		var all, accepted []ledger.Report
		parts := make(map[part]ledger.Report)
		for _, r := range m.reports(id) {
			if r.Status == ledger.ReportSuperseded {
				continue
			}
			all = append(all, r)
			if r.Status == ledger.ReportAccepted {
				accepted = append(accepted, r)
			}
			if r.Day.End.After(since) {
				parts[part{r.Period.Start.UnixNano(), r.Day.Start.UnixNano(), r.Day.End.UnixNano()}] = r
			}
		}
		last := slices.Collect(maps.Values(parts))
		for _, of := range [][]ledger.Report{all, accepted} {
			if len(of) > 0 {
				last = append(last, of[len(of)-1])
			}
		}
		for _, r := range last {
			keep[keyOf(&r)] = r
		}
	}
	return slices.SortedFunc(maps.Values(keep), inOrder), nil
}

func keyOf(r *ledger.Report) rowKey {
	return rowKey{r.InstallationID, r.Reporter, r.Timestamp.UnixMilli()}
}

func inOrder(a, b ledger.Report) int {
	return cmp.Or(cmp.Compare(a.InstallationID, b.InstallationID), a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.Reporter, b.Reporter))
}

func (m *memory) WriteReports(_ context.Context, reports []ledger.Report) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range reports {
		if k := keyOf(&reports[i]); m.rows[k].Revision < reports[i].Revision {
			m.rows[k] = reports[i]
		}
	}
	return nil
}

// reports returns the rows of an installation, or of all, by timestamp.
func (m *memory) reports(id string) []ledger.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []ledger.Report
	for _, r := range m.rows {
		if id == "" || r.InstallationID == id {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, inOrder)
	return all
}

// terms returns the terms of an installation.
func terms(c *catalog.Catalog, id string) (*report.Terms, error) {
	for in := range c.Installations() {
		if in.ID == id {
			return report.TermsOf(c, report.MetersOf(c), in)
		}
	}
	return nil, fmt.Errorf("no installation %q", id)
}
