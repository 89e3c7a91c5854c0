package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"reckoner/internal/catalog"
	"reckoner/ledger"
	"reckoner/ledger/report"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/vercel"
	"reckoner/ledger/report/runner"
)

// After days without a reporter, the days that nobody can be told of any more get a row each, and only once.
func TestMissedDaysExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, document, nil)
		b.run(t, runner.Request{})
		before := len(b.reports("icfg_3"))
		time.Sleep(5*24*time.Hour + 2*time.Hour) // from the 4th to the 9th, at two o'clock
		s := b.run(t, runner.Request{})
		rows := b.reports("icfg_3")[before:]
		if statuses(rows) != "expired expired expired accepted accepted" || s.Accepted != 3 {
			t.Fatalf("%s, %+v", statuses(rows), s)
		}
		tm, err := terms(b.catalog, "icfg_3")
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rows[:3] {
			part := tm.Calendar().At(time.Date(2000, 1, 5+i, 12, 0, 0, 0, time.UTC))
			if r.Day != part.Day || r.Period != part.Period || len(r.Payload) > 0 || len(r.Scope) == 0 || r.Attempt > 0 {
				t.Errorf("%+v, want a row of %s", r, part)
			}
			if _, err := report.DecodeTerms(r.Inputs); err != nil {
				t.Errorf("its terms: %v", err)
			}
		}
		if of := b.reports("icfg_2"); !strings.Contains(statuses(of), "expired expired expired") {
			t.Errorf("days that a period's end cuts in two: %s", statuses(of))
		}
		time.Sleep(time.Hour)
		if s := b.run(t, runner.Request{}); s.Expired != 0 {
			t.Errorf("they expire again: %+v", s)
		}
	})
}

// A day that ended so lately that the partner would still take it, and so long ago that no delivery would arrive in time, is one of
// them: no later run could tell of it.
func TestDayBetweenDueAndTakenExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(1), nil)
		b.run(t, runner.Request{})
		time.Sleep(5*24*time.Hour - 3*time.Minute)
		b.run(t, runner.Request{})
		time.Sleep(time.Hour)
		b.run(t, runner.Request{})
		var days []string
		for _, r := range b.reports("") {
			days = append(days, fmt.Sprint(r.Day.Start.Day(), " ", r.Status))
		}
		if want := "3 accepted,4 accepted,5 expired,6 expired,7 expired,8 accepted,9 accepted"; strings.Join(days, ",") != want {
			t.Errorf("%s, want %s", days, want)
		}
	})
}

// However long nobody reported, the rows are bounded, and their timestamps are claimed as all are.
func TestExpiryIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(1), nil)
		b.run(t, runner.Request{})
		time.Sleep(3 * 365 * 24 * time.Hour)
		s := b.run(t, runner.Request{})
		if s.Expired < 395 || s.Expired > 401 || s.Accepted != 1 {
			t.Errorf("%+v", s)
		}
		rows := b.reports("")
		if last := b.claims[claimKey{"icfg_000", "me"}]; rows[len(rows)-1].Timestamp.After(last) {
			t.Errorf("the last report has %s, and the claim is %s", rows[len(rows)-1].Timestamp, last)
		}
	})
}

// A reporter that another one overtook between its claim and its sending sends nothing of what it made, and begins again;
// after some times it leaves the installation to the other.
func TestOvertaken(t *testing.T) {
	for _, times := range []int{1, 2, 5} {
		bubble(t, func(t *testing.T) {
			var b *bench
			left := times
			b = newBench(t, many(1), func(o *runner.Options) {
				o.At = func(step string) {
					if step == "check" && left > 0 {
						left--
						_ = b.memory.Claim(t.Context(), []ledger.ReportClaim{{InstallationID: "icfg_000", Reporter: "other", Timestamp: b.claims[claimKey{"icfg_000", "me"}]}})
					}
				}
			})
			s := b.run(t, runner.Request{})
			rows := b.reports("")
			if times == 5 {
				if s.Superseded != 1 || len(b.partner.all) > 0 || statuses(rows) != strings.TrimSpace(strings.Repeat("superseded ", 6)) {
					t.Errorf("%+v, %s", s, statuses(rows))
				}
				return
			}
			if want := strings.Repeat("superseded ", 2*times) + "accepted accepted"; statuses(rows) != want || s.Accepted != 1 {
				t.Errorf("%s, want %s", statuses(rows), want)
			}
			if other := b.claims[claimKey{"icfg_000", "other"}]; !b.partner.all[0].Timestamp.After(other) {
				t.Errorf("sent with %s, and the other claimed %s", b.partner.all[0].Timestamp, other)
			}
		})
	}
}

