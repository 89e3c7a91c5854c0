package bench

import (
	"context"
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"

	"reckoner/internal/bench/workload"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// under is what the statements of sql/ are about.
type under struct {
	Database, Account        string
	From, Count, All, Others int64
}

// statement renders one of sql/.
func statement(name string, u under) (string, error) {
	t, err := template.New(name+".sql").Option("missingkey=error").ParseFS(sqlFiles, "sql/"+name+".sql")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, u)
	return strings.TrimSpace(b.String()), err
}

// insertRows is how many entries are made by one statement.
const insertRows = 2_000_000

// accountTotals asks for one account that has half of all entries, over a year: 35,000 buckets of two meters. The floor
// is the same sum over a table that holds the same rows and promises nothing: merged, of one version, without FINAL.
//
// The rows are made inside of ClickHouse, for only reading is measured; the totals come from the entries. Usage comes in the
// order of its time, and each insert has the totals that it changed, as an aggregator writes them; what ClickHouse merges of
// that is its own business. The worst that may be found there, all totals written twice and nothing merged yet, is told too.
func accountTotals(ctx context.Context, s *site, r *Result) error {
	if err := s.engines(); err != nil {
		return err
	}
	if err := s.migrate(oursDatabase, nil); err != nil {
		return err
	}
	u := under{Database: oursDatabase, Account: workload.AccountID(s.Seed, 0), All: s.scale.entries, Others: workload.AccountsDefault}
	if err := s.makeTotals(ctx, u); err != nil {
		return err
	}
	m := s.meter()
	var took, floors []time.Duration
	var answers [2]string
	err := m.during(func() (_ int64, err error) {
		took, floors, answers, err = s.readTotals(ctx, u, s.scale.reads)
		return 0, err
	})
	if err != nil {
		return err
	}
	began := time.Now()
	entries, err := s.answer(ctx, "entries_sum", u)
	if err != nil {
		return err
	}
	r.extra("entries_sum_ms", millis(time.Since(began)))
	if answers[0] != answers[1] || answers[0] != entries || answers[0] == "" {
		return fmt.Errorf("the view says %q, the plain table %q, the entries %q", answers[0], answers[1], entries)
	}
	r.ratio(quantile(took, 50), quantile(floors, 50))
	r.spread(took)
	r.extra("floor_p99_ms", quantile(floors, 99))
	m.report(r)
	if err := s.rewrittenTotals(ctx, u, answers[0], r); err != nil {
		return err
	}
	r.Met = *r.Ratio <= 3 && *r.Ours <= 60
	return nil
}

// readTotals asks the view and the plain table in turn, and returns what each took and answered at last.
func (s *site) readTotals(ctx context.Context, u under, reads int) (took, floors []time.Duration, answers [2]string, err error) {
	const warm = 3 // the first warm caches
	for n := range reads + warm {
		for i, name := range []string{"view_sum", "plain_sum"} {
			began := time.Now()
			if answers[i], err = s.answer(ctx, name, u); err != nil {
				return nil, nil, answers, err
			}
			switch {
			case n < warm:
			case i == 0:
				took = append(took, time.Since(began))
			default:
				floors = append(floors, time.Since(began))
			}
		}
	}
	return took, floors, answers, nil
}

// rewrittenTotals tells what the view takes just after every total of the year was written again in one insert.
func (s *site) rewrittenTotals(ctx context.Context, u under, want string, r *Result) error {
	u.From, u.Count = 0, u.All
	if err := s.exec(ctx, "totals", u); err != nil {
		return err
	}
	took, _, answers, err := s.readTotals(ctx, u, max(s.scale.reads/4, 1))
	if err != nil {
		return err
	}
	if answers[0] != want {
		return fmt.Errorf("the view says %q, and said %q before the same totals were written again", answers[0], want)
	}
	r.extra("rewritten_ms", quantile(took, 50))
	return nil
}

// makeTotals fills the tables.
func (s *site) makeTotals(ctx context.Context, u under) error {
	began := time.Now()
	for u.From = 0; u.From < u.All; u.From += insertRows {
		u.Count = min(insertRows, u.All-u.From)
		for _, name := range []string{"entries", "totals"} {
			if err := s.exec(ctx, name, u); err != nil {
				return err
			}
		}
	}
	s.say("  %d entries and their totals are there after %s", u.All, time.Since(began).Round(time.Second))
	if err := s.exec(ctx, "plain", u); err != nil {
		return err
	}
	return s.awaitMerges(ctx)
}

// mergesWait bounds the wait for merges that have begun. None is asked for.
const mergesWait = time.Minute

// awaitMerges returns when ClickHouse merges nothing any more: a year of usage came in minutes here, and a year in life leaves it
// the time.
func (s *site) awaitMerges(ctx context.Context) error {
	for began := time.Now(); time.Since(began) < mergesWait; {
		var running uint64
		if err := s.db.One(ctx, "SELECT count() FROM system.merges", &running); err != nil || running == 0 {
			return err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) exec(ctx context.Context, name string, u under) error {
	sql, err := statement(name, u)
	if err != nil {
		return err
	}
	return s.db.Exec(ctx, sql)
}

// answer returns the rows of a sum as text.
func (s *site) answer(ctx context.Context, name string, u under) (string, error) {
	sql, err := statement(name, u)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	var meter, quantity string
	var events, reverts uint64
	var first, last time.Time
	err = s.db.Each(ctx, sql, func() error {
		fmt.Fprintln(&b, meter, quantity, events, reverts, first.UTC(), last.UTC())
		return nil
	}, &meter, &quantity, &events, &reverts, &first, &last)
	return b.String(), err
}
