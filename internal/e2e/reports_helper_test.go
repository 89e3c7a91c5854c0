package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"reckoner/ledger/report/partner/vercel/receiver"
)

// reported is installations of a catalog, each of one account with one subscription.
type reported struct {
	*installation
	partner  *receiver.Receiver
	base     string // the partner's
	accounts []string
	dayEnds  time.Duration // of the day in UTC
	catalog  string
}

// newReported makes a catalog whose days end dayEnded ago, so that closing figures of the last day are taken for a while yet.
func newReported(t testing.TB, installations int, dayEnded time.Duration, env ...string) *reported {
	t.Helper()
	r := &reported{partner: receiver.New(receiver.Options{})}
	server := httptest.NewServer(r.partner)
	t.Cleanup(server.Close)
	r.base = server.URL
	r.installation = newInstallation(t, append(env, patient(), setting("report.every", "1h"), setting("report.jitter", "0"),
		setting("report.default_base_url", server.URL), setting("report.delivery_timeout", "20s"), setting("report.retry_backoff_min", "10ms"))...)
	end := time.Now().UTC().Add(-dayEnded).Truncate(15 * time.Minute)
	r.dayEnds = end.Sub(end.Truncate(24 * time.Hour))
	var accounts, subscriptions, targets strings.Builder
	for n := range installations {
		id := uuid.NewString()
		r.accounts = append(r.accounts, id)
		fmt.Fprintf(&accounts, "- {id: %s, organization: d3300000-0000-4000-8000-000000000001, default_subscription: sub_%d}\n", id, n)
		fmt.Fprintf(&subscriptions, "- {id: sub_%d, account: %s, plan: pro, meter: credit}\n", n, id)
		fmt.Fprintf(&targets, "- {id: icfg_%d, account: %s, day_ends_at: %q}\n", n, id, end.Format("15:04"))
	}
	secret := sha256.Sum256([]byte("demo-secret"))
	r.catalog = fmt.Sprintf(`organizations: [{id: d3300000-0000-4000-8000-000000000001, name: demo}]
accounts:
%splans: [{id: pro, prices: [{meter: credit, unit_price: "0.01", included: "10"}]}]
subscriptions:
%sinstallations:
%scredentials: [{id: demo, secret_sha256: %s, scopes: [usage.write, usage.revert, usage.read, usage.backfill, catalog.write], organizations: ["*"]}]
`, accounts.String(), subscriptions.String(), targets.String(), hex.EncodeToString(secret[:]))
	return r
}

// processes starts what `dev` has in one, but for the reporter.
func (r *reported) processes(t testing.TB) {
	t.Helper()
	r.engines(t)
	r.migrate(t)
	r.aggregate(t, r.dir)
	r.ingest(t, catalogFile(t, r.catalog))
}

// use reports usage of an installation's account at a time, and waits until it counts.
func (r *reported) use(t testing.TB, n int, amount int64, at time.Time) (id string) {
	t.Helper()
	id = uuid.NewString()
	got := r.producer().post(t, createPath(r.accounts[n]), usages(m{"id": id, "amount": amount, "created_at": at.UTC().Format(time.RFC3339Nano)}), "Prefer", "wait=30")
	wantOutcomes(t, got, outcome{id, "applied", fmt.Sprint(amount), false})
	return id
}

// report runs a subcommand of `report`, or `report` itself, to its end.
func (r *reported) report(t testing.TB, env []string, args ...string) (status int, p *process) {
	t.Helper()
	return run(t, slices.Concat(r.env, env), append(append([]string{"report"}, args...), r.at()...)...)
}

// once makes one run, which must go well.
func (r *reported) once(t testing.TB, args ...string) string {
	t.Helper()
	status, p := r.report(t, nil, append([]string{"--once"}, args...)...)
	if status != 0 {
		t.Fatalf("report --once %v: status %d\n%s%s", args, status, p.out.String(), p.log.String())
	}
	return p.out.String()
}

// reported commands, and what they print.
func (r *reported) command(t testing.TB, want int, args ...string) string {
	t.Helper()
	status, p := r.report(t, nil, args...)
	if status != want {
		t.Fatalf("report %v: status %d, want %d\n%s%s", args, status, want, p.out.String(), p.log.String())
	}
	return p.out.String()
}

// dayStart returns when the part of a day began that a report is of.
func (r *reported) dayStart(taken *receiver.Taken) time.Time {
	start := taken.EOD.Add(-1).Add(-r.dayEnds).Truncate(24 * time.Hour).Add(r.dayEnds)
	if start.Before(taken.PeriodStart) {
		return taken.PeriodStart
	}
	return start
}

// wantLedger holds what stands at the partner for an installation against the ledger: the day and the period of each part.
func (r *reported) wantLedger(t testing.TB, n int) (parts int) {
	t.Helper()
	latest := r.partner.Latest(fmt.Sprintf("icfg_%d", n))
	for i := range latest {
		taken := &latest[i]
		want := func(from, to time.Time) decimal.Decimal {
			const layout = "2006-01-02 15:04:05.000"
			sum := r.value(t, fmt.Sprintf("SELECT sum(quantity) FROM usage_entries WHERE account_id = '%s' AND meter = 'credit' AND usage_time >= '%s' AND usage_time < '%s'",
				r.accounts[n], from.Format(layout), to.Format(layout)))
			return decimal.RequireFromString(sum)
		}
		day, period := want(r.dayStart(taken), taken.EOD), want(taken.PeriodStart, taken.PeriodEnd)
		rows := 0
		for _, u := range taken.Usage {
			if u.Name != "credit" {
				continue
			}
			if rows++; !u.Day.Equal(day) || !u.Period.Equal(period) {
				t.Errorf("installation %d, day that ends at %s: the partner has %s of the day and %s of the period, the ledger %s and %s",
					n, taken.EOD, u.Day, u.Period, day, period)
			}
		}
		if rows != 1 {
			t.Errorf("installation %d, day that ends at %s: %d rows of the meter", n, taken.EOD, rows)
		}
	}
	return len(latest)
}

// wantRising holds what the partner got in the order of timestamps: they rise, and running totals of usage that is never
// reverted never fall.
func (r *reported) wantRising(t testing.TB, n int) {
	t.Helper()
	got := r.partner.Reports(fmt.Sprintf("icfg_%d", n))
	slices.SortStableFunc(got, func(a, b receiver.Taken) int { return a.Timestamp.Compare(b.Timestamp) })
	before := map[time.Time]receiver.Usage{}
	for i := range got {
		if i > 0 && !got[i].Timestamp.After(got[i-1].Timestamp) && string(got[i].Body) != string(got[i-1].Body) {
			t.Errorf("installation %d has two reports of timestamp %s", n, got[i].Timestamp)
		}
		for _, u := range got[i].Usage {
			if was, ok := before[got[i].EOD]; ok && (u.Day.LessThan(was.Day) || u.Period.LessThan(was.Period)) {
				t.Errorf("installation %d, at %s: the day fell from %s to %s or the period from %s to %s", n, got[i].Timestamp, was.Day, u.Day, was.Period, u.Period)
			}
			before[got[i].EOD] = u
		}
	}
}