// The timestamp of another's claim that lies anywhere above the least one of ours overtakes us.
func TestOvertakenInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var b *bench
		b = newBench(t, many(1), func(o *runner.Options) {
			o.At = func(step string) {
				if step == "check" && len(b.claims) == 1 {
					_ = b.memory.Claim(t.Context(), []ledger.ReportClaim{{InstallationID: "icfg_000", Reporter: "other", Timestamp: time.Now()}})
				}
			}
		})
		if b.run(t, runner.Request{}); statuses(b.reports("")) != "superseded superseded accepted accepted" {
			t.Error(statuses(b.reports("")))
		}
	})
}

func TestDryRunLeavesNoTrace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, document, func(o *runner.Options) { o.Getenv = func(string) string { return "" } }) // no token is needed
		var drafted []runner.Drafted
		s := b.run(t, runner.Request{DryRun: func(d runner.Drafted) { drafted = append(drafted, d) }})
		if s.Accepted != 3 || len(drafted) != 7 || len(b.rows)+len(b.claims)+len(b.partner.all) > 0 {
			t.Errorf("%+v, %d drafted, %d rows, %d claims, %d sent", s, len(drafted), len(b.rows), len(b.claims), len(b.partner.all))
		}
		at := time.Date(2000, 1, 20, 12, 0, 0, 0, time.UTC)
		drafted = nil
		b.run(t, runner.Request{Installation: "icfg_3", At: at, DryRun: func(d runner.Drafted) { drafted = append(drafted, d) }})
		if len(drafted) != 2 || !drafted[1].Report.Day.Contains(at) || drafted[1].Installation.ID != "icfg_3" {
			t.Errorf("%+v", drafted)
		}
		if c := b.runner.Status().Counts; c.OK+c.Busy > 0 {
			t.Errorf("%+v", c)
		}
	})
}

// A run as of another moment reports that day, with the figures of the present: its timestamps rise, so the partner takes them for
// the newest of the period.
func TestRunAtAnotherMoment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(1), nil)
		b.run(t, runner.Request{})
		last := b.reports("")[1]
		at := time.Now().Add(-30 * time.Hour)
		b.run(t, runner.Request{At: at})
		row := b.reports("")[len(b.reports(""))-1]
		if !row.Timestamp.After(last.Timestamp) || !row.Day.Contains(at) || !row.Moment.Equal(time.Now()) {
			t.Errorf("%+v after %+v", row, last)
		}
	})
}

// A reporter whose clock is behind that of another goes on from the other's timestamps.
func TestTimestampsRiseOverClocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(1), nil)
		b.ahead.Store(int64(100 * time.Hour))
		b.run(t, runner.Request{})
		claimed := b.claims[claimKey{"icfg_000", "me"}]
		other := b.world.agent(t, "other", slog.New(slog.DiscardHandler), func(o *runner.Options) {
			o.Targets = []partner.Target{vercel.New(vercel.Options{Transport: b.partner})}
		})
		for range 3 {
			s, err := other.runner.Run(t.Context(), runner.Request{}, nil)
			if err != nil || s.Accepted != 1 {
				t.Fatalf("%v, %+v", err, s)
			}
		}
		rows := b.reports("")
		if !rows[2].Timestamp.After(claimed) || rows[2].Reporter != "other" || !rows[2].Day.End.Before(claimed) {
			t.Errorf("%+v after a claim of %s", rows[2], claimed)
		}
		for i := 1; i < len(rows); i++ {
			if !rows[i].Timestamp.After(rows[i-1].Timestamp) {
				t.Errorf("%s after %s", rows[i].Timestamp, rows[i-1].Timestamp)
			}
		}
	})
}

// What cannot be reported says why, and holds nobody up.
func TestUnsendable(t *testing.T) {
	text := strings.Replace(many(3), `base_url: "https://partner.test/api", token_env: TOKEN_001`, "token_env: TOKEN_001", 1)
	bubble(t, func(t *testing.T) {
		b := newBench(t, text, nil)
		s := b.run(t, runner.Request{})
		if s.Installations != 3 || s.Unsendable != 1 || s.Accepted != 2 || s.OK() || !strings.Contains(s.Errors[0].What, "report.default_base_url") {
			t.Errorf("%+v", s)
		}
		if c := b.runner.Status().Counts; c.Unsendable != 1 || c.OK != 2 {
			t.Errorf("%+v", c)
		}
		b = newBench(t, text, func(o *runner.Options) { o.BaseURL = "https://elsewhere.test" })
		if s := b.run(t, runner.Request{}); s.Accepted != 3 {
			t.Errorf("with a default: %+v", s)
		}
		b = newBench(t, text, nil)
		b.add(event{account: accountC, meter: "calls", at: time.Now(), quantity: negative(t)}, noCycle())
		if s := b.run(t, runner.Request{}); s.Unsendable != 3 || !strings.Contains(fmt.Sprint(s.Errors), "negative") {
			t.Errorf("a figure that cannot be: %+v", s)
		}
		if _, err := b.runner.Run(t.Context(), runner.Request{Installation: "nobody"}, nil); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
			t.Error(err)
		}
	})
}

// brokenFigures is a ledger that answers, and cannot give the figures of one account.
type brokenFigures struct {
	*agent
	account string
	asked   int
}

func (f *brokenFigures) Figures(ctx context.Context, q []ledger.FiguresQuery) ([]ledger.Figures, error) {
	f.asked++
	if slices.ContainsFunc(q, func(q ledger.FiguresQuery) bool { return q.AccountID == f.account }) {
		return nil, errors.New("decimal overflow")
	}
	return f.memory.Figures(ctx, q)
}

// Figures that the ledger cannot give are their installation's misfortune, and nobody else's.
func TestOneInstallationsFiguresFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var broken *brokenFigures
		b := newBench(t, document, func(o *runner.Options) {
			o.Batch = 10
			broken = &brokenFigures{agent: o.Ledger.(*agent), account: accountB}
			o.Ledger = broken
		})
		s := b.run(t, runner.Request{})
		if s.Accepted != 2 || s.Unsendable != 1 || s.Errors[0].Installation != "icfg_2" || !strings.Contains(s.Errors[0].What, "overflow") || broken.asked > 7 {
			t.Errorf("%+v, after %d questions", s, broken.asked)
		}
	})
}

// downLedger answers nothing, or stores nothing, while it is told to.
type downLedger struct {
	*agent
	down, silent atomic.Bool
}

func (d *downLedger) LastTimestamps(ctx context.Context, ids []string) (map[string]time.Time, error) {
	if d.down.Load() {
		return nil, errLost
	}
	return d.memory.LastTimestamps(ctx, ids)
}

func (d *downLedger) WriteReports(ctx context.Context, rows []ledger.Report) error {
	if d.silent.Load() && rows[0].Status != ledger.ReportSending {
		return errLost
	}
	return d.memory.WriteReports(ctx, rows)
}

// Without a ledger a run ends with its error; one whose outcome cannot be stored does too, and the next sends all again.
func TestLedgerDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d *downLedger
		b := newBench(t, many(5), func(o *runner.Options) {
			d = &downLedger{agent: o.Ledger.(*agent)}
			d.down.Store(true)
			o.Ledger = d
		})
		if s, err := b.runner.Run(t.Context(), runner.Request{}, nil); !errors.Is(err, errLost) || s.Installations > 0 {
			t.Errorf("%v, %+v", err, s)
		}
		d.down.Store(false)
		d.silent.Store(true)
		if _, err := b.runner.Run(t.Context(), runner.Request{}, nil); !errors.Is(err, errLost) || strings.Contains(statuses(b.reports("")), "accepted") {
			t.Errorf("%v, %s", err, statuses(b.reports("")))
		}
		sent := len(b.partner.all)
		d.silent.Store(false)
		if s := b.run(t, runner.Request{}); s.Accepted != 5 || len(b.partner.all) != sent+10 {
			t.Errorf("%+v, %d sent", s, len(b.partner.all)-sent)
		}
	})
}

// Reports that are made while the aggregator is behind are sent, and say so.
func TestStaleReportsAreSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lag, err := time.Hour, error(nil)
		b := newBench(t, many(1), func(o *runner.Options) {
			o.Lag = func(context.Context) (func(string) (time.Duration, bool), error) {
				return func(id string) (time.Duration, bool) { return lag, id == accountC }, err
			}
		})
		s := b.run(t, runner.Request{})
		if r := b.reports("")[1]; s.Stale != 2 || s.Accepted != 1 || !r.Stale || r.Lag != time.Hour {
			t.Errorf("%+v, %+v", s, r)
		}
		err = errLost
		time.Sleep(time.Minute)
		s = b.run(t, runner.Request{})
		if r := b.reports("")[len(b.reports(""))-1]; s.Stale != 0 || r.Stale || r.Lag >= 0 {
			t.Errorf("unknown: %+v, %+v", s, r)
		}
	})
}

// Two runs of one process never work an installation at the same time.
func TestBusyInstallationsAreSkipped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(2), nil)
		b.partner.answer = func(c call, nth int) (*http.Response, error) {
			if c.id == "icfg_000" && nth == 1 {
				time.Sleep(5 * time.Second)
			}
			return nil, nil
		}
		ended := make(chan runner.Summary)
		go func() { ended <- b.run(t, runner.Request{}) }()
		time.Sleep(time.Second)
		if s := b.run(t, runner.Request{}); s.Skipped != 1 || s.Accepted != 1 {
			t.Errorf("%+v", s)
		}
		if s := <-ended; s.Accepted != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestProgressCountsUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(5), nil)
		var seen []int
		if _, err := b.runner.Run(t.Context(), runner.Request{}, func(done, of int) { seen = append(seen, done, of) }); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(seen) != "[1 5 2 5 3 5 4 5 5 5]" {
			t.Error(seen)
		}
	})
}

func TestOptionsThatAreNone(t *testing.T) {
	good := newBench(t, many(1), nil)
	for name, spoil := range map[string]func(*runner.Options){
		"no ledger": func(o *runner.Options) { o.Ledger = nil },
		"no target": func(o *runner.Options) { o.Targets = nil },
		"a target twice": func(o *runner.Options) {
			o.Targets = []partner.Target{vercel.New(vercel.Options{}), vercel.New(vercel.Options{})}
		},
		"no slots":        func(o *runner.Options) { o.SlowConcurrency = 0 },
		"no time":         func(o *runner.Options) { o.RequestTimeout = 0 },
		"backoff shrinks": func(o *runner.Options) { o.RetryBackoffMax = o.RetryBackoffMin - 1 },
	} {
		o := runner.Options{
			Ledger: good, Catalog: func() *catalog.Catalog { return good.catalog }, Targets: []partner.Target{vercel.New(vercel.Options{})},
			Batch: 1, Concurrency: 1, SlowConcurrency: 1, RequestTimeout: 1, DeliveryTimeout: 1, RetryBackoffMin: 1, RetryBackoffMax: 1,
		}
		spoil(&o)
		if _, err := runner.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
